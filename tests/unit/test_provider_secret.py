"""What the provider says of a secret from its state, and what it reads, writes and deletes in a vault."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import (
    CheckRequest,
    CheckResponse,
    CreateRequest,
    DeleteRequest,
    DiffRequest,
    DiffResponse,
    ReadRequest,
    ReadResponse,
    UpdateRequest,
)

from cloud import Endpoints, Identity, Session
from plugin import UNKNOWN, PluginError, plain, property_values
from provider.ownership import Owner
from provider.plugin import KeyVaultProvider
from provider.secret_inputs import SecretInputs, parse_secret_id
from tests.unit.test_provider_plugin import VAULT, VAULT_ID, VERSION, Listener

URN = "urn:pulumi:dev::temporal-azure::temporalazure:keyvault:Secret::client-secret"
ID = f"{VAULT}secrets/client-secret"
OTHER_VERSION = "fedcba9876543210fedcba9876543210"
NOW = datetime(2026, 3, 29, 12, tzinfo=UTC)
OWN = Owner(URN).tags
VALUE = "correct horse battery staple"

INPUTS: dict[str, Any] = {
    "vaultId": VAULT_ID,
    "vaultUri": VAULT,
    "name": "client-secret",
    "value": VALUE,
    "contentType": "text/plain",
    "notAfter": "2027-01-31T00:00:00Z",
    "tags": {"team": "payments"},
}
STATE = INPUTS | {"secretId": f"{ID}/{VERSION}", "versionlessId": ID, "version": VERSION}


@dataclass
class Vault:
    """The versions of one secret, live or deleted, and what was done to them."""

    versions: list[Any] = field(default_factory=list)
    deleted: list[Any] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    def holds(self, value: str = VALUE, *, version: str = VERSION, seconds: int = 0, **changes: Any) -> None:
        properties = {
            "id": f"{ID}/{version}",
            "vault_url": VAULT.rstrip("/"),
            "name": "client-secret",
            "version": version,
            "created_on": NOW + timedelta(seconds=seconds),
            "content_type": "text/plain",
            "expires_on": datetime(2027, 1, 31, tzinfo=UTC),
            "tags": {"team": "payments", **OWN},
            "enabled": True,
            "managed": None,
        }
        self.versions.append(SimpleNamespace(value=value, properties=SimpleNamespace(**properties | changes)))

    async def get_secret(self, name: str) -> Any:
        self.done.append("read")
        if not self.versions:
            raise ResourceNotFoundError("SecretNotFound")
        return self.versions[-1]

    async def list_properties_of_secret_versions(self, name: str) -> AsyncIterator[Any]:
        # In no order that says anything, as in Azure.
        for held in sorted(self.versions, key=lambda held: str(held.properties.version)):
            yield held.properties

    async def get_deleted_secret(self, name: str) -> Any:
        if not self.deleted:
            raise ResourceNotFoundError("SecretNotFound")
        return self.deleted[-1]

    async def recover_deleted_secret(self, name: str, **_: Any) -> None:
        self.done.append("recover")
        self.versions, self.deleted = self.deleted, []

    async def delete_secret(self, name: str, **_: Any) -> None:
        self.done.append("delete")

    async def set_secret(self, name: str, value: str, **properties: Any) -> Any:
        self.done.append("set")
        self.holds(value, version=OTHER_VERSION, seconds=60, **properties)
        return self.versions[-1]

    async def update_secret_properties(self, name: str, version: str, **changes: Any) -> Any:
        self.done.append("update")
        [held] = [held.properties for held in self.versions if held.properties.version == version]
        vars(held).update(changes)
        return held


@pytest.fixture
def vault() -> Vault:
    return Vault()


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def provider(listener: Listener, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> KeyVaultProvider:
    monkeypatch.setattr(Session, "secrets", lambda self, address: vault)

    async def open_session(identity: Identity) -> Session:
        nowhere = dict.fromkeys(("authority", "resource_manager", "resource_manager_audience", "key_vault_suffix"), "")
        return Session(identity, Endpoints(**nowhere, microsoft_graph=None))

    monkeypatch.setattr(Session, "open", open_session)
    return KeyVaultProvider(listener)  # type: ignore[arg-type]


def without(name: str, values: dict[str, Any] = INPUTS) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def marked(values: dict[str, PropertyValue] | None) -> set[str]:
    return {name for name, value in (values or {}).items() if value.is_secret}


async def check(provider: KeyVaultProvider, inputs: dict[str, Any]) -> CheckResponse:
    return await provider.check(CheckRequest(URN, {}, property_values(inputs), b""))


async def diff(provider: KeyVaultProvider, state: dict[str, Any], inputs: dict[str, Any]) -> DiffResponse:
    request = DiffRequest(URN, ID, property_values(state), property_values(inputs), ignore_changes=[])
    return await provider.diff(request)


async def create(provider: KeyVaultProvider, inputs: dict[str, Any] = INPUTS, *, preview: bool = False) -> Any:
    return await provider.create(CreateRequest(URN, property_values(inputs), timeout=0, preview=preview))


async def update(
    provider: KeyVaultProvider, inputs: dict[str, Any], *, state: dict[str, Any] = STATE, preview: bool = False
) -> dict[str, Any]:
    request = UpdateRequest(
        URN, ID, property_values(state), property_values(inputs), timeout=0, ignore_changes=[], preview=preview
    )
    response = await provider.update(request)
    assert marked(response.properties) == {"value"}
    found: dict[str, Any] = plain(response.properties or {})
    return found


async def refresh(provider: KeyVaultProvider, state: dict[str, Any] = STATE) -> ReadResponse:
    inputs = {name: state[name] for name in INPUTS if name in state}
    return await provider.read(ReadRequest(URN, ID, property_values(state), property_values(inputs)))


async def imported(provider: KeyVaultProvider, resource_id: str = ID) -> ReadResponse:
    return await provider.read(ReadRequest(URN, resource_id, {}, {}))


def kinds(response: DiffResponse) -> dict[str, str]:
    return {path: change.kind.name for path, change in response.detailed_diff.items()}


# Check


async def test_the_value_is_marked_though_the_program_did_not(provider: KeyVaultProvider) -> None:
    """A program in another language, or one that forgot, would have it in the state in the clear."""
    response = await check(provider, INPUTS)
    assert response.failures == []
    assert plain(response.inputs or {}) == INPUTS
    assert marked(response.inputs) == {"value"}


@pytest.mark.parametrize("name", [name for name in INPUTS if name != "tags"])
async def test_what_is_unknown_passes(provider: KeyVaultProvider, name: str) -> None:
    """In the first preview neither the vault nor the client secret exists."""
    response = await check(provider, INPUTS | {name: UNKNOWN})
    assert response.failures == []
    assert plain(response.inputs or {})[name] == UNKNOWN


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "client_secret"),
        ("value", ""),
        ("value", "x" * 25_001),
        ("value", "é" * 12_501),
        ("contentType", ""),
        ("contentType", "x" * 256),
        ("notAfter", "2027-01-31"),
        ("notAfter", "2027-01-31T00:00:00"),
        ("notAfter", "2027-01-31T00:00:00+01:00"),
        ("notAfter", "2027-01-31T00:00:00.5Z"),
        ("notAfter", "2027-02-31T00:00:00Z"),
        ("tags", {"team": 1}),
        ("purpose", "sign-on"),
    ],
)
async def test_what_key_vault_would_refuse_is_refused(provider: KeyVaultProvider, name: str, value: Any) -> None:
    """The vault says so only after everything before it was made."""
    [failure] = (await check(provider, INPUTS | {name: value})).failures or []
    assert failure.property.startswith(name)
    assert "x" * 100 not in failure.reason


@pytest.mark.parametrize("name", ["vaultId", "vaultUri", "name", "value"])
async def test_what_is_missing_is_said(provider: KeyVaultProvider, name: str) -> None:
    [failure] = (await check(provider, without(name))).failures or []
    assert failure.property == name


def test_inputs_do_not_show_their_value() -> None:
    """A traceback would print them."""
    inputs = SecretInputs.model_validate(INPUTS)
    assert VALUE not in f"{inputs!r} {inputs}"
    with pytest.raises(ValueError, match="vaultId") as caught:
        SecretInputs.model_validate(without("vaultId") | {"tags": VALUE})
    assert VALUE not in str(caught.value)


# Diff and previews


async def test_nothing_changes_of_itself(provider: KeyVaultProvider, vault: Vault) -> None:
    response = await diff(provider, STATE, INPUTS)
    assert (response.changes, response.replaces, kinds(response)) == (False, [], {})
    assert vault.done == []


@pytest.mark.parametrize(
    ("name", "value"), [("vaultUri", "https://other.vault.azure.net/"), ("name", "another"), ("vaultUri", UNKNOWN)]
)
async def test_another_place_is_another_secret(provider: KeyVaultProvider, name: str, value: str) -> None:
    response = await diff(provider, STATE, INPUTS | {name: value, "vaultId": f"{VAULT_ID}-2"})
    assert response.replaces == [name]


async def test_a_vault_that_changes_keeps_its_address(provider: KeyVaultProvider) -> None:
    assert (await diff(provider, STATE, INPUTS | {"vaultUri": UNKNOWN})).changes is False


@pytest.mark.parametrize(
    ("inputs", "change"),
    [
        (INPUTS | {"value": "another"}, {"value": "UPDATE"}),
        (INPUTS | {"value": UNKNOWN}, {"value": "UPDATE"}),
        (INPUTS | {"contentType": "application/json"}, {"contentType": "UPDATE"}),
        (without("notAfter"), {"notAfter": "DELETE"}),
    ],
)
async def test_what_makes_a_version_makes_its_identifiers_unknown(
    provider: KeyVaultProvider, inputs: dict[str, Any], change: dict[str, str]
) -> None:
    """What depends on the version would show as unchanged."""
    response = await diff(provider, STATE, inputs)
    assert kinds(response) == change
    assert response.replaces == []
    found = await update(provider, inputs, preview=True)
    assert found == inputs | {"secretId": UNKNOWN, "version": UNKNOWN, "versionlessId": ID}


@pytest.mark.parametrize(
    "inputs",
    [
        INPUTS | {"tags": {}},
        INPUTS | {"notAfter": "2028-01-31T00:00:00Z"},
        INPUTS | {"tags": {"team": "fraud"}, "vaultUri": UNKNOWN},
    ],
)
async def test_other_attributes_leave_the_version_as_it_is(provider: KeyVaultProvider, inputs: dict[str, Any]) -> None:
    """Every consumer would seem about to change when the secret gets a tag."""
    assert await update(provider, inputs, preview=True) == STATE | inputs | {"vaultUri": VAULT}


async def test_a_preview_of_a_new_secret_asks_no_vault(provider: KeyVaultProvider, vault: Vault) -> None:
    response = await create(provider, preview=True)
    assert response.resource_id == ""
    assert plain(response.properties) == INPUTS | {"secretId": UNKNOWN, "version": UNKNOWN, "versionlessId": ID}
    assert marked(response.properties) == {"value"}
    response = await create(provider, INPUTS | {"vaultUri": UNKNOWN}, preview=True)
    assert plain(response.properties)["versionlessId"] == UNKNOWN
    assert vault.done == []


# Create


async def test_a_new_secret_is_written_with_its_owner(provider: KeyVaultProvider, vault: Vault) -> None:
    response = await create(provider)
    assert vault.done == ["set"]
    [held] = vault.versions
    assert held.value == VALUE
    assert held.properties.tags == {"team": "payments", **OWN}
    assert held.properties.expires_on == datetime(2027, 1, 31, tzinfo=UTC)
    assert response.resource_id == ID
    expected = {"secretId": f"{ID}/{OTHER_VERSION}", "versionlessId": ID, "version": OTHER_VERSION}
    assert plain(response.properties) == INPUTS | expected
    assert marked(response.properties) == {"value"}


async def test_what_a_killed_run_wrote_is_taken_as_it_is(provider: KeyVaultProvider, vault: Vault) -> None:
    """Each kill would leave a version behind."""
    vault.holds()
    response = await create(provider)
    assert vault.done == ["read"]
    assert plain(response.properties) == STATE


@pytest.mark.parametrize(
    ("changes", "done"),
    [
        ({"value": "another"}, ["read", "set"]),
        ({"content_type": None}, ["read", "set"]),
        ({"tags": OWN}, ["read", "update"]),
        ({"expires_on": None}, ["read", "update"]),
        ({"expires_on": datetime(2027, 1, 30, tzinfo=UTC)}, ["read", "update"]),
    ],
)
async def test_what_a_killed_run_wrote_is_finished(
    provider: KeyVaultProvider, vault: Vault, changes: dict[str, Any], done: list[str]
) -> None:
    vault.holds(**changes)
    response = await create(provider)
    assert vault.done == done
    newest = vault.versions[-1]
    assert newest.value == VALUE
    assert newest.properties.tags == {"team": "payments", **OWN}
    assert plain(response.properties)["version"] == newest.properties.version


async def test_an_end_that_is_no_longer_wanted_needs_a_version(provider: KeyVaultProvider, vault: Vault) -> None:
    """No operation takes it off: the secret would end on its old day, in spite of the program."""
    vault.holds()
    await update(provider, without("notAfter"))
    assert vault.done == ["read", "set"]
    assert vault.versions[-1].properties.expires_on is None


async def test_what_was_deleted_is_recovered(provider: KeyVaultProvider, vault: Vault, listener: Listener) -> None:
    vault.holds()
    vault.deleted, vault.versions = vault.versions, []
    await create(provider)
    assert vault.done == ["recover", "read"]
    assert listener.said == [("info", "Recovering the secret, which was deleted.", URN)]


@pytest.mark.parametrize("tags", [None, {}, Owner(URN.replace("dev", "prod")).tags])
@pytest.mark.parametrize("deleted", [False, True])
async def test_what_belongs_to_somebody_else_is_refused(
    provider: KeyVaultProvider, vault: Vault, tags: dict[str, str] | None, deleted: bool
) -> None:
    """Another program's password would be overwritten, or taken out of the bin."""
    vault.holds("theirs", tags=tags)
    if deleted:
        vault.deleted, vault.versions = vault.versions, []
    with pytest.raises(PluginError, match=r"was not touched.*pulumi import temporalazure:keyvault:Secret") as caught:
        await create(provider)
    assert vault.done == []
    assert "made by the stack prod" in str(caught.value) if tags else "made by hand" in str(caught.value)
    assert "theirs" not in str(caught.value)
    assert VALUE not in str(caught.value)


# Update


async def test_an_update_is_of_what_the_state_holds(provider: KeyVaultProvider, vault: Vault) -> None:
    """Whoever set the newest version, the secret stays this stack's: an imported one has no tags yet."""
    vault.holds("theirs", version=OTHER_VERSION, tags=None)
    found = await update(provider, INPUTS, state=without("value", STATE))
    assert vault.done == ["read", "set"]
    assert found["version"] == OTHER_VERSION
    assert vault.versions[-1].value == VALUE


# Refresh


async def test_a_refresh_of_what_is_unchanged_changes_nothing(provider: KeyVaultProvider, vault: Vault) -> None:
    vault.holds()
    response = await refresh(provider)
    assert plain(response.properties or {}) == STATE
    assert plain(response.inputs or {}) == INPUTS
    assert marked(response.properties) == marked(response.inputs) == {"value"}
    assert vault.done == []


@pytest.mark.parametrize("name", ["contentType", "notAfter", "tags"])
async def test_a_refresh_adds_nothing_that_was_not_asked_for(
    provider: KeyVaultProvider, vault: Vault, name: str
) -> None:
    bare: dict[str, dict[str, Any]] = {
        "contentType": {"content_type": None},
        "notAfter": {"expires_on": None},
        "tags": {"tags": OWN},
    }
    vault.holds(**bare[name])
    response = await refresh(provider, without(name, STATE))
    assert plain(response.properties or {}) == without(name, STATE)


async def test_a_refresh_keeps_the_spelling_of_an_instant(provider: KeyVaultProvider, vault: Vault) -> None:
    """It would show a change that is none."""
    vault.holds()
    spelled = STATE | {"notAfter": "2027-01-31T00:00:00+00:00"}
    assert plain((await refresh(provider, spelled)).properties or {}) == spelled


async def test_a_refresh_sees_that_it_is_gone(provider: KeyVaultProvider) -> None:
    assert (await refresh(provider)).resource_id == ""


@pytest.mark.parametrize("tags", [None, OWN], ids=["by somebody", "by a killed run"])
@pytest.mark.parametrize("seconds", [0, 60])
async def test_a_refresh_forgets_the_value_where_it_cannot_know_it(
    provider: KeyVaultProvider, vault: Vault, tags: dict[str, str] | None, seconds: int
) -> None:
    """The next run would take the vault's value for ours. Within one second, a vault does not say which is newer."""
    vault.holds()
    vault.holds("theirs", version=OTHER_VERSION, seconds=seconds, tags=tags)
    response = await refresh(provider)
    found = plain(response.properties or {})
    assert vault.done == []
    if tags and not seconds:
        assert found == STATE
        return
    assert found["version"] == OTHER_VERSION
    assert "value" not in found
    assert "value" not in (response.inputs or {})
    assert kinds(await diff(provider, found, INPUTS))["value"] == "ADD"


@pytest.mark.parametrize(
    ("changes", "change"),
    [
        ({"tags": {**OWN, "team": "fraud"}}, {"tags.team": "UPDATE"}),
        ({"tags": {**OWN, "team": "payments", "by": "hand"}}, {"tags.by": "DELETE"}),
        ({"content_type": None}, {"contentType": "ADD"}),
        ({"expires_on": datetime(2027, 1, 30, 12, tzinfo=UTC)}, {"notAfter": "UPDATE"}),
    ],
)
async def test_a_refresh_sees_what_somebody_changed(
    provider: KeyVaultProvider, vault: Vault, changes: dict[str, Any], change: dict[str, str]
) -> None:
    vault.holds(**changes)
    found = plain((await refresh(provider)).properties or {})
    assert kinds(await diff(provider, found, INPUTS)) == change


async def test_a_disabled_secret_is_warned_of(provider: KeyVaultProvider, vault: Vault, listener: Listener) -> None:
    vault.holds(enabled=False)
    await refresh(provider)
    [(kind, message, urn)] = listener.said
    assert (kind, urn) == ("warning", URN)
    assert VERSION in message


# Import


@pytest.mark.parametrize("resource_id", [ID, f"{ID}/", f"{ID}/{VERSION}"])
async def test_an_import_writes_a_whole_state(provider: KeyVaultProvider, vault: Vault, resource_id: str) -> None:
    vault.holds(tags={"team": "payments"})
    response = await imported(provider, resource_id)
    assert response.resource_id == ID
    assert plain(response.properties or {}) == STATE | {"vaultId": ""}
    assert plain(response.inputs or {}) == INPUTS | {"vaultId": ""}
    assert marked(response.properties) == marked(response.inputs) == {"value"}
    after = await diff(provider, plain(response.properties or {}), INPUTS)
    assert (kinds(after), after.replaces) == ({"vaultId": "UPDATE"}, [])


async def test_an_import_of_what_is_not_there_is_refused(provider: KeyVaultProvider) -> None:
    """An empty answer writes a phantom into the state."""
    for resource_id in (ID, f"{VAULT}certificates/orders", "client-secret"):
        with pytest.raises(PluginError, match=rf"{resource_id} cannot be imported: .*The state was not changed"):
            await imported(provider, resource_id)


async def test_the_secret_of_a_certificate_is_never_read(provider: KeyVaultProvider, vault: Vault) -> None:
    """A leaf's private key would be in this process, or even in the state."""
    vault.holds(managed=True)
    with pytest.raises(PluginError, match="belongs to the certificate of its name") as caught:
        await imported(provider)
    assert VALUE not in str(caught.value)
    for attempt in (create(provider), update(provider, INPUTS)):
        with pytest.raises(PluginError, match="belongs to a certificate and is made by"):
            await attempt
    assert vault.done == []


def test_an_identifier_has_a_vault_and_a_name() -> None:
    assert parse_secret_id(f"{ID}/{VERSION}") == (VAULT, "client-secret")
    with pytest.raises(ValueError, match="https://VAULT/secrets/NAME"):
        parse_secret_id(f"{VAULT}keys/client-secret")


# Destroy


async def delete(provider: KeyVaultProvider, state: dict[str, Any] = STATE) -> None:
    await provider.delete(DeleteRequest(URN, ID, property_values(state), timeout=0))


async def test_what_is_ours_is_deleted(provider: KeyVaultProvider, vault: Vault, listener: Listener) -> None:
    vault.holds()
    await delete(provider, without("value", STATE))
    assert vault.done == ["delete"]
    assert listener.said == []


async def test_what_is_gone_is_deleted(provider: KeyVaultProvider, vault: Vault, listener: Listener) -> None:
    await delete(provider)
    assert (vault.done, listener.said) == ([], [])


async def test_what_goes_meanwhile_is_deleted(
    provider: KeyVaultProvider, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(name: str, **_: Any) -> None:
        raise ResourceNotFoundError("SecretNotFound")

    vault.holds()
    monkeypatch.setattr(vault, "delete_secret", gone)
    await delete(provider)


@pytest.mark.parametrize("tags", [None, {}, Owner(URN.replace("dev", "prod")).tags])
async def test_what_belongs_to_somebody_else_is_left(
    provider: KeyVaultProvider, vault: Vault, listener: Listener, tags: dict[str, str] | None
) -> None:
    vault.holds(tags=tags)
    await delete(provider)
    assert vault.done == []
    [(kind, message, urn)] = listener.said
    assert (kind, urn) == ("warning", URN)
    assert "was left as it is" in message


# What the plugin does not know


async def test_a_resource_that_the_plugin_does_not_know_is_a_message(provider: KeyVaultProvider) -> None:
    """An old plugin under a new program would be a traceback."""
    urn = URN.replace("keyvault:Secret", "keyvault:Vault")
    with pytest.raises(PluginError, match="has no resource temporalazure:keyvault:Vault"):
        await provider.check(CheckRequest(urn, {}, {}, b""))
