"""Keys, policies and certificates for tests, and what a certificate is asserted to be.

The assertions share no code with `pki`: a mistake in a profile there cannot hide here.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from hypothesis import strategies as st

from pki import Draft, IssuancePolicy, KeyType, Role, Subject, SubjectAlternativeNames, draft

NOW = datetime(2026, 3, 29, 12, 30, tzinfo=UTC)
"""A day on which Europe changes its clocks."""

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


AUTHORITY_KEY, LEAF_KEY, OTHER_KEY = "authority", "leaf", "other"


def private_key(key_type: KeyType, owner: str = LEAF_KEY) -> PrivateKey:
    """An owner's key of a type, made once a session: one of RSA-4096 takes a second."""
    return _private_key(key_type, owner)


@cache
def _private_key(key_type: KeyType, owner: str) -> PrivateKey:
    if key_type.curve is not None:
        return ec.generate_private_key(key_type.curve)
    assert key_type.rsa_bits is not None
    return rsa.generate_private_key(65537, key_type.rsa_bits)


def signature(unsigned: Draft, key: PrivateKey) -> bytes:
    """A signature of `key` over a draft, encoded as a vault answers it (RFC 7518, 3.3 and 3.4)."""
    algorithm = unsigned.algorithm.hash_algorithm
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(unsigned.digest, padding.PKCS1v15(), Prehashed(algorithm))
    size = (key.curve.key_size + 7) // 8
    r, s = decode_dss_signature(key.sign(unsigned.digest, ec.ECDSA(Prehashed(algorithm))))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: PrivateKey


def issue(
    policy: IssuancePolicy, issuer: Issued | None = None, *, now: datetime = NOW, owner: str | None = None
) -> Issued:
    """Issue under a policy, for its role's key unless an owner is named; without an issuer it signs itself."""
    key = private_key(policy.key_type, owner or (AUTHORITY_KEY if policy.role is Role.AUTHORITY else LEAF_KEY))
    unsigned = draft(policy, key.public_key(), issuer.certificate if issuer else None, now)
    return Issued(unsigned.signed(signature(unsigned, issuer.key if issuer else key)), key)


def authority_policy(common_name: str = "internode 1", **changes: Any) -> IssuancePolicy:
    """The policy of an authority that has none below it."""
    fields: dict[str, Any] = {
        "role": Role.AUTHORITY,
        "subject": Subject(common_name=common_name, organization="Contoso"),
        "key_type": KeyType.EC_P256,
        "validity_days": 1825,
        "path_length": 0,
    }
    return IssuancePolicy.model_validate(fields | changes)


def leaf_policy(common_name: str = "orders", **changes: Any) -> IssuancePolicy:
    """The policy of a client, or of the role in `changes`."""
    fields: dict[str, Any] = {
        "role": Role.CLIENT,
        "subject": Subject(common_name=common_name, organization="Contoso"),
        "subject_alternative_names": SubjectAlternativeNames(dns_names=(f"{common_name}.example.com",)),
        "key_type": KeyType.EC_P256,
        "validity_days": 90,
        "renew_before_days": 30,
    }
    return IssuancePolicy.model_validate(fields | changes)


_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=16)
_ASCII = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=16)
_LABEL = st.text("abcxyz019", min_size=1, max_size=6)
_DNS_NAME = st.lists(_LABEL, min_size=1, max_size=4).map(".".join)

subjects = st.fixed_dictionaries(
    {"common_name": _TEXT},
    optional={
        "organization": _TEXT,
        "organizational_unit": _TEXT,
        "country": st.text("ABCXYZ", min_size=2, max_size=2),
    },
).map(Subject.model_validate)

subject_alternative_names = st.fixed_dictionaries(
    {},
    optional={
        "dns_names": st.lists(_DNS_NAME, max_size=2),
        "ip_addresses": st.lists(st.ip_addresses(), max_size=2),
        "uris": st.lists(_ASCII.map(quote).map("spiffe://example.com/{}".format), max_size=2),
        "emails": st.lists(st.tuples(_LABEL, _DNS_NAME).map("@".join), max_size=2),
    },
).map(SubjectAlternativeNames.model_validate)

CURVES = (KeyType.EC_P256, KeyType.EC_P384)


@st.composite
def policies(
    draw: st.DrawFn, roles: tuple[Role, ...] = tuple(Role), key_types: tuple[KeyType, ...] = CURVES
) -> IssuancePolicy:
    """Any policy of these roles; the key types are the quick ones unless told."""
    role = draw(st.sampled_from(roles))
    validity_days = draw(st.integers(1, 3650))
    return IssuancePolicy(
        role=role,
        subject=draw(subjects),
        subject_alternative_names=draw(subject_alternative_names),
        key_type=draw(st.sampled_from(key_types)),
        validity_days=validity_days,
        renew_before_days=0 if role is Role.AUTHORITY else draw(st.integers(0, validity_days - 1)),
        path_length=draw(st.none() | st.integers(0, 3)) if role is Role.AUTHORITY else None,
    )


def assert_is_authority(certificate: x509.Certificate, *, path_length: int | None = 0) -> None:
    """It signs certificates and revocation lists, and can be nobody's TLS certificate in earnest."""
    _assert_profile(
        certificate,
        constraints=x509.BasicConstraints(ca=True, path_length=path_length),
        usages={"digital_signature", "key_cert_sign", "crl_sign"},
        extended_usages=None,
    )


def assert_is_node(certificate: x509.Certificate) -> None:
    """It serves and connects, as Temporal's server does towards its own kind."""
    _assert_is_leaf(certificate, {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH})


def assert_is_client(certificate: x509.Certificate) -> None:
    """It connects, and no server can present it."""
    _assert_is_leaf(certificate, {ExtendedKeyUsageOID.CLIENT_AUTH})


def _assert_is_leaf(certificate: x509.Certificate, extended_usages: set[x509.ObjectIdentifier]) -> None:
    transports_keys = isinstance(certificate.public_key(), rsa.RSAPublicKey)
    _assert_profile(
        certificate,
        constraints=x509.BasicConstraints(ca=False, path_length=None),
        usages={"digital_signature", "key_encipherment"} if transports_keys else {"digital_signature"},
        extended_usages=extended_usages,
    )


def _assert_profile(
    certificate: x509.Certificate,
    *,
    constraints: x509.BasicConstraints,
    usages: set[str],
    extended_usages: set[x509.ObjectIdentifier] | None,
) -> None:
    """Compare every extension, criticality included; nothing may be there that is not named here."""
    assert certificate.version is x509.Version.v3
    found = {extension.oid: extension for extension in certificate.extensions}
    basic = found.pop(ExtensionOID.BASIC_CONSTRAINTS)
    assert (basic.critical, basic.value) == (True, constraints)
    usage = found.pop(ExtensionOID.KEY_USAGE)
    assert (usage.critical, _named(usage.value)) == (True, usages)
    if extended_usages is not None:
        extended = found.pop(ExtensionOID.EXTENDED_KEY_USAGE)
        assert isinstance(extended.value, x509.ExtendedKeyUsage)
        assert (extended.critical, set(extended.value)) == (False, extended_usages)
    subject_key = found.pop(ExtensionOID.SUBJECT_KEY_IDENTIFIER)
    own = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
    assert (subject_key.critical, subject_key.value) == (False, own)
    authority_key = found.pop(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)
    assert isinstance(authority_key.value, x509.AuthorityKeyIdentifier)
    assert not authority_key.critical
    assert (authority_key.value.key_identifier == own.digest) is (certificate.issuer == certificate.subject)
    names = found.pop(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, None)
    assert names is None or not names.critical
    assert not found


_SETTABLE = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)


def _named(value: x509.ExtensionType) -> set[str]:
    assert isinstance(value, x509.KeyUsage)
    return {name for name in _SETTABLE if getattr(value, name)}
