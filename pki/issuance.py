"""Builds a certificate whose signer is elsewhere.

`cryptography` signs with a key object, synchronously; the key here is a vault's, and answers over the network. So the
certificate is built twice: once with a key that only records what it is asked to sign, and once more, when the
signature has come, with a key that replays it. Both passes are the same construction, so nothing can differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from pki.chain import issued
from pki.policy import IssuancePolicy, KeyType, Role
from pki.profile import extensions
from pki.requirements import obstacles
from pki.rules import joined

BACKDATE = timedelta(hours=1)
"""How far `not_before` lies before the start of the UTC day, for consumers whose clocks are behind."""


class SignatureAlgorithm(StrEnum):
    """How an authority's key signs, named as JSON Web Algorithms are (RFC 7518, 3.1)."""

    RS256 = "RS256"
    ES256 = "ES256"
    ES384 = "ES384"

    @classmethod
    def of(cls, public_key: CertificatePublicKeyTypes) -> SignatureAlgorithm:
        """Return the algorithm that belongs to a key. Raises ValueError if the key is of no type that can be issued."""
        match KeyType.of(public_key):
            case None:
                raise ValueError(f"its authority's key is none of {', '.join(KeyType)}")
            case KeyType.EC_P256:
                return cls.ES256
            case KeyType.EC_P384:
                return cls.ES384
            case _:
                return cls.RS256

    @property
    def hash_algorithm(self) -> hashes.SHA256 | hashes.SHA384:
        """The hash whose digest is signed."""
        return hashes.SHA384() if self is SignatureAlgorithm.ES384 else hashes.SHA256()


class _RecordingKey:
    """A private key in shape only: it notes what is to be signed and answers with a signature made elsewhere."""

    def __init__(self, public_key: Any, signature: bytes) -> None:
        self._public_key = public_key
        self._signature = signature
        self.to_be_signed = b""

    def sign(self, *arguments: Any, **_: Any) -> bytes:
        self.to_be_signed = bytes(arguments[0])
        return self._signature

    def public_key(self) -> Any:
        return self._public_key

    @property
    def key_size(self) -> int:
        return int(self._public_key.key_size)

    @property
    def curve(self) -> ec.EllipticCurve:
        curve: ec.EllipticCurve = self._public_key.curve
        return curve

    def _never(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("this key is a placeholder; the real one is in its vault")

    decrypt = exchange = private_numbers = private_bytes = __copy__ = __deepcopy__ = _never


class _RecordingRSAKey(_RecordingKey, rsa.RSAPrivateKey):
    """What `cryptography` takes for an RSA key."""


class _RecordingECKey(_RecordingKey, ec.EllipticCurvePrivateKey):
    """What `cryptography` takes for an elliptic-curve key."""


def _recording_key(public_key: CertificatePublicKeyTypes, signature: bytes) -> _RecordingRSAKey | _RecordingECKey:
    kind = _RecordingRSAKey if isinstance(public_key, rsa.RSAPublicKey) else _RecordingECKey
    return kind(public_key, signature)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A certificate that lacks its signature.

    Sign `digest` with `algorithm` and the issuer's key, then call `signed`.
    """

    algorithm: SignatureAlgorithm
    to_be_signed: bytes
    _issuer: x509.Certificate | None
    _build: Callable[[bytes], tuple[x509.Certificate, bytes]]

    @property
    def digest(self) -> bytes:
        """The hash of the to-be-signed bytes, which is what a vault's `sign` operation takes."""
        state = hashes.Hash(self.algorithm.hash_algorithm)
        state.update(self.to_be_signed)
        return state.finalize()

    def signed(self, signature: bytes) -> x509.Certificate:
        """Return the certificate, with a signature as RFC 7518 encodes it (raw r and s for elliptic curves).

        Raises ValueError if the signature is not the issuer's over this draft: nothing unsound leaves this module.
        """
        if self.algorithm is not SignatureAlgorithm.RS256:
            half = len(signature) // 2
            signature = encode_dss_signature(
                int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
            )
        certificate, _ = self._build(signature)
        if not issued(certificate, by=self._issuer or certificate):
            raise ValueError("the signature is not one of the issuer's key over this certificate")
        return certificate


def validity(policy: IssuancePolicy, issuer: x509.Certificate | None, now: datetime) -> tuple[datetime, datetime]:
    """Return `not_before` and `not_after` of a certificate that is issued now.

    Both lie on whole UTC days (`not_before` backdated by `BACKDATE`), so that two issues of one day agree. No
    certificate outlives its issuer. Raises ValueError if the issuer has ended, or is not yet valid.
    """
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    not_before, not_after = today - BACKDATE, today + timedelta(days=policy.validity_days)
    if issuer is not None:
        begins, ends = issuer.not_valid_before_utc, issuer.not_valid_after_utc
        if ends <= now:
            raise ValueError(f"its authority, {issuer.subject.rfc4514_string()}, ended on {ends:%Y-%m-%d}")
        if begins > now:
            raise ValueError(f"its authority, {issuer.subject.rfc4514_string()}, begins on {begins:%Y-%m-%d}")
        not_before, not_after = max(not_before, begins), min(not_after, ends)
    return not_before, not_after


def draft(
    policy: IssuancePolicy, public_key: CertificatePublicKeyTypes, issuer: x509.Certificate | None, now: datetime
) -> Draft:
    """Return the unsigned certificate for `public_key`; without an issuer it is an authority that signs itself.

    Raises ValueError if the public key is not of the policy's type, if a leaf has no issuer, if the issuer cannot
    issue this (it is no authority, may have none below it, or not today: see `validity`), or if Temporal would refuse
    what it issues (see `pki.requirements`).
    """
    if KeyType.of(public_key) is not policy.key_type:
        raise ValueError(f"the key is not {policy.key_type}, as the policy of {policy.subject.common_name} says")
    if issuer is not None:
        _require_authority(issuer, policy.role)
    elif policy.role is not Role.AUTHORITY:
        raise ValueError("only an authority signs itself; a node or a client needs an issuer")
    not_before, not_after = validity(policy, issuer, now)
    if issuer is not None and (found := obstacles(policy, [issuer])):
        raise ValueError(f"of its issuers, {joined(found)}")
    issuer_name = issuer.subject if issuer else policy.subject.name()
    issuer_public_key = issuer.public_key() if issuer else public_key
    algorithm = SignatureAlgorithm.of(issuer_public_key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(policy.subject.name())
        .issuer_name(issuer_name)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    for extension in extensions(policy, public_key, issuer):
        builder = builder.add_extension(extension.value, critical=extension.critical)

    def build(signature: bytes) -> tuple[x509.Certificate, bytes]:
        key = _recording_key(issuer_public_key, signature)
        return builder.sign(key, algorithm.hash_algorithm), key.to_be_signed

    _, to_be_signed = build(b"\0")
    return Draft(algorithm=algorithm, to_be_signed=to_be_signed, _issuer=issuer, _build=build)


def _require_authority(issuer: x509.Certificate, role: Role) -> None:
    """Raise ValueError if RFC 5280, 4.2.1.9, has `issuer` sign no certificate of this role."""
    constraints = [item.value for item in issuer.extensions if isinstance(item.value, x509.BasicConstraints)]
    if not constraints or not constraints[0].ca:
        raise ValueError(f"its issuer, {issuer.subject.rfc4514_string()}, is no authority")
    if role is Role.AUTHORITY and constraints[0].path_length == 0:
        raise ValueError(f"its issuer, {issuer.subject.rfc4514_string()}, may have no authority below it")


def renewal_due(certificate: x509.Certificate, policy: IssuancePolicy, issuer: x509.Certificate, now: datetime) -> bool:
    """Tell whether a leaf is inside its renewal window and a new one would last longer.

    The window opens on a whole UTC day. Close to its authority's end a leaf cannot be made to last longer: then it is
    the authority that needs attention, and issuing each day anew would help nobody. Raises ValueError as `validity`.
    """
    window = certificate.not_valid_after_utc - timedelta(days=policy.renew_before_days)
    if now.astimezone(UTC).date() < window.date():
        return False
    _, not_after = validity(policy, issuer, now)
    return not_after > certificate.not_valid_after_utc
