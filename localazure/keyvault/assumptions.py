"""Every behaviour here is a guess at what Azure does: neither its documentation nor a recorded exchange settles it.

They are kept in one place so that an answer from Azure can be put in where it belongs. What is settled is elsewhere.
"""

from collections.abc import Sequence

from localazure.errors import AzureError
from localazure.keyvault.models import Certificate, CertificateVersion, KeyMaterial, KeyVersion, Operation
from localazure.keyvault.policy import KeyProperties, Policy

_RSA_OPERATIONS = ("encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey")
_EC_OPERATIONS = ("sign", "verify")
_OPERATIONS_BY_USAGE = {
    "cRLSign": {"sign", "verify"},
    "dataEncipherment": {"encrypt", "decrypt"},
    "decipherOnly": {"decrypt"},
    "digitalSignature": {"sign", "verify"},
    "encipherOnly": {"encrypt"},
    "keyCertSign": {"sign", "verify"},
    "keyEncipherment": {"wrapKey", "unwrapKey"},
    "nonRepudiation": {"sign", "verify"},
}


def key_operations(properties: KeyProperties, key_usage: Sequence[str] | None = None) -> list[str]:
    """What a key may be asked. Documented: the mapping from key usages, and which two a request without any gets.

    Guessed: that an empty list of usages allows everything that the key type can do, and keyAgreement nothing.
    """
    possible = _EC_OPERATIONS if properties.crv else _RSA_OPERATIONS
    if not key_usage:
        return list(possible)
    wanted = set().union(*(_OPERATIONS_BY_USAGE.get(usage, set()) for usage in key_usage))
    return [operation for operation in possible if operation in wanted]


def reused_key(certificate: Certificate | None, policy: Policy) -> KeyMaterial | None:
    """The key for a new version under `reuse_key`: that of the current version, if one was issued.

    Guessed: that this is refused when the policy asks for another kind of key, or would make it exportable.
    """
    if not policy.key_props.reuse_key or certificate is None or not certificate.issued_versions:
        return None
    current = certificate.current
    wanted, existing = policy.key_props, current.key_props
    if wanted.shape != existing.shape or (wanted.exportable and not existing.exportable):
        raise AzureError(
            400,
            "BadParameter",
            "Property policy.key_props has invalid value. With reuse_key, key type, size and curve are those of the "
            "current version, and a key that is not exportable does not become so.",
        )
    return current.material


def listed_versions(certificate: Certificate) -> list[CertificateVersion]:
    """Guessed: a version that is pending, or was never issued, is not listed, though it can be read by its id."""
    return certificate.issued_versions


def refuse_merge(name: str, operation: Operation) -> None:
    """Documented: not while an issuer is at work. Guessed: once it is completed, there is nothing to merge into."""
    if operation.status == "completed":
        raise pending_not_found(name)
    if operation.status == "inProgress" and operation.issuer != "Unknown":
        raise AzureError(
            403,
            "Forbidden",
            f"Merge is forbidden on pending object created with issuer : {operation.issuer} while it is in progess.",
        )


def cancelled(operation: Operation) -> bool:
    """Recorded for issuer Self: a requested cancellation shows as done at a later poll. Guessed: so for Unknown."""
    return operation.cancellation_requested


def allow(operation: str, key_id: str, version: KeyVersion, now: float) -> None:
    """Whether a key may be asked to do that now; 403 Forbidden otherwise.

    Documented: the conditions, and that a key can still verify outside its validity. Guessed: their order, the words
    about validity, and that a disabled key can be read.
    """
    if not version.enabled:
        raise _forbidden(f"Operation {operation} is not allowed on a disabled key.", "KeyDisabled")
    if operation == "sign" and version.nbf is not None and now < version.nbf:
        raise _forbidden(f"Operation {operation} is not allowed on a key before its start: {key_id}.", "KeyNotYetValid")
    if operation == "sign" and version.exp is not None and now >= version.exp:
        raise _forbidden(f"Operation {operation} is not allowed on an expired key: {key_id}.", "KeyExpired")
    if operation not in version.material.operations:
        raise _forbidden(f"Operation {operation} is not permitted on this key.", "KeyOperationForbidden")


def refuse_managed(noun: str, managed: bool, operation: str) -> None:
    """Reported: `set` and `delete` of a secret that belongs to a certificate are refused so.

    Guessed: the same for every other change of it, and for keys; and that the key of a certificate can be backed up.
    """
    if managed:
        raise _forbidden(
            f'Operation "{operation}" is not allowed on this {noun}, since it is associated with a certificate. '
            "Perform the operation on the corresponding certificate. For more information refer to https://docs.microsoft."
            "com/en-us/azure/key-vault/certificates/about-certificates#composition-of-a-certificate",
            f"{noun.capitalize()}ManagedByKeyVault",
        )


def refuse_taken_name(name: str, *others: object) -> None:
    """Guessed: no certificate is made where a key or secret of that name lives. (Azure lets it take over a secret.)"""
    if any(other is not None for other in others):
        raise AzureError(409, "Conflict", f"A key or a secret named {name} exists, and a certificate would have both.")


def pending_not_found(name: str) -> AzureError:
    return AzureError(404, "PendingCertificateNotFound", f"Pending certificate not found: {name}")


def _forbidden(message: str, inner_code: str) -> AzureError:
    return AzureError(403, "Forbidden", message, inner_code=inner_code)
