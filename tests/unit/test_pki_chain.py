"""The order of certificates: a leaf, then whoever issued it, up to the root."""

import itertools

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from pki import KeyType, chain_of, load_certificate, load_certificates, to_pem
from pki.chain import issued
from tests.certificates import LEAF_KEY, OTHER_KEY, Issued, authority_policy, issue, leaf_policy

ROOT = issue(authority_policy("root", path_length=None), owner="root")
UPPER = issue(authority_policy("upper", path_length=None), ROOT, owner="upper")
LOWER = issue(authority_policy("lower", path_length=None), UPPER, owner="lower")
LEAF = issue(leaf_policy(), LOWER)
STRANGER = issue(authority_policy("stranger"), owner=OTHER_KEY)
NAMESAKE = issue(authority_policy("upper", path_length=None), owner=OTHER_KEY)
RENEWED_ROOT = issue(authority_policy("root", path_length=None, validity_days=3650), owner="root")

CHAIN = [authority.certificate for authority in (LOWER, UPPER, ROOT)]


@given(st.permutations([*CHAIN, STRANGER.certificate, NAMESAKE.certificate, LEAF.certificate]))
def test_the_chain_is_found_in_any_pool(pool: list[x509.Certificate]) -> None:
    """Servers present the chain in this order, and many clients take no other (RFC 5246, 7.4.2)."""
    assert chain_of(LEAF.certificate, pool) == CHAIN


def test_a_root_has_no_chain() -> None:
    assert chain_of(ROOT.certificate, []) == []


@pytest.mark.parametrize("missing", range(3))
def test_a_missing_link_is_an_error(missing: int) -> None:
    """A chain that ends early is refused by every consumer, later and elsewhere."""
    pool = [link for index, link in enumerate(CHAIN) if index != missing]
    with pytest.raises(ValueError, match="lead from CN=orders,O=Contoso to no root"):
        chain_of(LEAF.certificate, [*pool, STRANGER.certificate, NAMESAKE.certificate])


def test_any_certificate_of_a_renewed_authority_will_do() -> None:
    """While an authority is renewed, both of its certificates are about."""
    for pool in itertools.permutations(
        [LOWER.certificate, UPPER.certificate, ROOT.certificate, RENEWED_ROOT.certificate]
    ):
        assert chain_of(LEAF.certificate, pool)[:2] == CHAIN[:2]


def test_a_way_to_a_root_is_found_beside_one_that_ends() -> None:
    """An authority that is certified by a missing one, too, must not hide its own root."""
    gone = issue(authority_policy("gone", path_length=None), owner="gone")
    crossed = issue(authority_policy("root", path_length=None), gone, owner="root")
    for pool in itertools.permutations([*CHAIN, crossed.certificate]):
        assert chain_of(LEAF.certificate, pool) == CHAIN


def test_a_loop_is_an_error() -> None:
    """Two authorities that certify each other would be followed for ever."""
    one, other = _certified_by_each_other()
    leaf = issue(leaf_policy(), one)
    for pool in itertools.permutations([one.certificate, other.certificate]):
        with pytest.raises(ValueError, match="to no root"):
            chain_of(leaf.certificate, pool)
        with pytest.raises(ValueError, match="to no root"):
            chain_of(one.certificate, pool)


def test_a_loop_beside_the_root_is_left() -> None:
    one, other = _certified_by_each_other()
    root = issue(authority_policy("other", path_length=None), owner="other")
    leaf = issue(leaf_policy(), one)
    for pool in itertools.permutations([one.certificate, other.certificate, root.certificate]):
        assert chain_of(leaf.certificate, pool) == [one.certificate, root.certificate]


def test_the_name_alone_issues_nothing() -> None:
    """An impostor with the authority's name is not the issuer, nor is a namesake with another type of key."""
    assert issued(LOWER.certificate, by=UPPER.certificate)
    assert not issued(LOWER.certificate, by=NAMESAKE.certificate)
    rsa = issue(authority_policy("upper", path_length=None, key_type=KeyType.RSA_2048), owner=LEAF_KEY)
    assert not issued(LOWER.certificate, by=rsa.certificate)


def test_the_key_alone_issues_nothing() -> None:
    """Consumers look issuers up by name: the same key under another name is another authority."""
    renamed = issue(authority_policy("renamed", path_length=None), owner="upper")
    assert not issued(LOWER.certificate, by=renamed.certificate)


def test_pem_is_read_back_in_its_order() -> None:
    text = "".join(to_pem(certificate) for certificate in (LEAF.certificate, *CHAIN))
    assert load_certificates(text) == [LEAF.certificate, *CHAIN]
    assert load_certificate(text) == LEAF.certificate
    assert text.endswith("-----END CERTIFICATE-----\n")


@pytest.mark.parametrize("text", ["", "none", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "é"])
def test_what_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        load_certificate(text)


def _certified_by_each_other() -> tuple[Issued, Issued]:
    signs_one = issue(authority_policy("other", path_length=None), owner="other")
    one = issue(authority_policy("one", path_length=None), signs_one, owner="one")
    return one, issue(authority_policy("other", path_length=None), one, owner="other")
