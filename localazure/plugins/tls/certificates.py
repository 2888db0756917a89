"""Requests and certificates as terraform-provider-tls has Go make them (crypto/x509, `CreateCertificate`)."""

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID

from localazure.plugins.tls import names
from localazure.plugins.tls.keys import PrivateKey, PublicKey, algorithm_of, identifier, load
from localazure.plugins.tls.usages import extended_key_usage, key_usage
from plugin import PluginError

Plain = Mapping[str, Any]


@dataclass(frozen=True)
class Made:
    """What was made: its id, what is computed of it, and what a person should be told."""

    id: str
    outputs: Mapping[str, Any]
    warning: str = ""


@dataclass(frozen=True)
class _Wanted:
    """What a certificate is to say, but for what its inputs say of every certificate."""

    subject: x509.Name
    alternative_names: Sequence[x509.GeneralName]
    public_key: PublicKey


def request(given: Plain) -> Made:
    """Make a signing request (PKCS #10). Raises PluginError if that cannot be."""
    key = load(given["privateKeyPem"])
    builder = x509.CertificateSigningRequestBuilder().subject_name(names.subject_name(given.get("subject") or {}))
    if general_names := names.alternative_names(given):
        builder = builder.add_extension(x509.SubjectAlternativeName(general_names), critical=False)
    made = builder.sign(key, _hash_of(key))
    return Made(
        identifier(made.public_bytes(Encoding.DER)),
        {"certRequestPem": made.public_bytes(Encoding.PEM).decode(), "keyAlgorithm": algorithm_of(key)},
    )


def self_signed(given: Plain, now: datetime) -> Made:
    """Make a certificate that its own key signs. Raises PluginError if that cannot be."""
    key = load(given["privateKeyPem"])
    wanted = _Wanted(names.subject_name(given.get("subject") or {}), names.alternative_names(given), key.public_key())
    own_identifier = _subject_key_identifier(wanted.public_key) if _is_identified(given) else None
    if given["setAuthorityKeyId"] and own_identifier is None:
        raise PluginError("Invalid Certificate Authority: Could not determine Authority Key Identifier.")
    authority_identifier = own_identifier if given["setAuthorityKeyId"] else None
    return _certificate(given, wanted, wanted.subject, key, authority_identifier, now, {"keyAlgorithm": key})


def locally_signed(given: Plain, now: datetime) -> Made:
    """Make a certificate for a request that an authority's key signs. Raises PluginError if that cannot be."""
    asked, authority = _load_request(given["certRequestPem"]), _load_certificate(given["caCertPem"])
    key, public_key = load(given["caPrivateKeyPem"]), asked.public_key()
    if not isinstance(public_key, PublicKey):
        raise PluginError("Failed to create certificate: x509: unsupported public key type. Nothing was made.")
    if _encoded(key.public_key()) != _encoded(authority.public_key()):
        raise PluginError("Failed to create certificate: x509: provided PrivateKey doesn't match parent's PublicKey.")
    wanted = _Wanted(names.copied_name(asked.subject), _copied_names(asked), public_key)
    authority_identifier = None
    if authority.subject != wanted.subject:
        authority_identifier = _identifier_in(authority)
    made = _certificate(given, wanted, authority.subject, key, authority_identifier, now, {"caKeyAlgorithm": key})
    if _may_issue(authority):
        return made
    return Made(
        made.id,
        made.outputs,
        "Potentially Invalid Certificate Authority: Certificate provided as Authority does not appear to be a valid "
        "Certificate Authority. The resulting certificate might fail certificate validation.",
    )


def _certificate(
    given: Plain,
    wanted: _Wanted,
    issuer: x509.Name,
    key: PrivateKey,
    authority_identifier: bytes | None,
    now: datetime,
    keys: Mapping[str, PrivateKey],
) -> Made:
    if given["isCaCertificate"] and not list(wanted.subject):
        raise PluginError(
            "Invalid Certificate Subject: Must contain at least one Distinguished Name when creating Certificate "
            "Authority (CA)."
        )
    ends = now + timedelta(hours=given["validityPeriodHours"])
    serial_number = secrets.randbits(128) or 1
    builder = (
        x509.CertificateBuilder()
        .subject_name(wanted.subject)
        .issuer_name(issuer)
        .public_key(wanted.public_key)
        .serial_number(serial_number)
        .not_valid_before(now)
        .not_valid_after(ends)
    )
    for critical, extension in _extensions(given, wanted, authority_identifier):
        builder = builder.add_extension(extension, critical=critical)
    return Made(
        str(serial_number),
        {
            "certPem": builder.sign(key, _hash_of(key)).public_bytes(Encoding.PEM).decode(),
            "validityStartTime": _instant(now),
            "validityEndTime": _instant(ends),
            **{name: algorithm_of(of) for name, of in keys.items()},
        },
    )


def _extensions(
    given: Plain, wanted: _Wanted, authority_identifier: bytes | None
) -> Iterator[tuple[bool, x509.ExtensionType]]:
    """Yield the extensions in Go's order, and whether they are critical."""
    if usage := key_usage(given["allowedUses"]):
        yield True, usage
    if extended := extended_key_usage(given["allowedUses"]):
        yield False, extended
    yield True, x509.BasicConstraints(ca=given["isCaCertificate"], path_length=_path_length(given))
    if _is_identified(given):
        yield False, x509.SubjectKeyIdentifier(_subject_key_identifier(wanted.public_key))
    if authority_identifier is not None:
        yield False, x509.AuthorityKeyIdentifier(authority_identifier, None, None)
    if wanted.alternative_names:
        yield not list(wanted.subject), x509.SubjectAlternativeName(wanted.alternative_names)


def _path_length(given: Plain) -> int | None:
    """Return the path length that Go encodes: it takes 0 for none, as nobody tells it otherwise (MaxPathLenZero)."""
    length: int | None = given.get("maxPathLength")
    if length is None or length <= 0:
        return None
    if not given["isCaCertificate"]:
        raise PluginError("Failed to create certificate: x509: only CAs are allowed to specify MaxPathLen.")
    return length


def _is_identified(given: Plain) -> bool:
    return bool(given["isCaCertificate"] or given["setSubjectKeyId"])


def _subject_key_identifier(public_key: PublicKey) -> bytes:
    """Return the hash of the key's bits (RFC 5280, 4.2.1.2); of an Ed25519 key the plugin hashes an octet string."""
    if isinstance(public_key, ed25519.Ed25519PublicKey):
        raw = public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return hashlib.sha1(bytes([4, len(raw)]) + raw, usedforsecurity=False).digest()
    return x509.SubjectKeyIdentifier.from_public_key(public_key).digest


def _identifier_in(authority: x509.Certificate) -> bytes | None:
    try:
        found = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return None
    return found.value.digest


def _may_issue(authority: x509.Certificate) -> bool:
    try:
        return authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _copied_names(asked: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    try:
        found = asked.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except x509.ExtensionNotFound:
        return []
    return names.copied_alternative_names(found) if isinstance(found, x509.SubjectAlternativeName) else []


def _load_request(pem: str) -> x509.CertificateSigningRequest:
    try:
        return x509.load_pem_x509_csr(pem.encode())
    except ValueError as error:
        raise PluginError(f"Failed to parse certificate request PEM: {error}") from error


def _load_certificate(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise PluginError(f"Failed to parse CA certificate PEM: {error}") from error


def _hash_of(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """Return the hash that Go signs with, by the key that signs."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    curve = key.curve.name if isinstance(key, ec.EllipticCurvePrivateKey) else ""
    if curve == "secp384r1":
        return hashes.SHA384()
    return hashes.SHA512() if curve == "secp521r1" else hashes.SHA256()


def _encoded(public_key: Any) -> bytes:
    encoded: bytes = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def _instant(at: datetime) -> str:
    """Return an instant as RFC 3339 has it, with a fraction of a second where there is one."""
    text = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{at.microsecond:06}".rstrip("0") if at.microsecond else ""
    return f"{text}{fraction}Z"
