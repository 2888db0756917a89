"""Custody `state`: what it has no place for is refused, with the setting's path; what it has a place for is not."""

from typing import Any

import pytest

from settings import Custody
from tests.unit.configured import parsed, paths, refusal

STATE = {"location": "westeurope", "authorization": "none", "custody": "state"}
VAULTS = {"location": "westeurope", "authorization": "none"}
ALICE = {"id": "aaaaaaaa-0000-4000-8000-000000000001", "kind": "User"}


def orders(**settings: object) -> dict[str, Any]:
    return {"certificates": {"orders": settings}}


REFUSED: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "a tier": ({"vaults": {"sku": "premium"}}, "vaults.sku", "no vaults", "custody: key-vault"),
    "the tier that is the default": ({"vaults": {"sku": "standard"}}, "vaults.sku", "no effect", "Leave it out"),
    "a firewall": (
        {"vaults": {"network": {"defaultAction": "Deny", "allowedAddresses": ["203.0.113.7"]}}},
        "vaults.network",
        "no vaults",
        "Leave it out",
    ),
    "a generation of vaults": ({"vaults": {"generation": 2}}, "vaults.generation", "no vaults", "Leave it out"),
    "readers": ({"access": {"readers": {"*": [ALICE]}}}, "access.readers", "can read every key", "secrets provider"),
    "deployers": ({"access": {"deployers": [ALICE]}}, "access.deployers", "no role guards", "secrets provider"),
    "no role assignments": ({"access": {"manage": False}}, "access.manage", "no role guards", "Leave it out"),
    "mail addresses": (
        orders(emails=["ops@example.com"]),
        "certificates.orders.emails",
        "would issue the certificate without it",
        "name a URI",
    ),
    "an address in another form": (
        orders(ipAddresses=["10.0.0.7", "::ffff:10.0.0.8"]),
        "certificates.orders.ipAddresses[1]",
        "writes it as 10.0.0.8",
        "IPv4",
    ),
    "a scheme in upper case": (
        orders(uris=["SPIFFE://example.org/orders"]),
        "certificates.orders.uris[0]",
        "does not write it as it stands",
        "lower case",
    ),
    "an empty fragment": (orders(uris=["a:b", "a:b#"]), "certificates.orders.uris[1]", "otherwise", "empty fragment"),
    "what RFC 3986 does not allow": (orders(uris=["a:b|c"]), "certificates.orders.uris[0]", "otherwise", "RFC 3986"),
    "a wrong encoding": (orders(uris=["a:b%2"]), "certificates.orders.uris[0]", "otherwise", "RFC 3986"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_state_has_no_place_for_is_refused_and_never_dropped(name: str) -> None:
    """Prevents a certificate that lacks what was asked for, and a protection that somebody relies on in vain."""
    written, path, what, fix = REFUSED[name]
    error = refusal({**STATE, **written})
    assert paths(error) == [path]
    assert what in str(error)
    assert fix in str(error)
    assert "custody is state" in str(error)
    parsed({**VAULTS, **written})


def test_all_of_it_is_said_at_once() -> None:
    written = {"vaults": {"sku": "premium", "generation": 2}, **orders(emails=["a@example.com"], uris=["A:b"])}
    expected = ["certificates.orders.emails", "certificates.orders.uris[0]", "vaults.generation", "vaults.sku"]
    assert sorted(paths(refusal({**STATE, **written}))) == expected


EXPRESSED: tuple[dict[str, Any], ...] = (
    {},
    {"vaults": {}},
    {"access": {}},
    {"certificateAuthorities": {"internode": {"generations": {1: {"renewal": 1}, 2: {}}, "signing": 2}, "clients": {}}},
    orders(
        dnsNames=["*.example.org"],
        ipAddresses=["10.0.0.7", "2001:db8::7"],
        uris=["spiffe://example.org/a%2Fb?c=d#e", "urn:example:orders"],
        keyType="EC-P384",
        country="DE",
    ),
)


@pytest.mark.parametrize("written", EXPRESSED)
def test_what_the_state_has_a_place_for_is_accepted(written: dict[str, Any]) -> None:
    """A refusal proves nothing while everything is refused. Nor is there a warning about vaults that are not there."""
    settings = parsed({**STATE, **written})
    assert (settings.custody, settings.in_vaults, settings.warnings) == (Custody.STATE, False, ())


def test_keys_are_in_vaults_unless_told_otherwise() -> None:
    assert parsed(VAULTS).in_vaults
    assert parsed({**VAULTS, "custody": "key-vault"}).in_vaults
    error = refusal({**VAULTS, "custody": "vault"})
    assert paths(error) == ["custody"]
    assert "who can read the keys" in str(error)


def test_a_wrong_custody_is_the_only_thing_that_is_wrong() -> None:
    """What rests on it is not said: with the other custody it may be right."""
    assert paths(refusal({**STATE, "custody": "sate", "vaults": {"sku": "premium"}})) == ["custody"]
