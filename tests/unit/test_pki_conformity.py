"""In what a certificate differs from its policy: nothing that matters goes unseen, and nothing else is found."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from hypothesis import given
from hypothesis import strategies as st

from pki import IssuancePolicy, KeyType, Role, deviations, load_certificate
from tests.certificates import (
    NOW,
    OTHER_KEY,
    authority_policy,
    issue,
    leaf_policy,
    policies,
    private_key,
)

POLICY = leaf_policy()
AUTHORITY = issue(authority_policy())
IMPOSTOR = issue(authority_policy(), owner=OTHER_KEY)


@given(policies())
def test_what_is_issued_conforms(policy: IssuancePolicy) -> None:
    """Each `up` would find its own certificate wrong and issue it anew."""
    assert _deviations(policy, policy) == []


@pytest.mark.parametrize("key_type", KeyType)
@pytest.mark.parametrize("role", Role)
def test_every_kind_of_certificate_conforms(role: Role, key_type: KeyType) -> None:
    if role is Role.AUTHORITY:
        policy = authority_policy(key_type=key_type)
        assert deviations(issue(policy).certificate, policy, None) == []
    else:
        policy = leaf_policy(role=role, key_type=key_type)
        assert deviations(issue(policy, AUTHORITY).certificate, policy, AUTHORITY.certificate) == []


@given(
    policies(),
    policies(),
    st.sampled_from([{"role", "path_length"}, {"subject"}, {"subject_alternative_names"}, {"key_type"}]),
)
def test_it_conforms_to_no_policy_that_differs(policy: IssuancePolicy, donor: IssuancePolicy, fields: set[str]) -> None:
    """A change of the settings would never reach the certificate."""
    other = policy.model_copy(update={field: getattr(donor, field) for field in fields})
    assert (_deviations(policy, other) == []) is (policy == other)


CHANGES: dict[str, Any] = {
    "role": Role.NODE,
    "subject": {"common_name": "orders", "organization": "Contoso", "country": "DE"},
    "subject_alternative_names": {"dns_names": ["orders.example.com", "orders.internal"]},
    "key_type": KeyType.EC_P384,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_one_field_is_found(name: str) -> None:
    certificate = issue(POLICY, AUTHORITY).certificate
    assert deviations(certificate, leaf_policy(**{name: CHANGES[name]}), AUTHORITY.certificate)


@given(st.integers(1, 397), st.integers(0, 397))
def test_how_long_it_is_valid_is_no_deviation(validity_days: int, window: int) -> None:
    """That is the renewal's question: a shorter validity in the settings must not look like somebody's doing."""
    certificate = issue(POLICY, AUTHORITY, now=NOW + timedelta(days=800)).certificate
    policy = leaf_policy(validity_days=validity_days, renew_before_days=min(window, validity_days - 1))
    assert deviations(certificate, policy, AUTHORITY.certificate) == []


def test_another_key_and_serial_number_are_no_deviation() -> None:
    """A renewal makes both anew."""
    certificate = issue(POLICY, AUTHORITY, owner=OTHER_KEY).certificate
    assert deviations(certificate, POLICY, AUTHORITY.certificate) == []


def test_a_renewed_authority_is_the_same_issuer() -> None:
    """Every leaf would be issued anew when its authority is renewed, under the same key and name."""
    renewed = issue(authority_policy(), now=NOW + timedelta(days=1000))
    assert deviations(issue(POLICY, AUTHORITY).certificate, POLICY, renewed.certificate) == []


# One deviation at a time, in certificates that no policy makes


@dataclass(frozen=True)
class Forgery:
    """What a leaf of POLICY is made of, to be changed in one thing."""

    subject: x509.Name
    issuer: x509.Name
    public_key: ec.EllipticCurvePublicKey
    extensions: dict[x509.ObjectIdentifier, x509.Extension[x509.ExtensionType]]
    signer: ec.EllipticCurvePrivateKey

    def certificate(self) -> x509.Certificate:
        builder = x509.CertificateBuilder(
            self.issuer, self.subject, self.public_key, 1, NOW - timedelta(days=1), NOW + timedelta(days=90)
        )
        for extension in self.extensions.values():
            builder = builder.add_extension(extension.value, extension.critical)
        return builder.sign(self.signer, hashes.SHA256())

    def with_extension(self, value: x509.ExtensionType, *, critical: bool) -> "Forgery":
        return replace(self, extensions=self.extensions | {value.oid: x509.Extension(value.oid, critical, value)})

    def without_extension(self, oid: x509.ObjectIdentifier) -> "Forgery":
        return replace(self, extensions={key: item for key, item in self.extensions.items() if key != oid})


def _genuine() -> Forgery:
    certificate = issue(POLICY, AUTHORITY).certificate
    public_key = certificate.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    assert isinstance(AUTHORITY.key, ec.EllipticCurvePrivateKey)
    return Forgery(
        subject=certificate.subject,
        issuer=certificate.issuer,
        public_key=public_key,
        extensions={extension.oid: extension for extension in certificate.extensions},
        signer=AUTHORITY.key,
    )


def _usage(**changes: bool) -> x509.KeyUsage:
    usages = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**({"digital_signature": True} | usages | changes))


def _issued_by_impostor(forgery: Forgery) -> Forgery:
    assert isinstance(IMPOSTOR.key, ec.EllipticCurvePrivateKey)
    return replace(forgery, signer=IMPOSTOR.key)


def _self_signed(forgery: Forgery) -> Forgery:
    key = private_key(KeyType.EC_P256)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return replace(forgery, issuer=forgery.subject, signer=key)


def _name(common_name: str) -> x509.Name:
    return leaf_policy(common_name).subject.name()


CLIENT_AUTH, SERVER_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
USAGE = _usage()
NAMES = x509.SubjectAlternativeName([x509.DNSName("orders.example.com")])
OTHER_NAME = x509.DNSName("billing.example.com")
KEY_ID = x509.SubjectKeyIdentifier.from_public_key(private_key(KeyType.EC_P256).public_key())
OTHER_KEY_ID = x509.SubjectKeyIdentifier(b"\1" * 20)
AUTHORITY_ID = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
    AUTHORITY.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
)
NO_CA = x509.BasicConstraints(ca=False, path_length=None)


def _with(value: x509.ExtensionType, *, critical: bool) -> Callable[[Forgery], Forgery]:
    return lambda forgery: forgery.with_extension(value, critical=critical)


def _without(oid: x509.ObjectIdentifier) -> Callable[[Forgery], Forgery]:
    return lambda forgery: forgery.without_extension(oid)


DEVIATIONS: dict[str, tuple[Callable[[Forgery], Forgery], str]] = {
    "subject": (lambda it: replace(it, subject=_name("billing")), "its subject is CN=billing,O=Contoso"),
    "issuer's name": (lambda it: replace(it, issuer=_name("internode 2")), "it was not issued by CN=internode 1"),
    "issuer's key": (_issued_by_impostor, "it was not issued by CN=internode 1"),
    "no constraints": (_without(ExtensionOID.BASIC_CONSTRAINTS), "its extension basicConstraints differs"),
    "authority": (_with(x509.BasicConstraints(ca=True, path_length=None), critical=True), "basicConstraints differs"),
    "constraints not critical": (_with(NO_CA, critical=False), "basicConstraints differs"),
    "no usage": (_without(ExtensionOID.KEY_USAGE), "keyUsage differs"),
    "usage not critical": (_with(USAGE, critical=False), "keyUsage differs"),
    "no signatures": (_with(_usage(digital_signature=False, key_agreement=True), critical=True), "keyUsage differs"),
    "signs certificates": (_with(_usage(key_cert_sign=True), critical=True), "keyUsage differs"),
    "transports keys": (_with(_usage(key_encipherment=True), critical=True), "keyUsage differs"),
    "no purpose": (_without(ExtensionOID.EXTENDED_KEY_USAGE), "extendedKeyUsage differs"),
    "every purpose": (
        _with(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), critical=False),
        "extendedKeyUsage differs",
    ),
    "serves, too": (_with(x509.ExtendedKeyUsage([SERVER_AUTH, CLIENT_AUTH]), critical=False), "extendedKeyUsage"),
    "serves instead": (_with(x509.ExtendedKeyUsage([SERVER_AUTH]), critical=False), "extendedKeyUsage differs"),
    "purpose critical": (_with(x509.ExtendedKeyUsage([CLIENT_AUTH]), critical=True), "extendedKeyUsage differs"),
    "no names": (_without(ExtensionOID.SUBJECT_ALTERNATIVE_NAME), "subjectAltName differs"),
    "another name": (_with(x509.SubjectAlternativeName([OTHER_NAME]), critical=False), "subjectAltName differs"),
    "one name more": (_with(x509.SubjectAlternativeName([*NAMES, OTHER_NAME]), critical=False), "subjectAltName"),
    "name of another kind": (
        _with(x509.SubjectAlternativeName([x509.RFC822Name("orders.example.com")]), critical=False),
        "subjectAltName differs",
    ),
    "names critical": (_with(NAMES, critical=True), "subjectAltName differs"),
    "no key identifier": (_without(ExtensionOID.SUBJECT_KEY_IDENTIFIER), "subjectKeyIdentifier differs"),
    "another key identifier": (_with(OTHER_KEY_ID, critical=False), "subjectKeyIdentifier differs"),
    "key identifier critical": (_with(KEY_ID, critical=True), "subjectKeyIdentifier differs"),
    "no authority identifier": (_without(ExtensionOID.AUTHORITY_KEY_IDENTIFIER), "authorityKeyIdentifier differs"),
    "another authority identifier": (
        _with(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(OTHER_KEY_ID), critical=False),
        "authorityKeyIdentifier differs",
    ),
    "authority identifier with a serial number": (
        _with(
            x509.AuthorityKeyIdentifier(AUTHORITY_ID.key_identifier, [x509.DirectoryName(_name("internode 1"))], 1),
            critical=False,
        ),
        "authorityKeyIdentifier differs",
    ),
    "one extension more": (_with(x509.OCSPNoCheck(), critical=False), "OCSPNoCheck differs"),
    "an unknown extension": (
        _with(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\5\0"), critical=False),
        "its extension 1.3.6.1.4.1.99999.1 differs",
    ),
    "a constraint that cannot be read": (
        _with(x509.UnrecognizedExtension(ExtensionOID.BASIC_CONSTRAINTS, b"garbage"), critical=True),
        "its extensions cannot be read",
    ),
}


def test_a_forgery_with_nothing_changed_conforms() -> None:
    """Otherwise the deviations below would be found for another reason."""
    assert deviations(_genuine().certificate(), POLICY, AUTHORITY.certificate) == []


@pytest.mark.parametrize(("change", "words"), DEVIATIONS.values(), ids=DEVIATIONS)
def test_a_single_deviation_is_found_alone(change: Callable[[Forgery], Forgery], words: str) -> None:
    """Somebody's version under the same name would be taken for ours, or blamed for more than it is."""
    found = deviations(change(_genuine()).certificate(), POLICY, AUTHORITY.certificate)
    assert len(found) == 1
    assert words in found[0]


def test_what_signed_itself_was_not_issued() -> None:
    """Key Vault's own renewal of a leaf with an issuer `Self` looks like this."""
    found = deviations(_self_signed(_genuine()).certificate(), POLICY, AUTHORITY.certificate)
    assert found == ["it was not issued by CN=internode 1,O=Contoso"]


def test_an_authority_that_another_issued_did_not_sign_itself() -> None:
    root = issue(authority_policy("root", path_length=1), owner=OTHER_KEY)
    policy = authority_policy()
    certificate = issue(policy, root).certificate
    assert deviations(certificate, policy, root.certificate) == []
    assert "it was not issued by CN=internode 1,O=Contoso" in deviations(certificate, policy, None)


def test_a_certificate_of_version_1_is_found(tmp_path: Path) -> None:
    """It has no extensions, so old software takes it for an authority's."""
    certificate = load_certificate(_openssl_version_1(tmp_path))
    assert certificate.version is x509.Version.v1
    assert "it is not an X.509v3 certificate" in deviations(certificate, IssuancePolicy.of(certificate), None)


def test_a_key_of_no_known_type_is_found() -> None:
    key = ec.generate_private_key(ec.SECP521R1())
    certificate = replace(_genuine(), public_key=key.public_key()).certificate()
    found = deviations(certificate, POLICY, AUTHORITY.certificate)
    assert found[0] == "its key is not EC-P256"


def _deviations(policy: IssuancePolicy, asked: IssuancePolicy) -> list[str]:
    """How what is issued under one policy deviates from another; both have the issuer of the first."""
    if policy.role is Role.AUTHORITY:
        return deviations(issue(policy).certificate, asked, None)
    return deviations(issue(policy, AUTHORITY).certificate, asked, AUTHORITY.certificate)


def _openssl_version_1(folder: Path) -> str:
    # Without a configuration file there are no extensions, and so there is version 1.
    (folder / "empty.cnf").write_text("[req]\ndistinguished_name = name\n[name]\n")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    options = ["-config", "empty.cnf", "-keyout", "old.key", "-subj", "/CN=old", "-days", "30"]
    return subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, check=True).stdout
