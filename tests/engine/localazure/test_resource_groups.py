"""Subscriptions and resource groups through azure-mgmt-resource."""

from typing import Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.identity.aio import ClientSecretCredential
from azure.mgmt.resource.resources.aio import ResourceManagementClient as AsyncResourceManagementClient

from localazure.client import LocalAzure
from tests.engine.localazure.sdk import Sdk, fresh_name


def code_of(error: HttpResponseError) -> str | None:
    return error.error.code if error.error else None


def test_a_group_is_created_read_listed_changed_and_deleted(azure: LocalAzure, sdk: Sdk) -> None:
    """The life of a group, as the engine drives it."""
    groups, name = sdk.resources().resource_groups, fresh_name()
    assert not groups.check_existence(name)
    created = groups.create_or_update(name, {"location": "West Europe", "tags": {"stack": "local"}})
    assert (created.location, created.tags) == ("westeurope", {"stack": "local"})
    assert created.id == f"/subscriptions/{azure.subscription_id}/resourceGroups/{name}"
    assert groups.check_existence(name.upper())
    assert groups.get(name).properties.provisioning_state == "Succeeded"
    assert groups.update(name, {"tags": {"stack": "dev"}}).tags == {"stack": "dev"}
    assert name in {group.name for group in groups.list()}
    groups.begin_delete(name).result()
    assert not groups.check_existence(name)


def test_deleting_a_group_answers_before_it_is_over(sdk: Sdk, azure: LocalAzure) -> None:
    """The caller must follow the Location: a client that takes 202 for the end would go on too early."""
    name = sdk.create_group()
    sdk.resources().resource_groups.begin_delete(name).result()
    polls = [r["status"] for r in azure.requests() if "/operationresults/" in r["path"]]
    assert polls[-2:] == [202, 200]


def test_what_is_missing_is_said_with_arms_codes(sdk: Sdk) -> None:
    """The plugins tell "gone" from "forbidden" by code."""
    groups = sdk.resources().resource_groups
    with pytest.raises(ResourceNotFoundError) as missing:
        groups.get(fresh_name())
    assert code_of(missing.value) == "ResourceGroupNotFound"
    with pytest.raises(ResourceNotFoundError):
        groups.begin_delete(fresh_name())


def test_a_group_does_not_move(sdk: Sdk) -> None:
    """A changed location is a replacement, which the plugin must ask for; ARM refuses it."""
    name = sdk.create_group()
    with pytest.raises(ResourceExistsError) as refused:
        sdk.resources().resource_groups.create_or_update(name, {"location": "northeurope"})
    assert code_of(refused.value) == "InvalidResourceGroupLocation"


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [("ends-with.", {"location": "westeurope"}, "InvalidResourceGroup"), ("fine", {}, "LocationRequired")],
)
def test_a_wrong_group_is_refused(sdk: Sdk, name: str, body: dict[str, Any], code: str) -> None:
    """What Azure would refuse must not pass here."""
    with pytest.raises(HttpResponseError) as refused:
        sdk.resources().resource_groups.create_or_update(name, body)
    assert code_of(refused.value) == code


@pytest.mark.parametrize("identity", ["nobody", "previewer"])
def test_readers_read_groups_and_write_none(sdk: Sdk, identity: str) -> None:
    """A preview as an identity without rights must work, and change nothing."""
    name = sdk.create_group()
    groups = sdk.resources(identity).resource_groups
    assert groups.get(name).name == name
    with pytest.raises(HttpResponseError) as not_written:
        groups.create_or_update(name, {"location": "westeurope"})
    with pytest.raises(HttpResponseError) as not_deleted:
        groups.begin_delete(name)
    for refused in (not_written.value, not_deleted.value):
        assert (refused.status_code, code_of(refused)) == (403, "AuthorizationFailed")


def test_an_identity_without_roles_reads_nothing(sdk: Sdk) -> None:
    """A consumer of a certificate has no business in ARM."""
    with pytest.raises(HttpResponseError) as refused:
        list(sdk.resources("reader-ui").resource_groups.list())
    assert refused.value.status_code == 403


def test_resources_are_listed_by_type(sdk: Sdk) -> None:
    """azure-mgmt-keyvault lists the vaults of a subscription this way."""
    group = sdk.create_group()
    vault = sdk.create_vault(group)
    assert [each.name for each in sdk.resources().resources.list_by_resource_group(group)] == [vault.name]
    assert vault.name in {each.name for each in sdk.vaults().vaults.list()}
    with pytest.raises(HttpResponseError) as refused:
        list(sdk.resources().resources.list(filter="name eq 'x'"))
    assert refused.value.status_code == 501


def test_providers_are_registered(sdk: Sdk) -> None:
    """Clients register a provider when ARM says that it is not; here it always is."""
    providers = sdk.resources().providers
    assert providers.get("microsoft.keyvault").registration_state == "Registered"
    assert providers.register("Microsoft.KeyVault").registration_state == "Registered"
    assert {"Microsoft.KeyVault", "Microsoft.Authorization"} <= {each.namespace for each in providers.list()}


async def test_the_async_client_works_too(azure: LocalAzure) -> None:
    """Our own code is async: another transport, the same service."""
    known = azure.identities["deployer"]
    trust: dict[str, Any] = {"connection_verify": str(azure.ca_file)}
    async with (
        ClientSecretCredential(
            known["tenantId"],
            known["clientId"],
            known["clientSecret"],
            authority=azure.origin,
            disable_instance_discovery=True,
            **trust,
        ) as credential,
        AsyncResourceManagementClient(
            credential,
            azure.subscription_id,
            base_url=azure.origin,
            credential_scopes=[f"{azure.origin}//.default"],
            **trust,
        ) as client,
    ):
        name = fresh_name()
        await client.resource_groups.create_or_update(name, {"location": "westeurope"})
        assert await client.resource_groups.check_existence(name)


def test_another_subscription_is_not_there(sdk: Sdk) -> None:
    """A stack that names the wrong subscription must fail, not find this one."""
    elsewhere = sdk.resources(subscription_id="00000000-0000-0000-0000-000000000000")
    with pytest.raises(ResourceNotFoundError) as missing:
        elsewhere.resource_groups.get("any")
    assert code_of(missing.value) == "SubscriptionNotFound"


def test_a_token_for_another_audience_is_refused(sdk: Sdk) -> None:
    """A client that assumes the public cloud's audience fails in every other cloud: it fails here too."""
    for_vaults = sdk.resources(credential_scopes=["https://vault.azure.net/.default"])
    with pytest.raises(ClientAuthenticationError) as refused:
        for_vaults.resource_groups.get("any")
    assert code_of(refused.value) == "InvalidAuthenticationTokenAudience"
