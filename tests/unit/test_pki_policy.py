"""Issuance policies: what they take, what they refuse, and how they are read off a certificate."""

import ipaddress
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID
from hypothesis import given
from pydantic import ValidationError

from pki import IssuancePolicy, KeyType, Role, Subject, SubjectAlternativeNames
from tests.certificates import (
    NOW,
    Issued,
    authority_policy,
    issue,
    leaf_policy,
    policies,
    private_key,
    subject_alternative_names,
    subjects,
)


@pytest.fixture(scope="module")
def authority() -> Issued:
    return issue(authority_policy(validity_days=36_500))


@pytest.mark.parametrize("key_type", KeyType)
def test_a_key_is_recognised(key_type: KeyType) -> None:
    """A request with the right key would be refused."""
    assert KeyType.of(private_key(key_type).public_key()) is key_type


@pytest.mark.parametrize(
    "public_key",
    [
        rsa.generate_private_key(65537, 1024).public_key(),
        ec.generate_private_key(ec.SECP521R1()).public_key(),
        ec.generate_private_key(ec.SECP256K1()).public_key(),
        ed25519.Ed25519PrivateKey.generate().public_key(),
    ],
    ids=["RSA-1024", "P-521", "P-256K", "Ed25519"],
)
def test_a_key_of_another_type_is_none(public_key: CertificatePublicKeyTypes) -> None:
    """A key that Temporal Cloud or Key Vault refuses, or that has the right size on another curve, would pass."""
    assert KeyType.of(public_key) is None


@pytest.mark.parametrize("key_type", KeyType)
def test_a_key_type_is_rsa_or_a_curve(key_type: KeyType) -> None:
    assert (key_type.rsa_bits is None) is (key_type.curve is not None)


@given(subjects)
def test_a_subject_is_read_back_as_it_was(subject: Subject) -> None:
    """An imported certificate would be issued anew, under another name."""
    assert Subject.of(subject.name()) == subject


def test_a_subject_is_encoded_from_the_country_to_the_common_name() -> None:
    """Go compares names byte by byte: another order is another authority."""
    subject = Subject(common_name="orders", organizational_unit="Shop", organization="Contoso, Inc.", country="DE")
    assert [attribute.oid for attribute in subject.name()] == [
        NameOID.COUNTRY_NAME,
        NameOID.ORGANIZATION_NAME,
        NameOID.ORGANIZATIONAL_UNIT_NAME,
        NameOID.COMMON_NAME,
    ]
    assert subject.name().rfc4514_string() == "CN=orders,OU=Shop,O=Contoso\\, Inc.,C=DE"


COMMON_NAME = (NameOID.COMMON_NAME, "orders")


@pytest.mark.parametrize(
    "attributes",
    [
        [COMMON_NAME, (NameOID.ORGANIZATION_NAME, "Contoso")],
        [COMMON_NAME, COMMON_NAME],
        [(NameOID.LOCALITY_NAME, "Berlin"), COMMON_NAME],
        [(NameOID.ORGANIZATION_NAME, "Contoso")],
        [],
    ],
    ids=["another order", "twice", "another attribute", "no common name", "empty"],
)
def test_a_subject_that_would_be_encoded_otherwise_is_refused(attributes: list[tuple[Any, str]]) -> None:
    """The next issue would carry another name, and an authority's certificates would chain to nothing."""
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    with pytest.raises(ValueError, match="C, O, OU and CN in this order"):
        Subject.of(name)


def test_a_subject_with_two_attributes_in_one_part_is_refused() -> None:
    """CN=orders+O=Contoso is another name than CN=orders,O=Contoso."""
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Contoso"), x509.NameAttribute(*COMMON_NAME)]
    with pytest.raises(ValueError, match="in this order"):
        Subject.of(x509.Name([x509.RelativeDistinguishedName(parts)]))


@pytest.mark.parametrize(
    "fields",
    [
        {"common_name": ""},
        {"common_name": "a" * 65},
        {"common_name": "é" * 33},
        {"common_name": "a", "organization": ""},
        {"common_name": "a", "organization": "a" * 65},
        {"common_name": "a", "organizational_unit": "a" * 65},
        {"common_name": "a", "country": "de"},
        {"common_name": "a", "country": "DEU"},
        {"common_name": "a", "country": "DE\n"},
        {"common_name": "a", "locality": "Berlin"},
    ],
)
def test_a_subject_that_x509_cannot_hold_is_refused(fields: dict[str, str]) -> None:
    """It would fail when the key is made already."""
    with pytest.raises(ValidationError):
        Subject.model_validate(fields)


@pytest.mark.parametrize("fields", [{"common_name": "a" * 64}, {"common_name": "é" * 32}])
def test_the_longest_subject_can_be_encoded(fields: dict[str, str]) -> None:
    assert Subject.model_validate(fields).name()


@given(subject_alternative_names)
def test_names_are_read_back_as_they_were(names: SubjectAlternativeNames) -> None:
    """An imported certificate would be issued anew, for other names."""
    assert SubjectAlternativeNames.of(x509.SubjectAlternativeName(names.general_names())) == names


def test_no_extension_is_no_names() -> None:
    assert SubjectAlternativeNames.of(None) == SubjectAlternativeNames()


@pytest.mark.parametrize(
    "fields",
    [
        {"dns_names": ["frontend.müller.example"]},
        {"dns_names": [""]},
        {"ip_addresses": ["10.0.0.256"]},
        {"ip_addresses": ["10.0.0.0/8"]},
        {"ip_addresses": ["fe80::1%eth0"]},
        {"uris": ["spiffe://müller.example/orders"]},
        {"uris": [""]},
        {"emails": ["Orders <orders@example.com>"]},
        {"emails": [""]},
        {"directory_names": ["CN=orders"]},
    ],
)
def test_names_that_x509_cannot_hold_are_refused(fields: dict[str, list[str]]) -> None:
    """They would fail when the key is made already; a zone would be dropped, and found missing at each run."""
    with pytest.raises(ValidationError):
        SubjectAlternativeNames.model_validate(fields)


def test_a_wrong_address_is_one_problem() -> None:
    """Somebody with one typing error would be told of two."""
    with pytest.raises(ValidationError) as caught:
        SubjectAlternativeNames.model_validate({"ipAddresses": ["10.0.0.4", "10.0.0.256"]})
    assert [error["loc"] for error in caught.value.errors()] == [("ipAddresses", 1)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"role": Role.CLIENT, "path_length": 0}, "only an authority has a path length"),
        ({"role": Role.NODE, "path_length": 0}, "only an authority has a path length"),
        ({"role": Role.AUTHORITY, "renew_before_days": 1}, "never renewed by the clock"),
        ({"validity_days": 30, "renew_before_days": 30}, "renewed each day"),
        ({"validity_days": 30, "renew_before_days": 31}, "renewed each day"),
        ({"validity_days": 0, "renew_before_days": 0}, "greater than or equal to 1"),
        ({"validity_days": 36_501}, "less than or equal to 36500"),
        ({"renew_before_days": -1}, "greater than or equal to 0"),
        ({"role": Role.AUTHORITY, "renew_before_days": 0, "path_length": -1}, "greater than or equal to 0"),
        ({"role": "server"}, "authority"),
        ({"key_type": "RSA-1024"}, "RSA-2048"),
        ({"usages": []}, "not permitted"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    """It would be found out when a certificate is refused by Temporal, or never."""
    with pytest.raises(ValidationError, match=message):
        leaf_policy(**changes)


@pytest.mark.parametrize(
    "changes",
    [{"validity_days": 31}, {"validity_days": 1, "renew_before_days": 0}, {"renew_before_days": 0}],
)
def test_a_policy_at_the_limit_is_taken(changes: dict[str, Any]) -> None:
    assert leaf_policy(**changes).model_dump(include=set(changes)) == changes


@given(policies())
def test_a_policy_survives_the_state(policy: IssuancePolicy) -> None:
    """What the state holds would be another policy than the program's, and show as a change for ever."""
    data = policy.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert IssuancePolicy.model_validate(data) == policy
    assert IssuancePolicy.model_validate(data).model_dump(mode="json", by_alias=True, exclude_none=True) == data


@given(policies())
def test_the_policy_of_a_certificate_is_the_one_that_it_was_issued_under(
    authority: Issued, policy: IssuancePolicy
) -> None:
    """An imported certificate would be issued anew, as something else."""
    found = IssuancePolicy.of(issue(policy, authority if policy.role is not Role.AUTHORITY else None).certificate)
    window = 0 if policy.role is Role.AUTHORITY else policy.validity_days // 3
    assert found == policy.model_copy(update={"renew_before_days": window})


def test_what_is_valid_for_hours_has_a_policy_of_a_day() -> None:
    """Somebody's short-lived certificate could not be imported."""
    certificate = _self_signed(ec.generate_private_key(ec.SECP256R1()))
    policy = IssuancePolicy.of(certificate)
    assert (policy.role, policy.validity_days, policy.renew_before_days) == (Role.CLIENT, 1, 0)


@pytest.mark.parametrize("curve", [ec.SECP521R1(), ec.SECP256K1()])
def test_a_certificate_that_no_policy_can_express_is_refused(curve: ec.EllipticCurve) -> None:
    """It would be imported as something that it is not, and replaced."""
    with pytest.raises(ValueError, match="of none of the types"):
        IssuancePolicy.of(_self_signed(ec.generate_private_key(curve)))


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = Subject(common_name="orders").name()
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("::1"))])
    return (
        x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + timedelta(hours=8))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )


def test_a_policy_cannot_be_changed() -> None:
    """A policy that is shared between resources would change under one of them."""
    with pytest.raises(ValidationError, match="frozen"):
        leaf_policy().validity_days = 1  # type: ignore[misc]
