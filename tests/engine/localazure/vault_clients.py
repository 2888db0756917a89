"""A vault of the local Azure with the official data-plane clients, and an authority outside it that issues
certificates.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from azure.core.exceptions import HttpResponseError
from azure.identity.aio import ClientSecretCredential as AsyncCredential
from azure.keyvault.certificates import (
    CertificateClient,
    CertificatePolicy,
    CertificateProperties,
    KeyVaultCertificate,
)
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import CryptographyClient
from azure.keyvault.secrets import SecretClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from localazure.access import role_named
from tests.engine.localazure.sdk import Sdk

AnyClient = TypeVar("AnyClient", CertificateClient, KeyClient, SecretClient)

ADMINISTRATOR = "Key Vault Administrator"
OTHER = "reader-worker"
"""An identity that has no role unless a test gives it one."""


class VaultClients:
    """A new vault in which `deployer` is Key Vault Administrator. Clients do not retry, and are closed at the end."""

    def __init__(self, sdk: Sdk, stack: ExitStack, **properties: Any) -> None:
        self.sdk = sdk
        self.azure = sdk.azure
        self._stack = stack
        self._clients: dict[Any, Any] = {}
        created = sdk.create_vault(sdk.create_group(), **properties)
        self.id: str = created.id
        self.name: str = created.name
        self.uri: str = created.properties.vault_uri
        self.assign("deployer", ADMINISTRATOR)

    def assign(self, identity: str, role: str, path: str = "") -> None:
        """Assign the role at the vault, or at one object in it (`/secrets/ui`)."""
        self.sdk.assign(identity, role_named(role).id, f"{self.id}{path}")

    def certificates(self, identity: str = "deployer", **options: Any) -> CertificateClient:
        return self._client(CertificateClient, identity, options)

    def keys(self, identity: str = "deployer") -> KeyClient:
        return self._client(KeyClient, identity, {})

    def secrets(self, identity: str = "deployer") -> SecretClient:
        return self._client(SecretClient, identity, {})

    def cryptography(self, key_id: str | None, identity: str = "deployer") -> CryptographyClient:
        assert key_id
        credential = self.sdk.credential(identity)
        return self._stack.enter_context(
            CryptographyClient(key_id, **self._without_retries({"credential": credential}))
        )

    def async_options(self) -> dict[str, Any]:
        """Arguments, but for the URL, of an aio client for `deployer`."""
        known = self.azure.identities["deployer"]
        credential = AsyncCredential(
            known["tenantId"],
            known["clientId"],
            known["clientSecret"],
            authority=self.azure.origin,
            disable_instance_discovery=True,
            **self.sdk.trust,
        )
        return self._without_retries({"credential": credential})

    def create(self, policy: CertificatePolicy, name: str | None = None, **options: Any) -> KeyVaultCertificate:
        """A certificate that the vault issues itself, once it is issued."""
        client = self.certificates()
        poller = client.begin_create_certificate(name or fresh(), policy, _polling_interval=0, **options)
        created = poller.result()
        assert isinstance(created, KeyVaultCertificate)
        return created

    def _client(self, kind: type[AnyClient], identity: str, options: dict[str, Any]) -> AnyClient:
        known = (kind, identity, *options.items())
        if known not in self._clients:
            given = self._without_retries({"credential": self.sdk.credential(identity)} | options)
            self._clients[known] = self._stack.enter_context(kind(self.uri, **given))
        client: AnyClient = self._clients[known]
        return client

    def _without_retries(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"verify_challenge_resource": False, "retry_total": 0, **self.sdk.trust, **options}


class Authority:
    """A certificate authority in memory, for requests that a vault leaves pending."""

    def __init__(self, common_name: str = "test authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        self.certificate = certificate_builder(self.name, self.name, self._key.public_key()).sign(
            self._key, hashes.SHA256()
        )

    def issue(self, csr: bytes | None, *, days: int = 30) -> x509.Certificate:
        """A certificate for the request's subject and key."""
        assert csr is not None
        request = x509.load_der_x509_csr(csr)
        return self.issue_for(request.public_key(), request.subject, days=days)

    def issue_for(self, public_key: Any, subject: x509.Name, *, days: int = 30) -> x509.Certificate:
        return certificate_builder(subject, self.name, public_key, days=days).sign(self._key, hashes.SHA256())


def certificate_builder(
    subject: x509.Name, issuer: x509.Name, public_key: Any, *, days: int = 30, authority: bool = False
) -> x509.CertificateBuilder:
    now = datetime.now(UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True)
    )


def about(certificate: KeyVaultCertificate) -> CertificateProperties:
    assert certificate.properties is not None
    return certificate.properties


def version_of(certificate: KeyVaultCertificate) -> str:
    version = about(certificate).version
    assert version
    return version


def loaded(certificate: KeyVaultCertificate) -> x509.Certificate:
    assert certificate.cer is not None
    return x509.load_der_x509_certificate(bytes(certificate.cer))


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def public_der(key: Any) -> bytes:
    public: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return public


def private_encodings(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> list[str]:
    """How the private key, or a number that gives it away, would look in JSON, PEM or a log."""
    numbers = key.private_numbers()
    secrets = (
        [numbers.d, numbers.p, numbers.q] if isinstance(numbers, rsa.RSAPrivateNumbers) else [numbers.private_value]
    )
    raw = [number.to_bytes((number.bit_length() + 7) // 8, "big") for number in secrets]
    pkcs8 = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    a_line_of_pem = base64.b64encode(pkcs8).decode()[64:128]
    return [
        a_line_of_pem,
        *(number.hex() for number in raw),
        *(base64.b64encode(number).decode().rstrip("=") for number in raw),
        *(base64.urlsafe_b64encode(number).decode().rstrip("=") for number in raw),
    ]


def thumbprint(certificate: x509.Certificate) -> bytes:
    return hashlib.sha1(der(certificate), usedforsecurity=False).digest()


def fresh() -> str:
    return f"o-{uuid4().hex[:12]}"


def refusal(call: Callable[[], Any], status: int, code: str, inner_code: str | None = None) -> str:
    """The message with which the call is refused."""
    with pytest.raises(HttpResponseError) as refused:
        call()
    assert refused.value.status_code == status
    error = json.loads(refused.value.response.text())["error"]  # type: ignore[union-attr]
    assert error["code"] == code
    assert error.get("innererror", {}).get("code") == inner_code
    return str(error["message"])
