"""What a certificate resource is given, checked with whatever is unknown, and what its state says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki import IssuancePolicy, Role, to_pem
from plugin import UNKNOWN, has_unknown
from provider.inputs import (
    COMPUTED_NAMES,
    INPUT_NAMES,
    STATE_NAMES,
    CertificateInputs,
    imported,
    inputs_of,
    outputs,
    parse_certificate_id,
    problems,
    unissued,
)
from tests.certificates import Issued, authority_policy, issue, leaf_policy

AUTHORITY = issue(authority_policy())
LEAF = issue(leaf_policy(), AUTHORITY)
VAULT = "https://temporal-leaf-abc.vault.azure.net/"

INPUTS: dict[str, Any] = {
    "vaultId": "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/temporal-leaf-abc",
    "vaultUri": VAULT,
    "name": "orders",
    "policy": leaf_policy(
        subject_alternative_names={"dns_names": ["orders.example.com"], "ip_addresses": ["10.0.0.4", "::1"]}
    ).model_dump(mode="json", by_alias=True, exclude_none=True),
    "issuer": {
        "certificatePem": to_pem(AUTHORITY.certificate),
        "keyId": "https://temporal-ca-abc.vault.azure.net/keys/clients-1/0123456789abcdef0123456789abcdef",
        "chainPem": [],
    },
    "renewal": 0,
    "issuedBy": "clients-1",
    "trusted": ["clients-1", "clients-2"],
    "acknowledged": ["sign-clients-2"],
    "peers": ["shipping"],
    "tags": {"owner": "shop"},
}

KEPT = {name: INPUTS[name] for name in STATE_NAMES if name in INPUTS}
"""What of these is in the state: the rest concerns one run."""

Path = tuple[str | int, ...]


def _places(value: Any, path: Path = ()) -> list[Path]:
    """Where something stands, at every depth."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = [*value.items()]
    elif isinstance(value, list):
        inner = [*enumerate(value)]
    return [place for step, item in inner for place in ((*path, step), *_places(item, (*path, step)))]


def _with(place: Path, replacement: Any, value: Any = INPUTS) -> Any:
    step, *rest = place
    inner = _with(tuple(rest), replacement, value[step]) if rest else replacement
    if isinstance(value, dict):
        return {**value, step: inner}
    return [inner if index == step else item for index, item in enumerate(value)]


def test_right_inputs_have_no_problem() -> None:
    assert problems(INPUTS) == []
    assert problems({name: value for name, value in INPUTS.items() if name not in ("issuer", "renewal", "tags")}) == []


@pytest.mark.parametrize("place", _places(INPUTS), ids=lambda place: ".".join(map(str, place)))
def test_what_is_unknown_is_not_judged(place: Path) -> None:
    """In a preview the vault's address and the authority's certificate are not there yet: it would fail."""
    assert problems(_with(place, UNKNOWN)) == []


WRONG: dict[Path, Any] = {
    ("vaultId",): 1,
    ("vaultUri",): None,
    ("name",): "orders_1",
    ("policy",): "client",
    ("policy", "role"): "server",
    ("policy", "keyType"): "RSA-1024",
    ("policy", "validityDays"): 0,
    ("policy", "renewBeforeDays"): 1.5,
    ("policy", "subject"): {},
    ("policy", "subject", "commonName"): "",
    ("policy", "subjectAlternativeNames", "dnsNames"): "orders.example.com",
    ("policy", "subjectAlternativeNames", "ipAddresses", 0): "10.0.0.256",
    ("issuer", "certificatePem"): "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ("issuer", "chainPem"): ["none"],
    ("issuer", "keyId"): [],
    ("renewal",): -1,
    ("issuedBy",): 1,
    ("trusted",): "clients-1",
    ("acknowledged",): [1],
    ("peers",): "shipping",
    ("tags",): {"owner": 1},
}


@pytest.mark.parametrize(("place", "value"), WRONG.items(), ids=[".".join(map(str, place)) for place in WRONG])
def test_what_is_wrong_is_said_where_it_is(place: Path, value: Any) -> None:
    """It would fail when the vault is asked, or issue what Temporal refuses."""
    found = problems(_with(place, value))
    assert found
    assert all(problem["loc"][: len(place)] == place for problem in found)


@pytest.mark.parametrize(("place", "value"), WRONG.items(), ids=[".".join(map(str, place)) for place in WRONG])
def test_what_is_wrong_is_found_beside_what_is_unknown(place: Path, value: Any) -> None:
    """A mistake in the settings would come out halfway through the first `up`."""
    elsewhere = ("vaultId",) if place == ("vaultUri",) else ("vaultUri",)
    assert problems(_with(elsewhere, UNKNOWN, _with(place, value)))


@pytest.mark.parametrize("name", ["vaultId", "vaultUri", "name", "policy"])
def test_what_is_missing_is_found_beside_what_is_unknown(name: str) -> None:
    given = {key: value for key, value in INPUTS.items() if key != name} | {"tags": {"owner": UNKNOWN}}
    assert [(problem["loc"], problem["type"]) for problem in problems(given)] == [((name,), "missing")]


def test_in_a_list_only_what_is_unknown_is_not_judged() -> None:
    names = ("policy", "subjectAlternativeNames", "ipAddresses")
    found = problems(_with(names, [UNKNOWN, "10.0.0.256"]))
    assert [problem["loc"] for problem in found] == [(*names, 1)]


def test_an_input_that_does_not_exist_is_found() -> None:
    """Somebody who writes `keySize` would get the default."""
    assert [problem["loc"] for problem in problems({**INPUTS, "keySize": 4096})] == [("keySize",)]


def test_a_policy_with_something_unknown_is_judged_once_that_is_known() -> None:
    """A path length of a client is wrong, but its role may still turn out to be an authority's."""
    wrong = _with(("policy",), {**INPUTS["policy"], "pathLength": 0})
    assert [problem["loc"] for problem in problems(wrong)] == [("policy",)]
    assert problems(_with(("policy", "subject", "commonName"), UNKNOWN, wrong)) == []


# The state


def test_the_state_gives_back_the_inputs() -> None:
    """The engine drops the old inputs: what is not in the state would show as a change at each run."""
    state = {**INPUTS, **_outputs()}
    assert inputs_of(state) == KEPT
    assert inputs_of({**state, "issuer": None}).keys() == KEPT.keys() - {"issuer"}


def test_the_state_has_one_value_for_each_name() -> None:
    assert set(COMPUTED_NAMES).isdisjoint(INPUT_NAMES)
    assert tuple(_outputs()) == COMPUTED_NAMES
    assert INPUTS.keys() | {"issuedPem"} == set(INPUT_NAMES)


def test_what_is_yet_to_be_issued_is_unknown_but_for_its_inputs() -> None:
    """Leaves would be previewed with the certificate of an authority that is about to change."""
    state = unissued(INPUTS)
    assert inputs_of(state) == KEPT
    assert all(state[name] == UNKNOWN for name in COMPUTED_NAMES)


def test_the_state_says_what_a_person_asks_for() -> None:
    state = _outputs()
    assert state["subject"] == "CN=orders,O=Contoso"
    assert state["issuerSubject"] == "CN=internode 1,O=Contoso"
    assert int(state["serialNumber"], 16) == LEAF.certificate.serial_number
    assert (state["notBefore"], state["notAfter"]) == ("2026-03-28T23:00:00+00:00", "2026-06-27T00:00:00+00:00")
    assert len(bytes.fromhex(state["thumbprint"])) == 20
    assert state["version"] == "0123456789abcdef0123456789abcdef"
    assert state["certificatePem"] == to_pem(LEAF.certificate)
    assert state["chainPem"] == [to_pem(AUTHORITY.certificate)]


def _outputs() -> dict[str, Any]:
    version = "0123456789abcdef0123456789abcdef"
    return outputs(
        LEAF.certificate,
        chain_pem=(to_pem(AUTHORITY.certificate),),
        certificate_id=f"{VAULT}certificates/orders/{version}",
        key_id=f"{VAULT}keys/orders/{version}",
        secret_id=f"{VAULT}secrets/orders/{version}",
    )


@given(st.sampled_from([VAULT, VAULT.rstrip("/"), "https://127.0.0.1:8443/"]))
def test_a_certificate_has_one_id(vault_uri: str) -> None:
    """With the slash or without, it is the same certificate."""
    wanted = CertificateInputs.model_validate({**INPUTS, "vaultUri": vault_uri})
    assert wanted.certificate_id == f"{vault_uri.rstrip('/')}/certificates/orders"
    assert parse_certificate_id(wanted.certificate_id) == (f"{vault_uri.rstrip('/')}/", "orders")


# Import


@pytest.mark.parametrize(
    "certificate_id",
    [
        f"{VAULT}certificates/orders",
        f"{VAULT}certificates/orders/",
        f"{VAULT}certificates/orders/0123456789abcdef0123456789abcdef",
    ],
)
def test_an_id_names_vault_and_certificate(certificate_id: str) -> None:
    assert parse_certificate_id(certificate_id) == (VAULT, "orders")


@pytest.mark.parametrize(
    "certificate_id",
    [
        "",
        "orders",
        f"{VAULT}secrets/orders",
        f"{VAULT}keys/orders",
        f"{VAULT}certificates/",
        f"{VAULT}certificates/orders/pending/completed",
        f"{VAULT}certificates/or_ders",
        "http://temporal-leaf-abc.vault.azure.net/certificates/orders",
        "https:///certificates/orders",
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v",
    ],
)
def test_what_is_no_id_is_refused(certificate_id: str) -> None:
    """`pulumi import` with a secret's id would write a phantom into the state."""
    with pytest.raises(ValueError, match="is not of the form https://VAULT/certificates/NAME"):
        parse_certificate_id(certificate_id)


@pytest.mark.parametrize("issued", [AUTHORITY, LEAF], ids=["authority", "leaf"])
def test_imported_inputs_are_inputs(issued: Issued) -> None:
    """What import writes into the state must be read by the next `up`."""
    found = imported(f"{VAULT}certificates/orders", issued.certificate)
    data = found.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert problems(data) == []
    assert not has_unknown(data)
    assert CertificateInputs.model_validate(inputs_of(data)) == found
    assert found.policy == IssuancePolicy.of(issued.certificate)
    assert (found.vault_uri, found.name, found.issuer) == (VAULT, "orders", None)
    assert found.policy.role is (Role.AUTHORITY if issued is AUTHORITY else Role.CLIENT)
