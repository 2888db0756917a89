"""An authority that is in a Key Vault already: its certificate, and the key that signs.

Both are read without the right to sign, and without a look at a secret: a preview does so.
"""

from __future__ import annotations

from typing import Any

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError, ServiceRequestError
from azure.keyvault.certificates import KeyVaultCertificate
from cryptography import x509

from cloud import Session, inner_code, is_missing_role
from pki import KeyType, authority_findings, joined, to_pem
from plugin import PluginError
from provider import clock
from provider.inputs import parse_version_id

_ROLE = "Key Vault Reader"


async def existing_authority(session: Session, certificate_id: str) -> dict[str, Any]:
    """Return certificate, key and version of an authority (`https://VAULT/certificates/NAME[/VERSION]`).

    Raises PluginError if it cannot be read, or if Temporal would refuse what it issues.
    """
    try:
        vault_uri, name, version = parse_version_id(certificate_id)
        client = session.certificates(vault_uri)
        if version is None:
            held: KeyVaultCertificate = await client.get_certificate(name)
        else:
            held = await client.get_certificate_version(name, version)
        certificate = _usable(held)
    except ValueError as error:
        raise _unusable(certificate_id, str(error), "Name the certificate of an authority.") from error
    except ResourceNotFoundError as error:
        raise _unusable(
            certificate_id, "there is no such certificate in the vault", "Correct it; deleted, it can be recovered."
        ) from error
    except ServiceRequestError as error:
        raise _unusable(
            certificate_id, "the vault cannot be reached", "Correct its name, or check the network."
        ) from error
    except HttpResponseError as error:
        if is_missing_role(error):
            raise _unusable(
                certificate_id,
                f"this identity may not read it ({inner_code(error)})",
                f'Give it the role "{_ROLE}" on that vault. To issue it needs "Key Vault Crypto User" there, too.',
            ) from error
        reason = error.message.partition("\n")[0].rstrip(".")
        raise _unusable(
            certificate_id,
            f"the vault refused to show it ({error.status_code} {inner_code(error)}): {reason}",
            "Mend that: the vault's firewall must let this machine in.",
        ) from error
    return {"certificatePem": to_pem(certificate), "keyId": str(held.key_id), "certificateId": str(held.id)}


def _usable(held: KeyVaultCertificate) -> x509.Certificate:
    """Return a certificate that can issue. Raises ValueError."""
    if not held.cer:
        raise ValueError("its request is still pending")
    if held.properties and not held.properties.enabled:
        raise ValueError("it is disabled, and a disabled key does not sign")
    certificate = x509.load_der_x509_certificate(bytes(held.cer))
    if KeyType.of(certificate.public_key()) is None:
        raise ValueError(f"its key is none of {', '.join(KeyType)}")
    if found := authority_findings(certificate, clock.now()):
        raise ValueError(joined(found))
    return certificate


def _unusable(certificate_id: str, reason: str, fix: str) -> PluginError:
    return PluginError(
        f"The authority {certificate_id} (vaultCertificate) cannot be used: {reason}. Nothing was changed. {fix}"
    )
