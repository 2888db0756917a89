"""What the provider says of a leaf's rollover, from its state alone: no vault is asked here."""

from typing import Any

import pytest
from pulumi.provider.experimental.provider import DiffResponse, UpdateRequest

from pki import Role
from plugin import UNKNOWN, PluginError, plain, property_values
from provider.clock import VARIABLE
from provider.plugin import KeyVaultProvider
from tests.certificates import NOW, OTHER_KEY, authority_policy, issue, leaf_policy
from tests.unit.test_provider_plugin import (
    AUTHORITY,
    AUTHORITY_INPUTS,
    AUTHORITY_STATE,
    DAY,
    LEAF,
    LEAF_INPUTS,
    LEAF_STATE,
    URN,
    Listener,
    diff,
    inputs_for,
    kinds,
    state_of,
    update,
)

SECOND = issue(authority_policy("clients 2"), owner=OTHER_KEY)


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, NOW.isoformat())


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def provider(listener: Listener) -> KeyVaultProvider:
    return KeyVaultProvider(listener)  # type: ignore[arg-type]


def leaf(issued_by: str, *trusted: str, **changes: Any) -> dict[str, Any]:
    """Inputs of a leaf; what `clients-2` issues is another authority's."""
    signer = AUTHORITY if issued_by == "clients-1" else SECOND
    return inputs_for(leaf_policy(), signer, issuedBy=issued_by, trusted=[*trusted], **changes)


ALONE = state_of(LEAF, leaf("clients-1", "clients-1"))
BOTH = state_of(LEAF, leaf("clients-1", "clients-1", "clients-2"))


async def refused(provider: KeyVaultProvider, state: dict[str, Any], inputs: dict[str, Any]) -> str:
    with pytest.raises(PluginError) as refusal:
        await diff(provider, state, inputs)
    return str(refusal.value)


async def passed(provider: KeyVaultProvider, state: dict[str, Any], inputs: dict[str, Any]) -> DiffResponse:
    return await diff(provider, state, inputs)


async def test_a_step_too_early_is_refused_whatever_is_unknown(provider: KeyVaultProvider) -> None:
    """In a preview the new generation's certificate is not there yet; its name is."""
    unknown = {"certificatePem": UNKNOWN, "keyId": UNKNOWN, "chainPem": UNKNOWN}
    new = leaf("clients-2", "clients-1", "clients-2") | {"issuer": unknown}
    assert '"orders" before anybody trusts it' in await refused(provider, ALONE, new)
    assert (await passed(provider, BOTH, new)).changes


async def test_both_steps_at_once_are_both_told(provider: KeyVaultProvider) -> None:
    """Whoever acknowledges the one that is told is refused once more."""
    said = await refused(provider, ALONE, leaf("clients-2", "clients-2", peers=["shipping"]))
    assert "clients-2 would sign" in said
    assert "clients-1 would be distrusted" in said
    assert "acknowledge: [sign-2] under certificateAuthorities.clients and acknowledge: [distrust-1]" in said
    assert "Its authority issues shipping too" in said


@pytest.mark.parametrize(
    ("acknowledged", "left"),
    [
        ([], ["sign", "distrust"]),
        (["sign-clients-2"], ["distrust"]),
        (["distrust-clients-1"], ["sign"]),
        (["sign-clients-1", "distrust-clients-2", "sign-others-2", "distrust-others-1"], ["sign", "distrust"]),
    ],
    ids=["none", "sign", "distrust", "others"],
)
async def test_an_acknowledgement_is_of_its_step_alone(
    provider: KeyVaultProvider, listener: Listener, acknowledged: list[str], left: list[str]
) -> None:
    """One stolen key would open the order for all."""
    said = await refused(provider, ALONE, leaf("clients-2", "clients-2", acknowledged=acknowledged))
    told = {"sign": "clients-2 would sign", "distrust": "clients-1 would be distrusted"}
    assert [step for step, words in told.items() if words in said] == left
    assert listener.said == []


async def test_what_is_acknowledged_passes_with_a_warning(provider: KeyVaultProvider, listener: Listener) -> None:
    new = leaf("clients-2", "clients-2", acknowledged=["distrust-clients-1", "sign-clients-2"])
    assert (await passed(provider, ALONE, new)).changes
    assert [(kind, urn) for kind, _, urn in listener.said] == [("warning", URN)] * 2


async def test_another_authority_is_admitted_before_it_signs(provider: KeyVaultProvider) -> None:
    """The way on is another one than for a generation: for a node there is none."""
    moved = leaf("partners-1", "clients-1", "partners-1")
    assert "with partners beside clients under frontend.authorities" in await refused(provider, ALONE, moved)
    admitted = state_of(LEAF, leaf("clients-1", "clients-1", "partners-1"))
    assert (await passed(provider, admitted, moved)).changes
    node = leaf_policy(role=Role.NODE).model_dump(mode="json", by_alias=True, exclude_none=True)
    assert "keep issuer: clients, and for another key add a generation" in await refused(
        provider, ALONE, moved | {"policy": node}
    )


async def test_a_state_of_an_earlier_version_tells_its_issuer_by_the_key(
    provider: KeyVaultProvider, listener: Listener
) -> None:
    """An upgrade would issue everything anew, or let one step through unjudged."""
    response = await passed(provider, LEAF_STATE, leaf("clients-1", "clients-1", "clients-2"))
    assert kinds(response) == {"issuedBy": "ADD", "trusted": "ADD"}
    assert listener.said == [
        ("info", "The certificate stays as it is. Trusted beside it from now on: clients-1, clients-2.", URN)
    ]
    assert "only clients-1 is trusted" in await refused(
        provider, LEAF_STATE, leaf("clients-2", "clients-1", "clients-2")
    )


async def test_what_concerns_one_run_is_no_change_and_not_kept(provider: KeyVaultProvider) -> None:
    """Each new worker, and each word under acknowledge, would be an update of every other certificate."""
    told = leaf("clients-1", "clients-1", acknowledged=["sign-clients-2"], peers=["shipping"])
    assert not (await passed(provider, ALONE, told)).changes
    assert await update(provider, ALONE, told | {"tags": {}}) == ALONE | {"tags": {}}


async def test_trust_alone_leaves_the_certificate_and_asks_no_vault(provider: KeyVaultProvider) -> None:
    """There is no vault here: whoever asked one would fail."""
    new = leaf("clients-1", "clients-1", "clients-2")
    assert await update(provider, ALONE, new) == BOTH
    request = UpdateRequest(
        URN, "id", property_values(ALONE), property_values(new), timeout=0, ignore_changes=[], preview=False
    )
    assert plain((await provider.update(request)).properties or {}) == BOTH


async def test_a_leaf_that_is_due_is_renewed_beside_a_step(
    provider: KeyVaultProvider, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be renewed by the `up` that a preview called a mere change of trust, or by the next one."""
    monkeypatch.setenv(VARIABLE, (NOW + 65 * DAY).isoformat())
    new = leaf("clients-1", "clients-1", "clients-2")
    response = await passed(provider, ALONE, new)
    assert response.detailed_diff.keys() >= {"notAfter"}
    assert [message for _, message, _ in listener.said if "stays as it is" in message] == []
    assert (await update(provider, ALONE, new))["certificatePem"] == UNKNOWN


async def test_an_authority_has_no_standing(provider: KeyVaultProvider) -> None:
    assert not (await passed(provider, AUTHORITY_STATE, AUTHORITY_INPUTS)).changes


async def test_a_program_that_tells_no_standing_is_not_judged(provider: KeyVaultProvider) -> None:
    """Somebody else's program may use this provider without generations."""
    assert (await passed(provider, LEAF_STATE, LEAF_INPUTS)).changes is False


async def test_an_intermediate_that_waits_for_an_issuer_elsewhere_is_no_step_of_a_rollover(
    provider: KeyVaultProvider,
) -> None:
    """Its issuer has no key here to tell a generation by, and nobody is shown an intermediate alone."""
    elsewhere = {"certificatePem": AUTHORITY_STATE["certificatePem"], "chainPem": []}
    inputs = {**AUTHORITY_INPUTS, "issuer": elsewhere}
    state = {**AUTHORITY_STATE, **inputs, "certificatePem": None, "signingRequestPem": "a request"}

    assert not (await diff(provider, state, inputs)).changes
