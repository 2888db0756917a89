"""Secrets through the official SDK: plain ones, and those that belong to a certificate."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.core.rest import HttpRequest
from azure.keyvault.certificates import CertificatePolicy
from azure.keyvault.secrets import SecretClient
from azure.keyvault.secrets.aio import SecretClient as AsyncSecretClient

from localazure.client import LocalAzure
from tests.engine.localazure.sdk import Sdk
from tests.engine.localazure.vault_clients import OTHER, VaultClients, fresh, refusal


@pytest.fixture(autouse=True)
def prompt_issuer(azure: LocalAzure) -> None:
    azure.dials(certificatePendingPolls=0)


@pytest.fixture(scope="module")
def vault(running_azure: LocalAzure) -> Iterator[VaultClients]:
    """One for all tests: each has its own names in it."""
    with ExitStack() as stack:
        yield VaultClients(Sdk(running_azure, stack), stack)


@pytest.fixture
def client(vault: VaultClients) -> SecretClient:
    return vault.secrets()


def test_a_secret_has_versions_and_the_newest_is_what_its_name_means(client: SecretClient) -> None:
    name = fresh()
    first = client.set_secret(name, "one", content_type="text/plain", tags={"n": "1"})
    second = client.set_secret(name, "two")
    assert client.get_secret(name).value == "two"
    assert client.get_secret(name).id == second.id
    old = client.get_secret(name, first.properties.version)
    assert (old.value, old.properties.content_type, old.properties.tags) == ("one", "text/plain", {"n": "1"})
    assert {each.version for each in client.list_properties_of_secret_versions(name)} == {
        first.properties.version,
        second.properties.version,
    }
    assert name in [each.name for each in client.list_properties_of_secrets()]


def test_a_versions_attributes_change_and_its_value_does_not(client: SecretClient) -> None:
    """What changes a tag must not make a version, and what is not named must stay as it is."""
    name, end = fresh(), datetime(2030, 1, 31, tzinfo=UTC)
    first = client.set_secret(name, "one", content_type="text/plain", expires_on=end, tags={"n": "1"})
    second = client.set_secret(name, "two")
    changed = client.update_secret_properties(name, first.properties.version, tags={"m": "2"})
    assert (changed.content_type, changed.expires_on, changed.tags) == ("text/plain", end, {"m": "2"})
    later = datetime(2031, 1, 31, tzinfo=UTC)
    changed = client.update_secret_properties(name, first.properties.version, expires_on=later)
    assert (changed.expires_on, changed.tags) == (later, {"m": "2"})
    assert client.update_secret_properties(name, tags={}).version == second.properties.version
    found = {each.version: each for each in client.list_properties_of_secret_versions(name)}
    assert found.keys() == {first.properties.version, second.properties.version}
    assert (found[str(second.properties.version)].expires_on, found[str(second.properties.version)].tags) == (None, {})
    assert client.get_secret(name, first.properties.version).value == "one"


def test_an_end_is_a_note_and_keeps_nobody_out(client: SecretClient) -> None:
    """Azure gives a secret after its end, and before its beginning, for whoever must recover with it."""
    name = fresh()
    client.set_secret(name, "value", expires_on=datetime(2020, 1, 31, tzinfo=UTC))
    assert client.get_secret(name).value == "value"
    client.set_secret(name, "later", not_before=datetime(2090, 1, 31, tzinfo=UTC))
    assert client.get_secret(name).value == "later"


def test_what_is_not_there_is_not_found(client: SecretClient) -> None:
    name = fresh()
    refusal(lambda: client.get_secret(name), 404, "SecretNotFound")
    refusal(lambda: list(client.list_properties_of_secret_versions(name)), 404, "SecretNotFound")
    refusal(lambda: client.update_secret_properties(name, tags={}), 404, "SecretNotFound")
    refusal(lambda: client.begin_delete_secret(name), 404, "SecretNotFound")
    refusal(lambda: client.begin_recover_deleted_secret(name), 404, "SecretNotFound")


def test_a_value_beyond_the_limit_is_refused(client: SecretClient) -> None:
    """Azure keeps 25 KB; what is larger here would be refused there."""
    name = fresh()
    message = refusal(lambda: client.set_secret(name, "x" * 25_601), 400, "BadParameter")
    assert "x" * 100 not in message
    assert client.set_secret(name, "x" * 25_600).value == "x" * 25_600


async def test_the_asynchronous_client_reads_what_the_other_wrote(vault: VaultClients) -> None:
    name = fresh()
    vault.secrets().set_secret(name, "value")
    options = vault.async_options()
    async with options["credential"], AsyncSecretClient(vault.uri, **options) as client:
        assert (await client.get_secret(name)).value == "value"


def test_a_disabled_secret_is_not_given(client: SecretClient) -> None:
    name = fresh()
    client.set_secret(name, "value")
    client.update_secret_properties(name, enabled=False, content_type="text/plain", tags={"a": "b"})
    message = refusal(lambda: client.get_secret(name), 403, "Forbidden", "SecretDisabled")
    assert message == "Operation get is not allowed on a disabled secret."
    listed = next(each for each in client.list_properties_of_secrets() if each.name == name)
    assert (listed.enabled, listed.content_type, listed.tags) == (False, "text/plain", {"a": "b"})


def test_lists_and_deletions_never_have_the_value(client: SecretClient) -> None:
    """Who may see that a secret exists may not, for that, see it."""
    name, value = fresh(), "a-value-to-look-for"
    client.set_secret(name, value)
    for method, path in (
        ("GET", "/secrets"),
        ("GET", f"/secrets/{name}/versions"),
        ("DELETE", f"/secrets/{name}"),
        ("GET", "/deletedsecrets"),
        ("GET", f"/deletedsecrets/{name}"),
        ("POST", f"/deletedsecrets/{name}/recover"),
        ("POST", f"/secrets/{name}/backup"),
    ):
        response = client.send_request(HttpRequest(method, path))
        response.raise_for_status()
        assert value not in response.text()
    assert client.get_secret(name).value == value


def test_delete_recover_and_purge(client: SecretClient) -> None:
    name = fresh()
    client.set_secret(name, "value")
    client.begin_delete_secret(name, _polling_interval=0).wait()
    with pytest.raises(ResourceNotFoundError):
        client.get_secret(name)
    message = refusal(lambda: client.set_secret(name, "again"), 409, "Conflict", "ObjectIsDeletedButRecoverable")
    assert message.startswith(f"Secret {name} is currently in a deleted but recoverable state")
    client.begin_recover_deleted_secret(name, _polling_interval=0).wait()
    assert client.get_secret(name).value == "value"
    client.begin_delete_secret(name, _polling_interval=0).wait()
    client.purge_deleted_secret(name)
    refusal(lambda: client.get_deleted_secret(name), 404, "SecretNotFound")


def test_what_was_deleted_keeps_its_versions_and_its_tags(client: SecretClient) -> None:
    """Whose it was must be seen before it is recovered."""
    name = fresh()
    versions = {client.set_secret(name, value, tags={"n": value}).properties.version for value in ("one", "two")}
    client.begin_delete_secret(name, _polling_interval=0).wait()
    assert client.get_deleted_secret(name).properties.tags == {"n": "two"}
    listed = next(each for each in client.list_deleted_secrets() if each.name == name)
    assert listed.properties.tags == {"n": "two"}
    assert listed.recovery_id == client.get_deleted_secret(name).recovery_id
    assert listed.scheduled_purge_date is not None
    refusal(lambda: list(client.list_properties_of_secret_versions(name)), 404, "SecretNotFound")
    client.begin_recover_deleted_secret(name, _polling_interval=0).wait()
    assert {each.version for each in client.list_properties_of_secret_versions(name)} == versions


async def test_the_asynchronous_client_deletes_and_recovers(vault: VaultClients) -> None:
    name = fresh()
    options = vault.async_options()
    async with options["credential"], AsyncSecretClient(vault.uri, **options) as client:
        await client.set_secret(name, "value")
        await client.delete_secret(name, _polling_interval=0)
        assert (await client.get_deleted_secret(name)).name == name
        await client.recover_deleted_secret(name, _polling_interval=0)
        assert [each.name async for each in client.list_properties_of_secret_versions(name)] == [name]
        await client.update_secret_properties(name, tags={"a": "b"})
        assert (await client.get_secret(name)).properties.tags == {"a": "b"}


def test_an_officer_of_one_secret_does_everything_with_it_and_nothing_with_others(vault: VaultClients) -> None:
    """The deployer's role in the design: on a whole vault it would read every leaf's key."""
    mine, other = fresh(), fresh()
    vault.secrets().set_secret(other, "value")
    vault.assign(OTHER, "Key Vault Secrets Officer", f"/secrets/{mine}")
    client = vault.secrets(OTHER)
    client.set_secret(mine, "value")
    client.update_secret_properties(mine, tags={"a": "b"})
    assert client.get_secret(mine).value == "value"
    assert len(list(client.list_properties_of_secret_versions(mine))) == 1
    client.begin_delete_secret(mine, _polling_interval=0).wait()
    assert client.get_deleted_secret(mine).name == mine
    client.begin_recover_deleted_secret(mine, _polling_interval=0).wait()
    client.begin_delete_secret(mine, _polling_interval=0).wait()
    client.purge_deleted_secret(mine)
    for refused in (
        lambda: client.get_secret(other),
        lambda: client.set_secret(other, "mine"),
        lambda: client.update_secret_properties(other, tags={}),
        lambda: list(client.list_properties_of_secret_versions(other)),
        lambda: client.begin_delete_secret(other),
        lambda: list(client.list_properties_of_secrets()),
        lambda: list(client.list_deleted_secrets()),
    ):
        refusal(refused, 403, "Forbidden", "ForbiddenByRbac")
    refusal(lambda: vault.certificates(OTHER).get_certificate(mine), 403, "Forbidden", "ForbiddenByRbac")


def test_a_backup_is_restored_where_the_name_is_free(client: SecretClient) -> None:
    name = fresh()
    client.set_secret(name, "value")
    blob = client.backup_secret(name)
    assert b"value" not in blob
    refusal(lambda: client.restore_secret_backup(blob), 409, "Conflict")
    client.begin_delete_secret(name, _polling_interval=0).wait()
    client.purge_deleted_secret(name)
    client.restore_secret_backup(blob)
    assert client.get_secret(name).value == "value"


def test_the_secret_of_a_certificate_is_changed_through_it_alone(vault: VaultClients, client: SecretClient) -> None:
    name = fresh()
    vault.create(CertificatePolicy("Self", subject="CN=x", key_type="EC"), name)
    listed = next(each for each in client.list_properties_of_secrets() if each.name == name)
    assert listed.managed
    assert listed.content_type == "application/x-pkcs12"
    for change in (
        lambda: client.set_secret(name, "value"),
        lambda: client.update_secret_properties(name, enabled=False),
        lambda: client.begin_delete_secret(name),
    ):
        assert "associated with a certificate" in refusal(change, 403, "Forbidden", "SecretManagedByKeyVault")
    assert client.get_secret(name).properties.key_id == vault.keys().get_key(name).id
