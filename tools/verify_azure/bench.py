"""What a check works with: one vault, names of its own in it, and the steps of the program's issuance."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar

from azure.core.exceptions import HttpResponseError
from azure.keyvault.certificates import (
    CertificateContentType,
    CertificateOperation,
    CertificatePolicy,
    CertificatePolicyAction,
    KeyVaultCertificate,
    LifetimeAction,
    WellKnownIssuerNames,
)
from azure.keyvault.keys.crypto import SignatureAlgorithm
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from tenacity import AsyncRetrying, retry_if_result, stop_after_delay, wait_fixed

from pki import Draft, IssuancePolicy, KeyType, Role, Subject, draft
from tools.verify_azure.clients import Clients
from tools.verify_azure.exchanges import Network
from tools.verify_azure.target import Gate

ACCEPTED = "accepted"
POLL_SECONDS = 1
_LIMIT_SECONDS = 180
_VALIDITY_DAYS = 30
_AUTHORITY_USAGES = ("digitalSignature", "keyCertSign", "cRLSign")
_LEAF_USAGES = ("digitalSignature",)
_SUBJECT = "verify-azure"
_CURVES = {KeyType.EC_P256: "P-256", KeyType.EC_P384: "P-384"}

_Result = TypeVar("_Result")


async def outcome(call: Awaitable[Any]) -> str:
    """Await a call and say how it went: `accepted`, or status and codes, as in `403 Forbidden KeyDisabled`."""
    try:
        await call
    except HttpResponseError as error:
        if error.status_code is None:  # nobody answered, such as when signing in fails
            raise
        return refusal(error)
    return ACCEPTED


def refusal(error: HttpResponseError) -> str:
    """Say status, code and innermost code of a refusal."""
    parts = [str(error.status_code)]
    if error.error is not None:
        inner: Any = error.error.innererror or {}
        parts += [str(error.error.code or ""), str(inner.get("code") or "")]
    return " ".join(filter(None, parts))


async def until(what: str, ask: Callable[[], Awaitable[_Result]], fits: Callable[[_Result], bool]) -> _Result:
    """Ask until the answer fits. Raises TimeoutError, saying what did not come, after three minutes."""

    def too_late(_: Any) -> _Result:
        raise TimeoutError(f"{what} did not come within {_LIMIT_SECONDS} s")

    retrying = AsyncRetrying(
        retry=retry_if_result(lambda answer: not fits(answer)),
        wait=wait_fixed(POLL_SECONDS),
        stop=stop_after_delay(_LIMIT_SECONDS),
        retry_error_callback=too_late,
    )

    async def attempt() -> _Result:
        return await ask()

    answer: _Result = await retrying(attempt)
    return answer


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One check's place of work: names that begin with `prefix`, keys of `key_type`.

    `stranger` are the clients of an identity without any role, where there is one; `gate` shuts the vault, where that
    was allowed.
    """

    own: Clients
    stranger: Clients | None
    gate: Gate | None
    prefix: str
    key_type: KeyType

    def name(self, suffix: str = "certificate") -> str:
        """Return a name in the vault."""
        return f"{self.prefix}-{suffix}"

    def policy(
        self, issuer: str, *, exportable: bool, reuse_key: bool = False, key_type: KeyType | None = None
    ) -> CertificatePolicy:
        """Return a policy as the program's: for an authority's key, or an exportable one for a leaf's."""
        key_type = key_type or self.key_type
        return CertificatePolicy(
            issuer_name=issuer,
            subject=f"CN={_SUBJECT}",
            exportable=exportable,
            key_type="RSA" if key_type.rsa_bits else "EC",
            key_size=key_type.rsa_bits,
            key_curve_name=_CURVES.get(key_type),
            reuse_key=reuse_key,
            content_type=CertificateContentType.pem,
            key_usage=list(_LEAF_USAGES if exportable else _AUTHORITY_USAGES),
            lifetime_actions=[LifetimeAction(CertificatePolicyAction.email_contacts, lifetime_percentage=90)],
        )

    async def self_issued(self, name: str, *, exportable: bool = False, tag: str = "first") -> KeyVaultCertificate:
        """Have the vault issue a version by itself, for the sake of its key."""
        policy = self.policy(WellKnownIssuerNames.self, exportable=exportable)
        created = await self.own.certificates.create_certificate(
            name, policy, tags={"made": tag}, _polling_interval=POLL_SECONDS
        )
        if not isinstance(created, KeyVaultCertificate):
            raise ValueError(f"the vault did not issue it: {created.status}, {created.status_details}")
        return created

    async def requested(
        self,
        name: str,
        *,
        exportable: bool = False,
        reuse_key: bool = False,
        key_type: KeyType | None = None,
        tag: str = "request",
    ) -> CertificateOperation:
        """Ask for a version whose certificate we bring."""
        policy = self.policy(
            WellKnownIssuerNames.unknown, exportable=exportable, reuse_key=reuse_key, key_type=key_type
        )
        pending = await self.own.certificates.create_certificate(name, policy, tags={"made": tag})
        if not isinstance(pending, CertificateOperation):
            raise ValueError("the vault issued by itself what it was to leave pending")
        return pending

    async def created(self, name: str, policy: dict[str, Any]) -> None:
        """Have the vault issue a version under a policy that the official model cannot express, and wait for it."""
        await self.own.send("POST", f"/certificates/{name}/create", {"policy": policy})
        operation = await until(
            f"the issue of {name}",
            lambda: self.own.certificates.get_certificate_operation(name),
            lambda found: found.status != "inProgress",
        )
        if operation.status != "completed":
            raise ValueError(f"the vault did not issue it: {operation.status}, {operation.status_details}")

    def authority_draft(self, csr: x509.CertificateSigningRequest, *, issued_on: datetime | None = None) -> Draft:
        """Return what the key of a request is to sign, to be an authority."""
        policy = self._issuance(Role.AUTHORITY)
        return draft(policy, csr.public_key(), None, issued_on or datetime.now(UTC))

    def leaf_draft(self, csr: x509.CertificateSigningRequest, authority: x509.Certificate) -> Draft:
        """Return what an authority is to sign for the key of a request."""
        return draft(self._issuance(Role.CLIENT), csr.public_key(), authority, datetime.now(UTC))

    def _issuance(self, role: Role) -> IssuancePolicy:
        return IssuancePolicy(
            role=role,
            subject=Subject(common_name=f"{_SUBJECT} {role}"),
            key_type=self.key_type,
            validity_days=_VALIDITY_DAYS,
        )

    async def signed(self, unsigned: Draft, key_id: str | None) -> x509.Certificate:
        """Have a key of the vault sign. Raises ValueError for a signature that is not its own."""
        algorithm = SignatureAlgorithm(unsigned.algorithm.value)
        answer = await self.own.cryptography(str(key_id)).sign(algorithm, unsigned.digest)
        return unsigned.signed(answer.signature)

    async def merged(
        self, name: str, *certificates: x509.Certificate, tag: str | None = "merge"
    ) -> KeyVaultCertificate:
        """Merge a certificate, and what else is given, into the pending request."""
        return await self.own.certificates.merge_certificate(
            name, [each.public_bytes(Encoding.DER) for each in certificates], tags={"made": tag} if tag else None
        )

    async def pending_authority(
        self, name: str
    ) -> tuple[KeyVaultCertificate, CertificateOperation, x509.CertificateSigningRequest]:
        """Return a first version, and the pending request for a second one over its key."""
        first = await self.self_issued(name)
        pending = await self.requested(name, reuse_key=True, tag="second")
        return first, pending, request_of(pending)

    async def authority(self, name: str) -> tuple[KeyVaultCertificate, KeyVaultCertificate]:
        """Return the two versions of an authority: the one for its key alone, and the one that is signed with it."""
        first, _, csr = await self.pending_authority(name)
        certificate = await self.signed(self.authority_draft(csr), first.key_id)
        return first, await self.merged(name, certificate)

    def foreign(self, csr: x509.CertificateSigningRequest) -> x509.Certificate:
        """Return a certificate for the key of a request, issued outside any vault."""
        return self._issued_outside(csr.public_key())

    def misfit(self) -> x509.Certificate:
        """Return a certificate for a key that no request has."""
        return self._issued_outside(ec.generate_private_key(ec.SECP256R1()).public_key())

    def _issued_outside(self, public_key: Any) -> x509.Certificate:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, _SUBJECT)])
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(today)
            .not_valid_after(today + timedelta(days=_VALIDITY_DAYS))
            .sign(self._outside_key, hashes.SHA256())
        )

    @cached_property
    def _outside_key(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    async def versions(self, name: str) -> list[str]:
        """Return the versions of a certificate that the vault lists."""
        listing = self.own.certificates.list_properties_of_certificate_versions(name)
        return [str(item.version) async for item in listing]

    async def sign_outcome(self, key_id: str | None) -> str:
        """Say how it goes to have a key of the check's type sign something."""
        algorithm = {KeyType.EC_P256: "ES256", KeyType.EC_P384: "ES384"}.get(self.key_type, "RS256")
        digest = bytes(48 if algorithm == "ES384" else 32)
        return await outcome(self.own.cryptography(str(key_id)).sign(SignatureAlgorithm(algorithm), digest))

    async def shut_outcome(self, network: Network) -> str:
        """Say how the vault refuses to be read while it is shut."""
        assert self.gate is not None
        seen = ACCEPTED

        async def ask() -> str:
            nonlocal seen
            seen = await outcome(self.own.send("GET", "/certificates"))
            return seen

        async def settled(shut: bool) -> None:
            state = "shut" if shut else "open"
            await until(f"the {state} network", ask, lambda found: found.startswith("403") is shut)

        async with self.gate.shut(network, settled):
            return seen


def request_of(operation: CertificateOperation) -> x509.CertificateSigningRequest:
    """Return the signing request of a pending creation."""
    return x509.load_der_x509_csr(bytes(operation.csr or b""))


def x509_of(held: KeyVaultCertificate) -> x509.Certificate:
    """Return the certificate of a completed version."""
    return x509.load_der_x509_certificate(bytes(held.cer or b""))


def version_of(held: KeyVaultCertificate) -> str:
    """Return the version that an answer is about."""
    return str(held.properties.version) if held.properties else ""


def tag_of(held: KeyVaultCertificate) -> str | None:
    """Return the tag that the check gave."""
    return (held.properties.tags or {}).get("made") if held.properties else None


def which(held: str | None, **known: str | None) -> str:
    """Say which of the `known` ids or versions one is, by its name here."""
    return next((name for name, value in known.items() if value == held), "another" if held else "none")


def blocks(pem: str | None) -> Sequence[str]:
    """Return the labels of the PEM blocks in a secret, in their order."""
    return [
        line.removeprefix("-----BEGIN ").removesuffix("-----") for line in (pem or "").splitlines() if "BEGIN" in line
    ]
