"""Role assignments and definitions, through azure-mgmt-authorization."""

from typing import Any
from uuid import uuid4

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from localazure.client import LocalAzure
from tests.engine.localazure.sdk import Sdk, fresh_name

SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
CRYPTO_USER = "12338af0-0e69-4776-bea7-57ae8d297424"


def parameters(sdk: Sdk, *, role: str = SECRETS_USER, principal: str | None = None, kind: str | None = None) -> Any:
    definitions = f"/subscriptions/{sdk.azure.subscription_id}/providers/Microsoft.Authorization/roleDefinitions"
    properties = {
        "roleDefinitionId": f"{definitions}/{role}",
        "principalId": principal or sdk.azure.identities["reader-ui"]["objectId"],
    }
    return {"properties": properties | ({"principalType": kind} if kind else {})}


def refusal(
    sdk: Sdk, scope: str, body: Any, name: str | None = None, identity: str = "deployer"
) -> tuple[int | None, str | None]:
    with pytest.raises(HttpResponseError) as refused:
        sdk.authorization(identity).role_assignments.create(scope, name or str(uuid4()), body)
    return refused.value.status_code, refused.value.error.code if refused.value.error else None


def test_an_assignment_is_made_read_and_deleted_at_every_scope(azure: LocalAzure, sdk: Sdk) -> None:
    """From the subscription down to one secret, which need not exist yet."""
    vault = sdk.create_vault(sdk.create_group())
    group_id = vault.id.partition("/providers/")[0]
    assignments = sdk.authorization().role_assignments
    for scope in (f"/subscriptions/{azure.subscription_id}", group_id, vault.id, f"{vault.id}/secrets/ui"):
        name = str(uuid4())
        created = assignments.create(scope, name, parameters(sdk, role=CRYPTO_USER, kind="ServicePrincipal"))
        assert created.id == f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}"
        assert (created.scope, created.principal_type) == (scope, "ServicePrincipal")
        assert assignments.get(scope, name).as_dict() == created.as_dict()
        assert assignments.get_by_id(created.id.lower()).name == name
        assert assignments.delete(scope, name).id == created.id
        assert assignments.delete(scope, name) is None
        with pytest.raises(ResourceNotFoundError):
            assignments.get(scope, name)


def test_putting_the_same_assignment_again_is_fine_but_not_under_another_name(sdk: Sdk) -> None:
    """Assignment names are derived, so that the second `up` finds its own; one made by hand is a 409 that names it."""
    vault = sdk.create_vault(sdk.create_group())
    name = str(uuid4())
    sdk.authorization().role_assignments.create(vault.id, name, parameters(sdk))
    assert sdk.authorization().role_assignments.create(vault.id, name, parameters(sdk)).name == name
    assert refusal(sdk, vault.id, parameters(sdk)) == (409, "RoleAssignmentExists")
    assert refusal(sdk, vault.id.upper().replace("/SUBSCRIPTIONS", "/subscriptions"), parameters(sdk)) == (
        409,
        "RoleAssignmentExists",
    )


def test_an_assignment_is_not_turned_into_another(sdk: Sdk) -> None:
    """A name that was derived from too little would silently give the role to someone else."""
    vault = sdk.create_vault(sdk.create_group())
    name = str(uuid4())
    sdk.authorization().role_assignments.create(vault.id, name, parameters(sdk))
    for changed in (parameters(sdk, role=CRYPTO_USER), parameters(sdk, principal=str(uuid4()), kind="User")):
        assert refusal(sdk, vault.id, changed, name) == (403, "RoleAssignmentUpdateNotPermitted")


def test_contributors_may_not_assign_roles(azure: LocalAzure, sdk: Sdk) -> None:
    """The most common first failure on Azure. The twin has one role more."""
    vault = sdk.create_vault(sdk.create_group())
    contributor = fresh_name()
    azure.create_identity(contributor)
    sdk.assign(contributor, "b24988ac-6180-42a0-ab88-20f7382dd24c", vault.id)
    assert refusal(sdk, vault.id, parameters(sdk), identity=contributor) == (403, "AuthorizationFailed")
    sdk.assign(contributor, "f58310d9-a9f6-439a-9e8d-f62e7b41a168", vault.id)
    assert sdk.authorization(contributor).role_assignments.create(vault.id, str(uuid4()), parameters(sdk)).name


def test_an_unknown_principal_is_refused_unless_its_kind_is_said(sdk: Sdk) -> None:
    """A principal that was created a second ago is unknown to ARM: without principalType the assignment fails."""
    vault = sdk.create_vault(sdk.create_group())
    unknown = str(uuid4())
    assert refusal(sdk, vault.id, parameters(sdk, principal=unknown)) == (400, "PrincipalNotFound")
    said = parameters(sdk, principal=unknown, kind="ServicePrincipal")
    assert sdk.authorization().role_assignments.create(vault.id, str(uuid4()), said).principal_id == unknown


def test_a_wrong_kind_of_principal_is_refused(sdk: Sdk) -> None:
    """azure-native's default is User: a service principal then fails, and so must the program that forgets to say."""
    vault = sdk.create_vault(sdk.create_group())
    assert refusal(sdk, vault.id, parameters(sdk, kind="User")) == (400, "UnmatchedPrincipalType")
    assert refusal(sdk, vault.id, parameters(sdk, kind="Robot")) == (400, "InvalidPrincipalType")


def test_malformed_assignments_are_refused(sdk: Sdk) -> None:
    """Each differs in one thing from the assignment that is taken."""
    vault = sdk.create_vault(sdk.create_group())
    assert refusal(sdk, vault.id, parameters(sdk), name="not-a-guid") == (400, "InvalidRoleAssignmentId")
    assert refusal(sdk, vault.id, parameters(sdk, principal="ui")) == (400, "InvalidPrincipalId")
    assert refusal(sdk, vault.id, parameters(sdk, role=str(uuid4()))) == (400, "RoleDefinitionDoesNotExist")
    assert refusal(sdk, f"{vault.id}x", parameters(sdk)) == (404, "ResourceNotFound")
    conditional = parameters(sdk)
    conditional["properties"]["condition"] = "true"
    assert refusal(sdk, vault.id, conditional) == (501, "NotImplemented")


def test_assignments_are_listed_at_above_and_below_a_scope(sdk: Sdk) -> None:
    """`access.manage: false` checks what others assigned: it must see inherited ones and not a neighbour's."""
    group = sdk.create_group()
    vault, neighbour = sdk.create_vault(group), sdk.create_vault(group)
    at = sdk.assign("reader-ui", SECRETS_USER, vault.id).name
    below = sdk.assign("reader-ui", SECRETS_USER, f"{vault.id}/secrets/ui").name
    above = sdk.assign("reader-cli", SECRETS_USER, vault.id.partition("/providers/")[0]).name
    beside = sdk.assign("reader-ui", SECRETS_USER, neighbour.id).name
    reader = sdk.azure.identities["reader-ui"]["objectId"]

    def listed(filter_: str | None = None) -> set[str]:
        found = sdk.authorization().role_assignments.list_for_scope(vault.id, filter=filter_)
        return {assignment.name for assignment in found}

    assert {at, below, above} <= listed()
    assert beside not in listed()
    assert {at, above} <= listed("atScope()")
    assert below not in listed("atScope()")
    assert listed(f"principalId eq '{reader}'") == {at, below}
    assert listed(f"atScope() and assignedTo('{reader}')") == {at}
    with pytest.raises(HttpResponseError) as refused:
        listed("createdBy eq 'me'")
    assert refused.value.status_code == 501


def test_role_definitions_are_found_by_name_and_id(azure: LocalAzure, sdk: Sdk) -> None:
    """The plugins look a role up by its name; the id is what an assignment holds."""
    scope = f"/subscriptions/{azure.subscription_id}"
    definitions = sdk.authorization().role_definitions
    (found,) = definitions.list(scope, filter="roleName eq 'Key Vault Secrets User'")
    assert found.name == SECRETS_USER
    assert "Microsoft.KeyVault/vaults/secrets/getSecret/action" in found.permissions[0].data_actions
    assert definitions.get(scope, SECRETS_USER).role_name == found.role_name
    assert definitions.get_by_id(found.id).id == found.id
    assert list(definitions.list(scope, filter="roleName eq 'No Such Role'")) == []
    assert len(list(definitions.list(scope))) > 10
    with pytest.raises(ResourceNotFoundError):
        definitions.get(scope, str(uuid4()))
