"""The two records beside a leaf of the state: what each lets through, and how they make up for each other."""

from typing import Any

import pytest
from pulumi.provider.experimental.provider import (
    CheckRequest,
    CreateRequest,
    DiffRequest,
    DiffResponse,
    ReadRequest,
    UpdateRequest,
)

from pki import to_pem
from plugin import UNKNOWN, PluginError, plain, property_values
from provider.plugin import KeyVaultProvider
from provider.resource import Resource
from provider.standing_in_state import STANDING, STEP
from tests.certificates import issue, leaf_policy
from tests.unit.test_provider_plugin import AUTHORITY, Listener, kinds

PEM, RENEWED_PEM = (to_pem(issue(leaf_policy(), AUTHORITY).certificate) for _ in range(2))


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def provider(listener: Listener) -> KeyVaultProvider:
    return KeyVaultProvider(listener)  # type: ignore[arg-type]


def urn(token: str) -> str:
    return f"urn:pulumi:dev::temporal-azure::{token}::orders"


def step(issued_by: str, *trusted: str, **more: Any) -> dict[str, Any]:
    """Inputs of a step, which are its state but for what concerns one run."""
    return {"name": "orders", "role": "client", "issuedBy": issued_by, "trusted": [*trusted], **more}


def standing(issued_by: str, *trusted: str, pem: str = PEM, **more: Any) -> dict[str, Any]:
    """The same of a standing."""
    return {**step(issued_by, *trusted, **more), "certificatePem": pem}


RECORDS = {STEP: step, STANDING: standing}


async def diff(provider: Resource, token: str, state: dict[str, Any], inputs: dict[str, Any]) -> DiffResponse:
    return await provider.diff(DiffRequest(urn(token), "orders", property_values(state), property_values(inputs), []))


async def refused(provider: Resource, token: str, state: dict[str, Any], inputs: dict[str, Any]) -> str:
    with pytest.raises(PluginError) as refusal:
        await diff(provider, token, state, inputs)
    return str(refusal.value)


@pytest.mark.parametrize("token", RECORDS)
async def test_each_keeps_the_order(provider: KeyVaultProvider, token: str) -> None:
    """Prevents one that lets through what the other refuses: a leaf would be issued for nobody, or handed out."""
    record = RECORDS[token]
    alone, both = record("clients-1", "clients-1"), record("clients-1", "clients-1", "clients-2")
    signed, last = record("clients-2", "clients-1", "clients-2"), record("clients-2", "clients-2")

    said = await refused(provider, token, alone, {**signed, "peers": ["shipping"]})
    assert 'clients-2 would sign "orders" before anybody trusts it' in said
    assert "Its authority issues shipping too" in said
    assert "clients-1 would be distrusted" in await refused(provider, token, both, last)
    for before, after in ((alone, both), (both, signed), (signed, last)):
        assert (await diff(provider, token, before, after)).changes
        assert not (await diff(provider, token, after, after)).changes


@pytest.mark.parametrize("token", RECORDS)
async def test_what_concerns_one_run_is_no_change_and_not_kept(provider: KeyVaultProvider, token: str) -> None:
    """Each new worker, and each word under acknowledge, would be an update of every other leaf."""
    state = RECORDS[token]("clients-1", "clients-1")
    told = {**state, "acknowledged": ["sign-clients-2"], "peers": ["shipping"]}
    assert not (await diff(provider, token, state, told)).changes

    created = await provider.create(CreateRequest(urn(token), property_values(told), 0, preview=False))
    assert (created.resource_id, plain(created.properties)) == ("orders", state)
    update = UpdateRequest(urn(token), "orders", property_values(state), property_values(told), 0, [], preview=False)
    assert plain((await provider.update(update)).properties or {}) == state


async def test_only_a_step_warns_of_what_is_acknowledged(provider: KeyVaultProvider, listener: Listener) -> None:
    """Prevents that everything is said twice."""
    acknowledged = {"acknowledged": ["sign-clients-2", "distrust-clients-1"]}
    for token, record in RECORDS.items():
        before, after = record("clients-1", "clients-1"), record("clients-2", "clients-2", **acknowledged)
        assert (await diff(provider, token, before, after)).changes
        only_one = after | {"acknowledged": ["sign-clients-2"]}
        assert "clients-2 would sign" not in await refused(provider, token, before, only_one)
    assert [(kind, where) for kind, _, where in listener.said] == [("warning", urn(STEP))] * 2


async def test_only_a_standing_knows_that_the_certificate_stays(provider: KeyVaultProvider, listener: Listener) -> None:
    """Prevents that this is said of a leaf that is renewed beside a step: in a preview, its certificate is unknown."""
    trusted = ("clients-1", "clients-2")
    await diff(provider, STEP, step("clients-1", "clients-1"), step("clients-1", *trusted))
    for renewed in (UNKNOWN, RENEWED_PEM):
        new = standing("clients-1", *trusted, pem=renewed)
        changes = kinds(await diff(provider, STANDING, standing("clients-1", "clients-1"), new))
        assert changes.keys() >= {"certificatePem"}
    assert listener.said == []

    await diff(provider, STANDING, standing("clients-1", "clients-1"), standing("clients-1", *trusted))
    stays = "The certificate stays as it is. Trusted beside it from now on: clients-1, clients-2."
    assert listener.said == [("info", stays, urn(STANDING))]


async def test_what_a_step_says_of_an_up_that_ended_early_is_not_taken_for_done(provider: KeyVaultProvider) -> None:
    """Prevents that a step which was begun lets the next one through: a leaf is not yet issued, or not handed out."""
    signed, last = step("clients-2", "clients-1", "clients-2"), step("clients-2", "clients-2")
    assert (await diff(provider, STEP, signed, last)).changes
    behind = standing("clients-1", "clients-1", "clients-2")
    said = await refused(provider, STANDING, behind, standing("clients-2", "clients-2", pem=UNKNOWN))
    assert 'clients-1 would be distrusted while "orders" is a certificate that it signed' in said
    assert "what was issued since is handed to nobody" in said
    assert "Nothing of it was changed" not in said

    behind = standing("clients-1", "clients-1")
    said = await refused(provider, STANDING, behind, standing("clients-2", "clients-1", "clients-2", pem=UNKNOWN))
    assert "only clients-1 is trusted" in said


async def test_a_nodes_way_on_is_a_nodes(provider: KeyVaultProvider) -> None:
    """Nodes are trusted by one authority: to admit another beside it would help nobody."""
    moved = step("partners-1", "clients-1", "partners-1")
    assert "under frontend.authorities" in await refused(provider, STEP, step("clients-1", "clients-1"), moved)
    node = moved | {"role": "node"}
    assert "keep issuer: clients" in await refused(provider, STEP, step("clients-1", "clients-1"), node)


async def test_a_preview_knows_what_is_handed_on_if_it_is_known(provider: KeyVaultProvider) -> None:
    """Prevents a preview of an upgrade that shows every output as unknown."""
    for pem in (PEM, UNKNOWN):
        inputs = standing("clients-1", "clients-1", pem=pem)
        created = await provider.create(CreateRequest(urn(STANDING), property_values(inputs), 0, preview=True))
        assert (created.resource_id, plain(created.properties)) == ("", inputs)


@pytest.mark.parametrize("token", RECORDS)
async def test_a_refresh_leaves_it_and_an_import_is_refused(provider: KeyVaultProvider, token: str) -> None:
    """Prevents a record that a refresh loses, and with it the order; and one out of nothing, which knows nothing."""
    state = property_values(RECORDS[token]("clients-1", "clients-1"))
    read = await provider.read(ReadRequest(urn(token), "orders", state, state))
    assert (read.resource_id, read.properties, read.inputs) == ("orders", state, state)
    with pytest.raises(PluginError, match="orders cannot be imported"):
        await provider.read(ReadRequest(urn(token), "orders", {}, {}))


@pytest.mark.parametrize(
    ("wrong", "where"),
    [({"role": "authority"}, "role"), ({"name": ""}, "name"), ({"certificatePem": "none"}, "certificatePem")],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_wrong_inputs_are_told(provider: KeyVaultProvider, wrong: dict[str, Any], where: str) -> None:
    for given, expected in (({}, []), ({"certificatePem": UNKNOWN}, []), (wrong, [where])):
        inputs = property_values(standing("clients-1", "clients-1") | given)
        answer = await provider.check(CheckRequest(urn(STANDING), {}, inputs, b""))
        assert [failure.property for failure in answer.failures or []] == expected
