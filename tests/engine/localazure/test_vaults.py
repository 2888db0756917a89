"""Vaults on the control plane, through azure-mgmt-keyvault."""

import uuid
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from localazure.client import LocalAzure
from tests.engine.localazure.sdk import Sdk, fresh_name

SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"


def code_of(error: HttpResponseError) -> str | None:
    return error.error.code if error.error else None


def refusal(sdk: Sdk, group: str, name: str, **properties: Any) -> tuple[int | None, str | None]:
    """Status and code of the refusal to create or update the vault."""
    with pytest.raises(HttpResponseError) as refused:
        sdk.create_vault(group, name, **properties)
    return refused.value.status_code, code_of(refused.value)


def test_a_vault_is_returned_as_azure_returns_it(azure: LocalAzure, sdk: Sdk) -> None:
    """The plugin diffs what it reads against what was asked: a default left out, or another casing, is a diff for
    ever.
    """
    group, name = sdk.create_group(), fresh_name()
    vault = sdk.create_vault(
        group,
        name,
        enablePurgeProtection=True,
        softDeleteRetentionInDays=7,
        networkAcls={"defaultAction": "Deny", "ipRules": [{"value": "127.0.0.1"}, {"value": "10.0.0.0/8"}]},
    )
    assert vault.id == (
        f"/subscriptions/{azure.subscription_id}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{name}"
    )
    properties = vault.properties
    assert properties.provisioning_state == "Succeeded"
    assert properties.tenant_id == azure.tenant_id
    assert (properties.sku.family, properties.sku.name) == ("A", "standard")
    assert properties.enable_soft_delete is True
    assert properties.soft_delete_retention_in_days == 7
    assert properties.enable_purge_protection is True
    assert properties.enable_rbac_authorization is True
    assert properties.public_network_access == "Enabled"
    assert properties.access_policies == []
    assert properties.network_acls.bypass == "AzureServices"
    assert [rule.value for rule in properties.network_acls.ip_rules] == ["127.0.0.1/32", "10.0.0.0/8"]
    assert properties.vault_uri.startswith("https://127.0.0.1:")
    assert properties.vault_uri.endswith("/")
    assert sdk.vaults().vaults.get(group, name).as_dict() == vault.as_dict()


def test_putting_the_same_vault_again_changes_nothing(sdk: Sdk) -> None:
    """A second create of a killed `up` must find its vault, with its address."""
    group = sdk.create_group()
    first = sdk.create_vault(group)
    second = sdk.create_vault(group, first.name)
    assert first.properties.as_dict() == second.properties.as_dict()
    assert first.tags == second.tags


def test_vaults_are_listed_where_they_are(sdk: Sdk) -> None:
    """A group's list holds its own vaults and no neighbour's."""
    group, other = sdk.create_group(), sdk.create_group()
    mine, others = sdk.create_vault(group), sdk.create_vault(other)
    vaults = sdk.vaults().vaults
    assert [vault.name for vault in vaults.list_by_resource_group(group)] == [mine.name]
    assert {mine.name, others.name} <= {vault.name for vault in vaults.list_by_subscription()}


def test_a_patch_changes_what_it_names(sdk: Sdk) -> None:
    """Tags and one property change, the rest stays."""
    group = sdk.create_group()
    vault = sdk.create_vault(group, softDeleteRetentionInDays=7)
    change = {"tags": {"a": "b"}, "properties": {"publicNetworkAccess": "disabled"}}
    changed = sdk.vaults().vaults.update(group, vault.name, change)
    assert changed.tags == {"a": "b"}
    assert changed.properties.public_network_access == "Disabled"
    assert changed.properties.soft_delete_retention_in_days == 7
    assert changed.properties.vault_uri == vault.properties.vault_uri


@pytest.mark.parametrize(
    "name",
    ["ab", "a" * 25, "1abc", "abc-", "a--b", "a_bc"],
    ids=["short", "long", "digit", "hyphen", "two", "underscore"],
)
def test_a_wrong_vault_name_is_refused(sdk: Sdk, name: str) -> None:
    """Derived names must fit 3-24 letters, digits and single hyphens."""
    assert refusal(sdk, sdk.create_group(), name) == (400, "VaultNameNotValid")
    assert sdk.vaults().vaults.check_name_availability({"name": name}).name_available is False


@pytest.mark.parametrize(
    "properties",
    [
        {"tenantId": str(uuid.uuid4())},
        {"sku": {"family": "A", "name": "gold"}},
        {"softDeleteRetentionInDays": 6},
        {"softDeleteRetentionInDays": 91},
        {"enablePurgeProtection": False},
        {"enableSoftDelete": False},
        {"publicNetworkAccess": "sometimes"},
        {"networkAcls": {"defaultAction": "Refuse"}},
        {"networkAcls": {"ipRules": [{"value": "fe80::1"}]}},
    ],
    ids=lambda properties: next(iter(properties)),
)
def test_a_wrong_vault_is_refused(sdk: Sdk, properties: dict[str, Any]) -> None:
    """Each differs in one property from the vault that is taken."""
    group, name = sdk.create_group(), fresh_name()
    assert refusal(sdk, group, name, **properties) == (400, "BadRequest")
    assert sdk.create_vault(group, name).name == name


def test_what_cannot_be_undone_is_not_undone(sdk: Sdk) -> None:
    """Purge protection and retention are for life, so the settings must say so before they are first applied."""
    group = sdk.create_group()
    vault = sdk.create_vault(group, enablePurgeProtection=True, softDeleteRetentionInDays=7)
    assert refusal(sdk, group, vault.name, enablePurgeProtection=False) == (400, "BadRequest")
    assert refusal(sdk, group, vault.name, softDeleteRetentionInDays=8) == (400, "BadRequest")
    assert sdk.create_vault(group, vault.name).properties.enable_purge_protection is True


def test_rbac_is_off_unless_said_until_the_version_that_turns_it_on(sdk: Sdk) -> None:
    """azure-native's API version defaults to access policies: a component that forgets the flag must be seen to
    fail.
    """
    group = sdk.create_group()
    parameters = sdk.vault_parameters(enableRbacAuthorization=None)
    for version, expected in (("2024-11-01", False), ("2026-02-01", True)):
        vaults = sdk.vaults(api_version=version).vaults
        vault = vaults.begin_create_or_update(group, fresh_name(), parameters).result()
        assert vault.properties.enable_rbac_authorization is expected


def test_names_are_global(sdk: Sdk) -> None:
    """Two stacks that derive the same name must not share a vault."""
    vault = sdk.create_vault(sdk.create_group())
    assert refusal(sdk, sdk.create_group(), vault.name) == (409, "VaultAlreadyExists")
    availability = sdk.vaults().vaults.check_name_availability({"name": vault.name})
    assert (availability.name_available, availability.reason) == (False, "AlreadyExists")
    assert sdk.vaults().vaults.check_name_availability({"name": fresh_name()}).name_available


def test_a_vault_does_not_move(sdk: Sdk) -> None:
    """A changed location needs a replacement."""
    group = sdk.create_group()
    vault = sdk.create_vault(group)
    parameters = sdk.vault_parameters() | {"location": "northeurope"}
    with pytest.raises(ResourceExistsError) as refused:
        sdk.vaults().vaults.begin_create_or_update(group, vault.name, parameters)
    assert code_of(refused.value) == "InvalidResourceLocation"


def test_a_vault_needs_its_group(sdk: Sdk) -> None:
    """Order matters to ARM, so it must to the program."""
    assert refusal(sdk, fresh_name(), fresh_name()) == (404, "ResourceGroupNotFound")
    with pytest.raises(ResourceNotFoundError) as missing:
        sdk.vaults().vaults.get(sdk.create_group(), fresh_name())
    assert code_of(missing.value) == "ResourceNotFound"


def test_a_deleted_vault_keeps_its_name_until_it_is_recovered(sdk: Sdk) -> None:
    """`down` and `up` again: create fails, recover gives the vault back as it was, at the same address."""
    group = sdk.create_group()
    vault = sdk.create_vault(group, softDeleteRetentionInDays=7, enablePurgeProtection=True)
    vaults = sdk.vaults().vaults
    vaults.delete(group, vault.name)
    with pytest.raises(ResourceNotFoundError):
        vaults.get(group, vault.name)
    deleted = vaults.get_deleted(vault.name, "westeurope")
    assert deleted.properties.vault_id == vault.id
    assert deleted.properties.purge_protection_enabled is True
    assert (deleted.properties.scheduled_purge_date - deleted.properties.deletion_date).days == 7
    assert vault.name in {each.name for each in vaults.list_deleted()}
    assert refusal(sdk, group, vault.name) == (409, "ConflictError")

    recovered = sdk.create_vault(group, vault.name, createMode="recover", publicNetworkAccess="Disabled")
    assert recovered.properties.as_dict() == vault.properties.as_dict()
    assert vault.name not in {each.name for each in vaults.list_deleted()}


def test_recover_fails_where_nothing_is_deleted(sdk: Sdk) -> None:
    """`createMode: recover` cannot be left in the program for good; facts/azure.md."""
    group = sdk.create_group()
    nothing = (400, "SoftDeletedVaultDoesNotExist")
    assert refusal(sdk, group, fresh_name(), createMode="recover") == nothing
    vault = sdk.create_vault(group)
    assert refusal(sdk, group, vault.name, createMode="recover") == nothing
    sdk.vaults().vaults.delete(group, vault.name)
    assert refusal(sdk, sdk.create_group(), vault.name, createMode="recover") == nothing


def test_purging_frees_the_name_for_an_empty_vault(sdk: Sdk) -> None:
    """Without purge protection a person may start over; nothing of the old vault may be left."""
    group = sdk.create_group()
    vault = sdk.create_vault(group)
    vaults = sdk.vaults().vaults
    with pytest.raises(ResourceNotFoundError):
        vaults.begin_purge_deleted(vault.name, "westeurope")
    vaults.delete(group, vault.name)
    vaults.begin_purge_deleted(vault.name, "westeurope").result()
    with pytest.raises(ResourceNotFoundError):
        vaults.get_deleted(vault.name, "westeurope")
    assert sdk.create_vault(group, vault.name).name == vault.name


def test_purge_protection_refuses_the_purge(sdk: Sdk) -> None:
    """The default of the program: `down` leaves the name taken for the retention."""
    group = sdk.create_group()
    vault = sdk.create_vault(group, enablePurgeProtection=True)
    vaults = sdk.vaults().vaults
    vaults.delete(group, vault.name)
    with pytest.raises(HttpResponseError) as refused:
        vaults.begin_purge_deleted(vault.name, "westeurope")
    assert code_of(refused.value) == "MethodNotAllowed"


def test_deleting_a_group_soft_deletes_its_vaults_and_drops_their_assignments(sdk: Sdk) -> None:
    """What a person does who deletes the group by hand: recovery brings the vault back, but not who may read it."""
    group = sdk.create_group()
    vault = sdk.create_vault(group)
    sdk.assign("reader-ui", SECRETS_USER, f"{vault.id}/secrets/ui")
    sdk.resources().resource_groups.begin_delete(group).result()
    assert sdk.vaults().vaults.get_deleted(vault.name, "westeurope").properties.vault_id == vault.id
    sdk.resources().resource_groups.create_or_update(group, {"location": "westeurope"})
    sdk.create_vault(group, vault.name, createMode="recover")
    assert [
        assignment
        for assignment in sdk.authorization().role_assignments.list_for_scope(vault.id)
        if assignment.scope.startswith(vault.id)
    ] == []


def test_deleting_a_vault_twice_is_fine(sdk: Sdk) -> None:
    """A killed `down` deletes again."""
    group = sdk.create_group()
    vault = sdk.create_vault(group)
    sdk.vaults().vaults.delete(group, vault.name)
    sdk.vaults().vaults.delete(group, vault.name)


def test_only_who_may_assign_roles_changes_the_permission_model(azure: LocalAzure, sdk: Sdk) -> None:
    """A Contributor who could turn RBAC off would give access to every key."""
    group = sdk.create_group()
    vault = sdk.create_vault(group)
    contributor = fresh_name()
    azure.create_identity(contributor)
    sdk.assign(contributor, "b24988ac-6180-42a0-ab88-20f7382dd24c", vault.id)
    off = {"properties": {"enableRbacAuthorization": False}}
    with pytest.raises(HttpResponseError) as refused:
        sdk.vaults(contributor).vaults.update(group, vault.name, off)
    assert code_of(refused.value) == "AuthorizationFailed"
    assert sdk.vaults().vaults.update(group, vault.name, off).properties.enable_rbac_authorization is False
