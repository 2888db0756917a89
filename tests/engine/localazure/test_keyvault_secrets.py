"""Secrets through the official SDK: plain ones, and those that belong to a certificate."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.core.rest import HttpRequest
from azure.keyvault.certificates import CertificatePolicy
from azure.keyvault.secrets import SecretClient
from azure.keyvault.secrets.aio import SecretClient as AsyncSecretClient

from localazure.client import LocalAzure
from tests.engine.localazure.sdk import Sdk
from tests.engine.localazure.vault_clients import VaultClients, fresh, refusal


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
