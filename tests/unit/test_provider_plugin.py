"""What the provider says of a change, from the state alone: no vault is asked here."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import (
    CheckRequest,
    CheckResponse,
    ConfigureRequest,
    CreateRequest,
    DiffRequest,
    DiffResponse,
    GetSchemaRequest,
    InvokeRequest,
    UpdateRequest,
)

from pki import IssuancePolicy, Role, to_pem
from plugin import UNKNOWN, PluginError, plain, property_values
from provider import clock
from provider.clock import VARIABLE
from provider.inputs import COMPUTED_NAMES, outputs
from provider.patience import PERMISSION_WAIT_SECONDS
from provider.plugin import KeyVaultProvider
from tests.certificates import NOW, OTHER_KEY, Issued, authority_policy, issue, leaf_policy

DAY = timedelta(days=1)
URN = "urn:pulumi:dev::temporal-azure::temporalazure:keyvault:Certificate::orders"
VAULT_ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/temporal-leaf-abc"
VAULT = "https://temporal-leaf-abc.vault.azure.net/"
VERSION = "0123456789abcdef0123456789abcdef"

AUTHORITY = issue(authority_policy())
LEAF = issue(leaf_policy(), AUTHORITY)


class Listener:
    """What the provider says to whoever looks at the engine's output."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, str]] = []

    async def info(self, message: str, urn: str = "") -> None:
        self.said.append(("info", message, urn))

    async def warning(self, message: str, urn: str = "") -> None:
        self.said.append(("warning", message, urn))


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, NOW.isoformat())


@pytest.fixture
def provider(listener: Listener) -> KeyVaultProvider:
    return KeyVaultProvider(listener)  # type: ignore[arg-type]


def inputs_for(policy: IssuancePolicy, issuer: Issued | None = None, **changes: Any) -> dict[str, Any]:
    inputs: dict[str, Any] = {
        "vaultId": VAULT_ID,
        "vaultUri": VAULT,
        "name": "orders",
        "policy": policy.model_dump(mode="json", by_alias=True, exclude_none=True),
        "renewal": 0,
        "tags": {"owner": "shop"},
    }
    if issuer is not None:
        inputs["issuer"] = {
            "certificatePem": to_pem(issuer.certificate),
            "keyId": f"https://temporal-ca-abc.vault.azure.net/keys/clients-1/{VERSION}",
            "chainPem": [],
        }
    return inputs | changes


def state_of(issued: Issued, inputs: dict[str, Any]) -> dict[str, Any]:
    computed = outputs(
        issued.certificate,
        chain_pem=(to_pem(AUTHORITY.certificate),),
        certificate_id=f"{VAULT}certificates/orders/{VERSION}",
        key_id=f"{VAULT}keys/orders/{VERSION}",
        secret_id=f"{VAULT}secrets/orders/{VERSION}",
    )
    return inputs | computed


LEAF_INPUTS = inputs_for(leaf_policy(), AUTHORITY)
LEAF_STATE = state_of(LEAF, LEAF_INPUTS)
AUTHORITY_INPUTS = inputs_for(authority_policy())
AUTHORITY_STATE = state_of(AUTHORITY, AUTHORITY_INPUTS)


async def diff(provider: KeyVaultProvider, state: dict[str, Any], inputs: dict[str, Any]) -> DiffResponse:
    return await provider.diff(
        DiffRequest(URN, "id", property_values(state), property_values(inputs), ignore_changes=[])
    )


async def update(provider: KeyVaultProvider, state: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
    request = UpdateRequest(
        URN, "id", property_values(state), property_values(inputs), timeout=0, ignore_changes=[], preview=True
    )
    found: dict[str, Any] = plain((await provider.update(request)).properties or {})
    return found


def policy_with(inputs: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**inputs, "policy": {**inputs["policy"], **changes}}


def kinds(response: DiffResponse) -> dict[str, str]:
    return {path: change.kind.name for path, change in response.detailed_diff.items()}


# Check


async def check(provider: KeyVaultProvider, inputs: dict[str, Any]) -> CheckResponse:
    return await provider.check(CheckRequest(URN, {}, property_values(inputs), b""))


async def test_right_inputs_pass_as_they_are(provider: KeyVaultProvider) -> None:
    """What check returns is what the state will hold."""
    response = await check(provider, LEAF_INPUTS)
    assert response.failures == []
    assert plain(response.inputs or {}) == LEAF_INPUTS


async def test_unknown_inputs_pass_as_they_are(provider: KeyVaultProvider) -> None:
    """In the first preview nothing of the vault is known, nor of the authority."""
    inputs = LEAF_INPUTS | {"vaultId": UNKNOWN, "vaultUri": UNKNOWN, "issuer": UNKNOWN}
    response = await check(provider, inputs)
    assert response.failures == []
    assert plain(response.inputs or {}) == inputs


async def test_every_wrong_input_is_a_failure_of_its_own(provider: KeyVaultProvider) -> None:
    """Whoever makes two mistakes should hear of both, and where they are."""
    inputs = policy_with(
        LEAF_INPUTS, keyType="RSA-1024", subjectAlternativeNames={"ipAddresses": ["10.0.0.4", "10.0.0.256"]}
    )
    failures = (await check(provider, inputs | {"tags": {"cost.center": 1}})).failures or []
    assert [failure.property for failure in failures] == [
        "policy.subjectAlternativeNames.ipAddresses[1]",
        "policy.keyType",
        'tags["cost.center"]',
    ]
    assert all(failure.reason for failure in failures)


# Diff


@pytest.mark.parametrize(
    ("state", "inputs"), [(LEAF_STATE, LEAF_INPUTS), (AUTHORITY_STATE, AUTHORITY_INPUTS)], ids=["leaf", "authority"]
)
async def test_nothing_changes_of_itself(
    provider: KeyVaultProvider, listener: Listener, state: dict[str, Any], inputs: dict[str, Any]
) -> None:
    """The second `up` must change nothing, and say nothing."""
    response = await diff(provider, state, inputs)
    assert (response.changes, response.replaces, kinds(response)) == (False, [], {})
    assert listener.said == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("vaultUri", "https://temporal-leaf-def.vault.azure.net/"), ("name", "billing"), ("vaultUri", UNKNOWN)],
)
@pytest.mark.parametrize(
    ("state", "inputs"), [(LEAF_STATE, LEAF_INPUTS), (AUTHORITY_STATE, AUTHORITY_INPUTS)], ids=["leaf", "authority"]
)
async def test_another_place_is_another_certificate(
    provider: KeyVaultProvider, state: dict[str, Any], inputs: dict[str, Any], name: str, value: str
) -> None:
    """The old one would stay behind for ever."""
    response = await diff(provider, state, inputs | {name: value, "vaultId": f"{VAULT_ID}-2"})
    assert response.replaces == [name]
    assert kinds(response)[name] == "UPDATE_REPLACE"


async def test_a_vault_whose_id_is_spelled_otherwise_is_the_same_vault(provider: KeyVaultProvider) -> None:
    """A replacement is created first, and then deleted: in one vault, that is the new certificate."""
    response = await diff(provider, LEAF_STATE, LEAF_INPUTS | {"vaultId": VAULT_ID.replace("resourceG", "resourceg")})
    assert response.replaces == []
    assert kinds(response) == {"vaultId": "UPDATE"}


async def test_a_vault_that_changes_keeps_its_address(provider: KeyVaultProvider) -> None:
    """New tags of the vault make its properties unknown in the preview: every certificate would be replaced."""
    response = await diff(provider, LEAF_STATE, LEAF_INPUTS | {"vaultUri": UNKNOWN})
    assert response.changes is False


async def test_a_vault_that_is_replaced_takes_its_certificates_with_it(provider: KeyVaultProvider) -> None:
    response = await diff(provider, LEAF_STATE, LEAF_INPUTS | {"vaultUri": UNKNOWN, "vaultId": UNKNOWN})
    assert response.replaces == ["vaultUri"]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"role": "node"}, "policy.role"),
        ({"subject": {"commonName": "billing", "organization": "Contoso"}}, "policy.subject.commonName"),
        ({"subjectAlternativeNames": {"dnsNames": []}}, "policy.subjectAlternativeNames.dnsNames"),
        ({"keyType": "EC-P384"}, "policy.keyType"),
        ({"validityDays": 60}, "policy.validityDays"),
        ({"renewBeforeDays": 20}, "policy.renewBeforeDays"),
    ],
)
async def test_a_leafs_policy_can_change(provider: KeyVaultProvider, changes: dict[str, Any], path: str) -> None:
    """A leaf is issued anew under its name: its consumers find it where it was."""
    response = await diff(provider, LEAF_STATE, policy_with(LEAF_INPUTS, **changes))
    assert response.changes is True
    assert response.replaces == []
    assert path in kinds(response)
    assert response.diffs == ["policy"]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"role": "node"}, "policy.role"),
        ({"keyType": "RSA-4096"}, "policy.keyType"),
        ({"subject": {"commonName": "internode 1", "organization": "Fabrikam"}}, "policy.subject.organization"),
        ({"subject": {"commonName": "internode 1"}}, "policy.subject.organization"),
        (
            {"subject": {"commonName": "internode 1", "organization": "Contoso", "country": "DE"}},
            "policy.subject.country",
        ),
    ],
)
async def test_an_authority_keeps_its_name_and_key(
    provider: KeyVaultProvider, changes: dict[str, Any], path: str
) -> None:
    """Every certificate that it issued would be refused at once."""
    with pytest.raises(PluginError, match="add a generation") as caught:
        await diff(provider, AUTHORITY_STATE, policy_with(AUTHORITY_INPUTS, **changes))
    assert str(caught.value).startswith(f"{path} of the authority ")


@pytest.mark.parametrize(
    "inputs",
    [
        policy_with(AUTHORITY_INPUTS, validityDays=3650),
        policy_with(AUTHORITY_INPUTS, pathLength=1),
        policy_with(AUTHORITY_INPUTS, subjectAlternativeNames={"dnsNames": ["ca.example.com"]}),
        AUTHORITY_INPUTS | {"renewal": 1},
        AUTHORITY_INPUTS | {"tags": {}},
    ],
    ids=["validity", "path length", "names", "renewal", "tags"],
)
async def test_an_authority_can_be_renewed(provider: KeyVaultProvider, inputs: dict[str, Any]) -> None:
    """Under the same name and key: what it issued goes on."""
    response = await diff(provider, AUTHORITY_STATE, inputs)
    assert response.changes is True
    assert response.replaces == []


async def test_a_new_issuer_is_an_update(provider: KeyVaultProvider) -> None:
    """Sign with another generation, and each leaf follows."""
    other = issue(authority_policy("internode 2"), owner=OTHER_KEY)
    response = await diff(provider, LEAF_STATE, inputs_for(leaf_policy(), other))
    assert kinds(response) == {"issuer.certificatePem": "UPDATE"}
    assert response.replaces == []


async def test_an_issuer_that_changes_is_an_update(provider: KeyVaultProvider) -> None:
    unknown = {"certificatePem": UNKNOWN, "keyId": UNKNOWN, "chainPem": UNKNOWN}
    response = await diff(provider, LEAF_STATE, LEAF_INPUTS | {"issuer": unknown})
    assert kinds(response) == {
        "issuer.certificatePem": "UPDATE",
        "issuer.chainPem": "UPDATE",
        "issuer.keyId": "UPDATE",
    }


async def test_a_tag_with_a_period_is_one_tag(provider: KeyVaultProvider) -> None:
    response = await diff(provider, LEAF_STATE, LEAF_INPUTS | {"tags": {"owner": "shop", "cost.center": "1"}})
    assert kinds(response) == {'tags["cost.center"]': "ADD"}
    assert response.diffs == ["tags"]


@pytest.mark.parametrize(("day", "due"), [(0, False), (59, False), (60, True), (89, True), (90, True), (200, True)])
async def test_a_leaf_inside_its_window_is_renewed_and_says_so(
    provider: KeyVaultProvider, listener: Listener, monkeypatch: pytest.MonkeyPatch, day: int, due: bool
) -> None:
    """A preview that does not announce the renewal is a surprise; a leaf that is not renewed is an outage."""
    monkeypatch.setenv(VARIABLE, (NOW + day * DAY).isoformat())
    response = await diff(provider, LEAF_STATE, LEAF_INPUTS)
    assert response.changes is due
    assert kinds(response) == ({"notAfter": "UPDATE"} if due else {})
    assert not any(change.input_diff for change in response.detailed_diff.values())
    said = "To be renewed: it ends on 2026-06-27, inside its renewal window of 30 days."
    assert listener.said == ([("info", said, URN)] if due else [])


async def test_a_leaf_whose_authority_ended_is_left_and_warned_about(
    provider: KeyVaultProvider, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be renewed: a failing preview would keep the person from rolling the authority over."""
    monkeypatch.setenv(VARIABLE, (NOW + 3000 * DAY).isoformat())
    response = await diff(provider, LEAF_STATE, LEAF_INPUTS)
    assert response.changes is False
    [(kind, message, urn)] = listener.said
    assert (kind, urn) == ("warning", URN)
    assert "internode 1" in message
    assert "Roll the authority over" in message


@pytest.mark.parametrize(
    ("day", "words"),
    [
        (0, None),
        (1825 - 180 - 1 / 86400, None),
        (1825 - 180, "ends on 2031-03-28"),
        (1824, "ends on 2031-03-28"),
        (1825, "ended on 2031-03-28"),
        (3000, "ended on 2031-03-28"),
    ],
)
async def test_an_authority_is_never_renewed_by_the_clock(
    provider: KeyVaultProvider, listener: Listener, monkeypatch: pytest.MonkeyPatch, day: float, words: str | None
) -> None:
    """Consumers must be told to trust it first; whoever looks must be told in time."""
    monkeypatch.setenv(VARIABLE, (NOW.replace(hour=0, minute=0) + day * DAY).isoformat())
    assert (await diff(provider, AUTHORITY_STATE, AUTHORITY_INPUTS)).changes is False
    assert [kind for kind, _, _ in listener.said] == ["warning"] * (words is not None)
    assert all(words is not None and words in message for _, message, _ in listener.said)


async def test_a_certificate_that_somebody_replaced_is_issued_anew(
    provider: KeyVaultProvider, listener: Listener
) -> None:
    """A refresh finds a version that another issued: Temporal would refuse it, or trust who it should not."""
    foreign = issue(leaf_policy("orders", role=Role.NODE), issue(authority_policy("stranger"), owner=OTHER_KEY))
    response = await diff(provider, state_of(foreign, LEAF_INPUTS), LEAF_INPUTS)
    assert kinds(response) == {"certificatePem": "UPDATE"}
    assert not response.detailed_diff["certificatePem"].input_diff
    [(kind, message, urn)] = listener.said
    assert (kind, urn) == ("info", URN)
    assert "it was not issued by CN=internode 1,O=Contoso" in message
    assert "extendedKeyUsage differs" in message


async def test_an_imported_certificate_is_taken_up(provider: KeyVaultProvider) -> None:
    """Import knows no vault's resource ID and no issuer: both come with the program, and replace nothing."""
    imported = {name: value for name, value in LEAF_STATE.items() if name not in ("issuer", "tags")} | {"vaultId": ""}
    response = await diff(provider, imported, LEAF_INPUTS)
    assert kinds(response) == {"vaultId": "UPDATE", "issuer": "ADD", "tags": "ADD"}
    assert response.replaces == []


# Previews


async def test_a_preview_of_a_new_certificate_knows_its_inputs_alone(provider: KeyVaultProvider) -> None:
    """A preview asks no vault; what it says of the certificate must be unknown, not missing."""
    request = CreateRequest(URN, property_values(LEAF_INPUTS), timeout=0, preview=True)
    response = await provider.create(request)
    assert response.resource_id == ""
    assert plain(response.properties or {}) == LEAF_INPUTS | dict.fromkeys(COMPUTED_NAMES, UNKNOWN)


async def test_new_tags_leave_the_certificate_as_it_is(provider: KeyVaultProvider) -> None:
    """Every leaf would show as about to be issued anew when its authority gets a tag."""
    inputs = AUTHORITY_INPUTS | {"tags": {"cost.center": "1"}}
    assert await update(provider, AUTHORITY_STATE, inputs) == AUTHORITY_STATE | inputs


async def test_new_tags_beside_an_unknown_address_leave_it_too(provider: KeyVaultProvider) -> None:
    inputs = AUTHORITY_INPUTS | {"tags": {}}
    found = await update(provider, AUTHORITY_STATE, inputs | {"vaultUri": UNKNOWN})
    assert found == AUTHORITY_STATE | inputs


@pytest.mark.parametrize(
    "inputs",
    [
        AUTHORITY_INPUTS | {"renewal": 1},
        AUTHORITY_INPUTS | {"renewal": 1, "tags": {}},
        policy_with(AUTHORITY_INPUTS, validityDays=3650),
        AUTHORITY_INPUTS,
    ],
    ids=["renewal", "renewal and tags", "validity", "the clock, or somebody"],
)
async def test_what_is_about_to_be_issued_is_unknown(provider: KeyVaultProvider, inputs: dict[str, Any]) -> None:
    """With the old certificate in the preview, what depends on it would show as unchanged."""
    assert await update(provider, AUTHORITY_STATE, inputs) == inputs | dict.fromkeys(COMPUTED_NAMES, UNKNOWN)


# Configuration and questions


async def configure(provider: KeyVaultProvider, **settings: Any) -> None:
    response = await provider.configure(ConfigureRequest({}, property_values(settings), True, True))
    assert response.supports_preview


async def test_how_long_to_wait_is_a_setting(provider: KeyVaultProvider) -> None:
    assert provider.connection.limit(0) == PERMISSION_WAIT_SECONDS
    await configure(provider, permissionWaitSeconds="60")
    assert provider.connection.limit(0) == 60
    assert provider.connection.limit(5) == 5
    await configure(provider, permissionWaitSeconds="0")
    assert provider.connection.limit(0) == 0


@pytest.mark.parametrize("given", ["soon", "-1", "nan", "inf", ""])
async def test_a_wait_that_is_no_number_is_refused(provider: KeyVaultProvider, given: str) -> None:
    """It would be a traceback, or a run that waits for ever."""
    with pytest.raises(PluginError, match="permissionWaitSeconds"):
        await configure(provider, permissionWaitSeconds=given)


async def test_the_stack_says_which_cloud(provider: KeyVaultProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """`azure-native:` settings come before the environment, and what is no setting of sign-in is left alone."""
    monkeypatch.setenv("ARM_ENVIRONMENT", "public")
    await configure(provider, environment="china", location="westeurope", __internal={})
    assert provider.connection.identity.environment == "china"


async def test_an_unknown_cloud_is_a_message(provider: KeyVaultProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """A typing error in the stack's file would be a traceback."""
    monkeypatch.delenv("ARM_METADATA_HOSTNAME", raising=False)
    await configure(provider, environment="pubic")
    with pytest.raises(PluginError, match='"pubic", which is not known'):
        await provider.invoke(InvokeRequest("temporalazure:index:getCaller", {}))


async def test_an_unknown_function_is_a_message(provider: KeyVaultProvider) -> None:
    with pytest.raises(PluginError, match="has no function temporalazure:index:getWeather"):
        await provider.invoke(InvokeRequest("temporalazure:index:getWeather", {}))


async def test_the_schema_is_what_the_file_has(provider: KeyVaultProvider) -> None:
    schema = (await provider.get_schema(GetSchemaRequest(0, None, None))).schema
    assert schema is not None
    assert schema.startswith('{\n  "name": "temporalazure"')


async def test_secrets_are_seen_through(provider: KeyVaultProvider) -> None:
    """A tag that is a secret would show as a change at each run."""
    inputs = property_values(LEAF_INPUTS)
    inputs["tags"] = PropertyValue(inputs["tags"].value, is_secret=True)
    request = DiffRequest(URN, "id", property_values(LEAF_STATE), inputs, ignore_changes=[])
    assert (await provider.diff(request)).changes is False


@pytest.mark.parametrize(
    "told", ["2026-12-31T23:00:00Z", "2026-12-31T23:00:00+00:00", "2027-01-01T01:00:00+02:00", "2026-12-31T23:00"]
)
def test_the_clock_can_be_set(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    """A renewal that is rehearsed in another time zone would come a day off."""
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        monkeypatch.setenv(VARIABLE, told)
        assert clock.now() == datetime(2026, 12, 31, 23, tzinfo=UTC)
        assert clock.now().tzinfo is UTC
    finally:
        monkeypatch.undo()
        time.tzset()


def test_unset_the_clock_is_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    before = datetime.now(UTC)
    assert before <= clock.now() <= datetime.now(UTC)


def test_a_clock_that_is_set_to_nonsense_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "tomorrow")
    with pytest.raises(ValueError, match="tomorrow"):
        clock.now()
