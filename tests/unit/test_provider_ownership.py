"""Whose a certificate in a vault is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.ownership import Owner, maker

TYPES = "temporal-azure:components:MutualTls$temporal-azure:components:Certificate$temporalazure:keyvault:Certificate"
URN = f"urn:pulumi:dev::temporal-azure::{TYPES}::orders"

names = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.", min_size=1, max_size=120)
urns = st.builds("urn:pulumi:{}::{}::{}::{}".format, names, names, st.just(TYPES), names)


def test_a_certificate_says_who_made_it() -> None:
    assert Owner(URN).tags == {"pulumi-project": "temporal-azure", "pulumi-stack": "dev", "pulumi-urn": URN}


@given(urns, st.dictionaries(st.text(), st.text()))
def test_an_owner_knows_its_own_whatever_else_is_on_it(urn: str, more: dict[str, str]) -> None:
    """A killed run would not find what it had begun, once somebody had added a tag."""
    owner = Owner(urn)
    assert owner.owns({**more, **owner.tags})
    assert all(len(value) <= 256 for value in owner.tags.values())


@given(urns, urns)
def test_what_another_resource_made_is_not_owned(one: str, other: str) -> None:
    """Two stacks, or two resources of one stack, would overwrite each other's certificate."""
    assert Owner(one).owns(Owner(other).tags) is (one == other)


@pytest.mark.parametrize("missing", ["pulumi-project", "pulumi-stack", "pulumi-urn"])
def test_what_lost_a_tag_is_not_owned(missing: str) -> None:
    tags = Owner(URN).tags
    del tags[missing]
    assert not Owner(URN).owns(tags)
    assert not Owner(URN).owns({**tags, missing: "another"})
    assert not Owner(URN).owns({})


def test_a_long_urn_still_tells_resources_apart() -> None:
    """Key Vault takes no longer value: cut off, two URNs could be one."""
    prefix = f"urn:pulumi:dev::temporal-azure::{'a' * 240}::"
    one, other = Owner(f"{prefix}orders"), Owner(f"{prefix}billing")
    assert len(one.tags["pulumi-urn"]) <= 256
    assert not one.owns(other.tags)
    assert one.owns(Owner(f"{prefix}orders").tags)


@pytest.mark.parametrize(("length", "as_it_is"), [(256, True), (257, False)])
def test_only_a_urn_that_is_too_long_is_hashed(length: int, as_it_is: bool) -> None:
    """A person reads the tag to find the resource."""
    urn = f"urn:pulumi:dev::p::t::{'n' * length}"[:length]
    assert (Owner(urn).tags["pulumi-urn"] == urn) is as_it_is


def test_a_message_says_whose_it_is() -> None:
    assert maker(Owner(URN).tags) == "made by the stack dev of the project temporal-azure"
    assert maker({"owner": "me"}) == "made by hand or by another program"
