"""What each role's certificate may be used for, exactly."""

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from hypothesis import given

from pki import IssuancePolicy, KeyType, Role
from tests.certificates import (
    Issued,
    assert_is_authority,
    assert_is_client,
    assert_is_node,
    authority_policy,
    issue,
    leaf_policy,
    policies,
)


@pytest.fixture(scope="module")
def authority() -> Issued:
    return issue(authority_policy(validity_days=36_500))


@pytest.mark.parametrize("key_type", KeyType)
def test_an_authority_signs_and_does_nothing_else(key_type: KeyType) -> None:
    """With an extended usage it would be somebody's TLS certificate; without a path length it could have more below."""
    assert_is_authority(issue(authority_policy(key_type=key_type)).certificate, path_length=0)


@pytest.mark.parametrize("path_length", [None, 0, 2])
def test_an_authority_has_its_own_path_length(path_length: int | None) -> None:
    certificate = issue(authority_policy(path_length=path_length)).certificate
    assert_is_authority(certificate, path_length=path_length)


@pytest.mark.parametrize("key_type", KeyType)
def test_a_node_serves_and_connects(authority: Issued, key_type: KeyType) -> None:
    """Temporal's server presents one certificate both ways: with one usage its services refuse each other."""
    assert_is_node(issue(leaf_policy(role=Role.NODE, key_type=key_type), authority).certificate)


@pytest.mark.parametrize("key_type", KeyType)
def test_a_client_connects_and_never_serves(authority: Issued, key_type: KeyType) -> None:
    """A worker's certificate could pass for the server's."""
    assert_is_client(issue(leaf_policy(key_type=key_type), authority).certificate)


@pytest.mark.parametrize("role", [Role.NODE, Role.CLIENT])
def test_the_assertions_tell_the_roles_apart(authority: Issued, role: Role) -> None:
    """An assertion that passes for every certificate proves nothing."""
    certificate = issue(leaf_policy(role=role), authority).certificate
    wrong = {assert_is_authority, assert_is_node, assert_is_client} - {
        assert_is_node if role is Role.NODE else assert_is_client
    }
    for assertion in wrong:
        with pytest.raises((AssertionError, KeyError)):
            assertion(certificate)
    with pytest.raises((AssertionError, KeyError)):
        assert_is_client(authority.certificate)


@given(policies())
def test_no_certificate_is_for_every_purpose(authority: Issued, policy: IssuancePolicy) -> None:
    """`anyExtendedKeyUsage` undoes every distinction between the roles."""
    certificate = issue(policy, None if policy.role is Role.AUTHORITY else authority).certificate
    usages = [item.value for item in certificate.extensions if item.oid == ExtensionOID.EXTENDED_KEY_USAGE]
    assert (usages == []) is (policy.role is Role.AUTHORITY)
    for usage in usages:
        assert isinstance(usage, x509.ExtendedKeyUsage)
        assert ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in usage


def test_without_names_there_is_no_extension_for_them(authority: Issued) -> None:
    """RFC 5280, 4.2.1.6: if the extension is there, it has at least one name."""
    certificate = issue(leaf_policy(subject_alternative_names={}), authority).certificate
    assert_is_client(certificate)
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
