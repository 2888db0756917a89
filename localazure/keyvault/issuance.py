"""Signing requests and certificates from a policy, and the two forms in which a certificate is a secret."""

import base64
import calendar
import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from localazure.keyvault import material, subjects
from localazure.keyvault.material import PrivateKey
from localazure.keyvault.policy import PEM, PKCS12, Policy, SubjectAlternativeNames

BACKDATED = timedelta(minutes=10)

_UPN = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
_USAGE_FLAGS = {
    "cRLSign": "crl_sign",
    "dataEncipherment": "data_encipherment",
    "decipherOnly": "decipher_only",
    "digitalSignature": "digital_signature",
    "encipherOnly": "encipher_only",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "keyEncipherment": "key_encipherment",
    "nonRepudiation": "content_commitment",
}


def signing_request(policy: Policy, key: PrivateKey) -> str:
    """A PKCS #10 request with the policy's subject and extensions, DER, base64."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(policy))
    for extension, critical in [*_requested(policy), (_END_ENTITY, False)]:
        builder = builder.add_extension(extension, critical)
    request = builder.sign(key, _signing_hash(key))
    return base64.b64encode(request.public_bytes(serialization.Encoding.DER)).decode()


def self_signed(policy: Policy, key: PrivateKey, now: float) -> x509.Certificate:
    """An end-entity certificate that the key itself signs, as issuer `Self` does: valid from ten minutes ago."""
    not_before, not_after = validity(policy, now)
    subject = _subject(policy)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    for extension, critical in [
        *_requested(policy),
        (_END_ENTITY, False),
        (authority, False),
        (identifier, False),
    ]:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, _signing_hash(key))


def validity(policy: Policy, now: float) -> tuple[datetime, datetime]:
    """From ten minutes ago until the policy's number of calendar months from now."""
    start = datetime.fromtimestamp(int(now), UTC)
    years, month = divmod(start.month - 1 + policy.x509_props.validity_months, 12)
    year, month = start.year + years, month + 1
    day = min(start.day, calendar.monthrange(year, month)[1])
    return start - BACKDATED, start.replace(year=year, month=month, day=day)


def secret_value(
    leaf: x509.Certificate, chain: Sequence[x509.Certificate], key: PrivateKey | None, content_type: str
) -> str:
    """The certificate as a secret: PEM text, or PKCS #12 in base64 without a password; no `key`, no private key in it.

    `chain` has the leaf in it, in the order that PEM text keeps.
    """
    if content_type == PEM:
        certificates = "".join(certificate.public_bytes(serialization.Encoding.PEM).decode() for certificate in chain)
        return (_private_pem(key) if key else "") + certificates
    others = [certificate for certificate in chain if certificate != leaf]
    bundle = pkcs12.serialize_key_and_certificates(None, key, leaf, others, serialization.NoEncryption())
    return base64.b64encode(bundle).decode()


def parse_secret_value(value: str, password: str | None) -> tuple[PrivateKey, list[x509.Certificate], str]:
    """The key, the certificates and the content type of what a caller imports: PEM, or base64 of PKCS #12 or PEM.

    ValueError if it is neither, or has no private key, or one that is not served.
    """
    data = value.encode() if "-----BEGIN" in value else base64.b64decode(value, validate=True)
    secret = password.encode() if password else None
    if b"-----BEGIN" in data:
        key: object = serialization.load_pem_private_key(data, secret)
        certificates = x509.load_pem_x509_certificates(data)
        content_type = PEM
    else:
        key, first, others = pkcs12.load_key_and_certificates(data, secret)
        certificates = [certificate for certificate in (first, *others) if certificate is not None]
        content_type = PKCS12
    if not isinstance(key, PrivateKey):
        raise ValueError("no private key that is served")
    return key, certificates, content_type


def leaf_of(certificates: Sequence[x509.Certificate], key: PrivateKey) -> x509.Certificate | None:
    """The certificate that the key belongs to."""
    wanted = material.public_bytes(key.public_key())
    for certificate in certificates:
        public_key = certificate.public_key()
        if isinstance(public_key, material.PublicKey) and material.public_bytes(public_key) == wanted:
            return certificate
    return None


def described(leaf: x509.Certificate) -> dict[str, object]:
    """The `x509_props` of a policy that an imported certificate fits."""
    properties: dict[str, object] = {
        "subject": subjects.write(leaf.subject),
        "ekus": [],
        "key_usage": [],
        "validity_months": max(1, round((leaf.not_valid_after_utc - leaf.not_valid_before_utc).days / 30.4375)),
    }
    for extension in leaf.extensions:
        match extension.value:
            case x509.ExtendedKeyUsage() as purposes:
                properties["ekus"] = [oid.dotted_string for oid in purposes]
            case x509.KeyUsage() as usage:
                properties["key_usage"] = [name for name, flag in _USAGE_FLAGS.items() if _has(usage, flag)]
            case x509.SubjectAlternativeName() as names:
                properties["sans"] = {
                    "dns_names": names.get_values_for_type(x509.DNSName),
                    "emails": names.get_values_for_type(x509.RFC822Name),
                    "uris": names.get_values_for_type(x509.UniformResourceIdentifier),
                    "ip_addresses": [str(address) for address in names.get_values_for_type(x509.IPAddress)],
                }
            case _:
                pass
    return properties


_END_ENTITY = x509.BasicConstraints(ca=False, path_length=None)


def _requested(policy: Policy) -> list[tuple[x509.ExtensionType, bool]]:
    properties = policy.x509_props
    extensions: list[tuple[x509.ExtensionType, bool]] = []
    if properties.key_usage:
        flags = {flag: name in properties.key_usage for name, flag in _USAGE_FLAGS.items()}
        extensions.append((x509.KeyUsage(**flags), True))
    if properties.ekus:
        extensions.append((x509.ExtendedKeyUsage([x509.ObjectIdentifier(oid) for oid in properties.ekus]), False))
    if properties.sans and (names := _general_names(properties.sans)):
        extensions.append((x509.SubjectAlternativeName(names), not properties.subject))
    return extensions


def _general_names(sans: SubjectAlternativeNames) -> list[x509.GeneralName]:
    return [
        *(x509.DNSName(name) for name in sans.dns_names or []),
        *(x509.RFC822Name(address) for address in sans.emails or []),
        *(x509.OtherName(_UPN, asn1.encode_der(name)) for name in sans.upns or []),
        *(x509.UniformResourceIdentifier(uri) for uri in sans.uris or []),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in sans.ip_addresses or []),
    ]


def _subject(policy: Policy) -> x509.Name:
    subject = policy.x509_props.subject
    return subjects.parse(subject) if subject else x509.Name([])


def _signing_hash(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    match material.curve_of(key):
        case "P-384":
            return hashes.SHA384()
        case "P-521":
            return hashes.SHA512()
        case _:
            return hashes.SHA256()


def _private_pem(key: PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _has(usage: x509.KeyUsage, flag: str) -> bool:
    if flag in ("encipher_only", "decipher_only") and not usage.key_agreement:
        return False
    return bool(getattr(usage, flag))
