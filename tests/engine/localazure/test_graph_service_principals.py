"""Service principals, app role assignments and delegated grants in Microsoft Graph, through msgraph-sdk."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from msgraph.generated.models.api_application import ApiApplication
from msgraph.generated.models.app_role_assignment import AppRoleAssignment
from msgraph.generated.models.application import Application
from msgraph.generated.models.o_auth2_permission_grant import OAuth2PermissionGrant
from msgraph.generated.models.permission_scope import PermissionScope
from msgraph.generated.models.reference_create import ReferenceCreate
from msgraph.generated.models.service_principal import ServicePrincipal
from msgraph.generated.models.web_application import WebApplication

from tests.engine.localazure.graph import OF_THE_SDK, GraphClients, assignment, refusal, role

pytestmark = OF_THE_SDK

GRAPH = "00000003-0000-0000-c000-000000000000"
AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"


async def test_a_service_principal_shows_what_is_its_applications(graph: GraphClients) -> None:
    """Roles, scopes and addresses are declared on the application and read from the service principal."""
    scope = PermissionScope(
        id=uuid4(),
        value="default",
        type="User",
        is_enabled=True,
        admin_consent_display_name="d",
        admin_consent_description="d",
    )
    made = await graph.application(
        app_roles=[role("admin")],
        api=ApiApplication(oauth2_permission_scopes=[scope]),
        web=WebApplication(redirect_uris=["https://ui.example/cb"]),
    )
    client = await graph.sdk()
    uri = Application(identifier_uris=[f"api://{made.app_id}"])
    await client.applications.by_application_id(made.id).patch(uri)
    principal = await graph.service_principal(made, app_role_assignment_required=True, tags=["t"])
    by_id = client.service_principals.by_service_principal_id(principal.id)
    shown = await by_id.get()
    assert (shown.app_id, shown.display_name) == (made.app_id, made.display_name)
    assert [each.value for each in shown.app_roles] == ["admin"]
    assert [each.value for each in shown.oauth2_permission_scopes] == ["default"]
    assert shown.reply_urls == ["https://ui.example/cb"]
    assert shown.service_principal_names == [made.app_id, f"api://{made.app_id}"]
    assert (shown.account_enabled, shown.app_role_assignment_required, shown.tags) == (True, True, ["t"])
    await client.applications.by_application_id(made.id).patch(Application(display_name="Renamed"))
    assert (await by_id.get()).display_name == "Renamed"


async def test_a_service_principal_is_changed_and_deleted(graph: GraphClients) -> None:
    """A PATCH changes what it names; what is the application's it cannot change."""
    made = await graph.application(app_roles=[role("admin")])
    principal = await graph.service_principal(made, description="one", notes="kept")
    client = await graph.sdk()
    by_id = client.service_principals.by_service_principal_id(principal.id)
    await by_id.patch(ServicePrincipal(description="two", account_enabled=False))
    shown = await client.service_principals_with_app_id(made.app_id).get()
    assert (shown.description, shown.notes, shown.account_enabled) == ("two", "kept", False)
    refused = await refusal(by_id.patch(ServicePrincipal(app_roles=[])))
    assert "does not match the application object" in refused.message
    assert (await refusal(by_id.patch(ServicePrincipal(service_principal_type="Legacy")))).status == 400
    await by_id.delete()
    assert (await refusal(by_id.get())).status == 404
    assert (await client.applications.by_application_id(made.id).get()).app_id == made.app_id


async def test_an_application_has_one_service_principal_in_a_tenant(graph: GraphClients) -> None:
    """Two would make every lookup by client id ambiguous."""
    made = await graph.application()
    principal = await graph.service_principal(made)
    again = await refusal(graph.service_principal(made))
    assert (again.status, again.code) == (409, "Request_MultipleObjectsWithSameKeyValue")
    await (await graph.sdk()).service_principals.by_service_principal_id(principal.id).delete()
    assert (await graph.service_principal(made)).id != principal.id


async def test_a_service_principal_needs_an_application_that_the_caller_may_use(graph: GraphClients) -> None:
    """OwnedBy reaches as far as what one owns."""
    unknown = Application(app_id=str(uuid4()))
    refused = await refusal(graph.service_principal(unknown))
    assert (refused.status, refused.code) == (403, "Authorization_RequestDenied")
    graph.azure.create_identity("graph-admin", graph_roles=("Application.ReadWrite.All",))
    refused = await refusal(graph.service_principal(unknown, "graph-admin"))
    assert (refused.status, refused.code) == (400, "NoBackingApplicationObject")
    made = await graph.application("graph-admin")
    assert (await refusal(graph.service_principal(made))).status == 403
    assert (await graph.service_principal(made, "graph-admin")).app_id == made.app_id


async def test_who_creates_a_service_principal_owns_it(graph: GraphClients) -> None:
    """Owners are the service principal's own, not those of the application."""
    principal = await graph.service_principal(await graph.application())
    owners = (await graph.sdk()).service_principals.by_service_principal_id(principal.id).owners
    deployer, bob = (graph.azure.identities[name]["objectId"] for name in ("deployer", "bob"))
    assert [each.id for each in (await owners.get()).value] == [deployer]
    await owners.ref.post(ReferenceCreate(odata_id=f"{graph.base}/directoryObjects/{bob}"))
    assert [each.id for each in (await owners.get()).value] == [deployer, bob]
    await owners.by_directory_object_id(bob).ref.delete()
    assert [each.id for each in (await owners.get()).value] == [deployer]


async def test_microsofts_own_are_there_and_their_applications_are_not(graph: GraphClients) -> None:
    """A program looks Microsoft Graph up by its client id, and finds its scopes by value."""
    client = await graph.sdk()
    shown = await client.service_principals_with_app_id(GRAPH).get()
    scopes = {each.value: str(each.id) for each in shown.oauth2_permission_scopes}
    assert scopes["offline_access"] == "7427e0e9-2fba-42fe-b0c0-848c9e6a8182"
    roles = {each.value: str(each.id) for each in shown.app_roles}
    assert roles["Application.ReadWrite.OwnedBy"] == "18a4783c-866b-4cc7-a460-3d5e5662c884"
    assert shown.app_owner_organization_id != UUID(graph.azure.tenant_id)
    assert (await client.service_principals_with_app_id(AZURE_CLI).get()).display_name == "Microsoft Azure CLI"
    assert (await refusal(client.applications_with_app_id(GRAPH).get())).status == 404


class Resource:
    """An application with a role for anyone, one for people, and a disabled one."""

    def __init__(self, graph: GraphClients) -> None:
        self._graph = graph
        self.anyone = role("anyone")
        self.people = role("people", members=("User",))
        self.disabled = role("disabled", enabled=False)
        self.principal: Any = None

    async def make(self) -> "Resource":
        made = await self._graph.application(app_roles=[self.anyone, self.people, self.disabled])
        self.principal = await self._graph.service_principal(made)
        return self

    async def assigned_to(self) -> Any:
        client = await self._graph.sdk()
        return client.service_principals.by_service_principal_id(self.principal.id).app_role_assigned_to

    async def assign(self, identity: str, role_id: Any) -> Any:
        object_id = self._graph.azure.identities[identity]["objectId"]
        return await (await self.assigned_to()).post(assignment(self.principal, object_id, role_id))


async def test_roles_are_assigned_to_people_groups_and_workloads(graph: GraphClients) -> None:
    """Read back from either end, as the provider and the portal do."""
    resource, client = await Resource(graph).make(), await graph.sdk()
    for identity, kind in (("ada", "User"), ("Temporal Operators", "Group"), ("reader-worker", "ServicePrincipal")):
        made = await resource.assign(identity, resource.anyone.id)
        assert (made.principal_type, made.resource_display_name) == (kind, resource.principal.display_name)
    everyone = (await (await resource.assigned_to()).get()).value
    assert {each.principal_display_name for each in everyone} == {
        "Ada Lovelace",
        "Temporal Operators",
        "reader-worker",
    }
    identities = graph.azure.identities

    async def resources_of(ends: Any) -> set[Any]:
        return {each.resource_id for each in (await ends.app_role_assignments.get()).value}

    ada, bob = (client.users.by_user_id(identities[name]["objectId"]) for name in ("ada", "bob"))
    operators = client.groups.by_group_id(identities["Temporal Operators"]["objectId"])
    worker = client.service_principals.by_service_principal_id(identities["reader-worker"]["objectId"])
    for ends in (ada, bob, operators, worker):
        assert UUID(resource.principal.id) in await resources_of(ends)
    eve = client.users.by_user_id(identities["eve"]["objectId"])
    assert UUID(resource.principal.id) not in await resources_of(eve)


async def test_an_assignment_is_read_and_deleted_by_its_id(graph: GraphClients) -> None:
    """Deleted, it is gone from both ends."""
    resource = await Resource(graph).make()
    made = await resource.assign("ada", resource.anyone.id)
    assigned_to = await resource.assigned_to()
    by_id = assigned_to.by_app_role_assignment_id(made.id)
    assert str((await by_id.get()).app_role_id) == str(resource.anyone.id)
    await by_id.delete()
    assert (await refusal(by_id.get())).status == 404
    assert (await refusal(by_id.delete())).status == 404
    ada = (await graph.sdk()).users.by_user_id(graph.azure.identities["ada"]["objectId"]).app_role_assignments
    object_id = UUID(graph.azure.identities["ada"]["objectId"])
    wanted = AppRoleAssignment(
        principal_id=object_id, resource_id=UUID(resource.principal.id), app_role_id=resource.people.id
    )
    other = await ada.post(wanted)
    assert (await ada.by_app_role_assignment_id(other.id).get()).id == other.id
    await ada.by_app_role_assignment_id(other.id).delete()
    assert (await assigned_to.get()).value == []


async def test_an_assignment_that_graph_would_refuse_is_refused(graph: GraphClients) -> None:
    """Each beside the one that is taken."""
    resource = await Resource(graph).make()
    await resource.assign("ada", resource.people.id)
    twice = await refusal(resource.assign("ada", resource.people.id))
    assert (twice.status, twice.message) == (400, "Permission being assigned already exists on the object")
    await resource.assign("bob", resource.people.id)
    for wrong in (uuid4(), resource.disabled.id):
        refused = await refusal(resource.assign("bob", wrong))
        assert "Permission being assigned was not found" in refused.message
    workload = await refusal(resource.assign("reader-ui", resource.people.id))
    assert "Permission being assigned was not found" in workload.message
    await resource.assign("reader-ui", resource.anyone.id)
    assigned_to = await resource.assigned_to()
    nobody = await refusal(assigned_to.post(assignment(resource.principal, str(uuid4()), resource.anyone.id)))
    assert (nobody.status, nobody.code) == (404, "Request_ResourceNotFound")
    other = await Resource(graph).make()
    ada = graph.azure.identities["ada"]["objectId"]
    elsewhere = await refusal(assigned_to.post(assignment(other.principal, ada, other.anyone.id)))
    assert elsewhere.status == 400


async def test_access_without_a_role_can_be_assigned(graph: GraphClients) -> None:
    """The zero GUID: whoever must be assigned may then sign in, with no role."""
    resource = await Resource(graph).make()
    assert (await resource.assign("ada", UUID(int=0))).app_role_id == UUID(int=0)


async def test_what_hangs_on_a_service_principal_goes_with_it(graph: GraphClients) -> None:
    """An assignment that outlives its resource would let nobody in, and be in the way for ever."""
    resource, client = await Resource(graph).make(), await graph.sdk()
    await resource.assign("ada", resource.anyone.id)
    microsoft_graph = await client.service_principals_with_app_id(GRAPH).get()
    made = await client.oauth2_permission_grants.post(grant(resource.principal, microsoft_graph))
    await client.service_principals.by_service_principal_id(resource.principal.id).delete()
    ada = client.users.by_user_id(graph.azure.identities["ada"]["objectId"])
    left = (await ada.app_role_assignments.get()).value
    assert UUID(resource.principal.id) not in {each.resource_id for each in left}
    by_id = client.oauth2_permission_grants.by_o_auth2_permission_grant_id(made.id)
    assert (await refusal(by_id.get())).status == 404


def grant(client: Any, resource: Any, **changes: Any) -> OAuth2PermissionGrant:
    wanted = {"consent_type": "AllPrincipals", "scope": "openid profile"}
    return OAuth2PermissionGrant(client_id=client.id, resource_id=resource.id, **(wanted | changes))


async def test_a_grant_is_made_read_changed_and_deleted(graph: GraphClients) -> None:
    """With it people sign in without being asked for consent."""
    client = await graph.sdk()
    grants = client.oauth2_permission_grants
    principal = await graph.service_principal(await graph.application())
    microsoft_graph = await client.service_principals_with_app_id(GRAPH).get()
    made = await grants.post(grant(principal, microsoft_graph))
    by_id = grants.by_o_auth2_permission_grant_id(made.id)
    await by_id.patch(OAuth2PermissionGrant(scope="openid email"))
    assert (await by_id.get()).scope == "openid email"
    assert (await refusal(by_id.patch(OAuth2PermissionGrant(consent_type="Principal")))).status == 400
    of_client = client.service_principals.by_service_principal_id(principal.id).oauth2_permission_grants
    assert [each.id for each in (await of_client.get()).value] == [made.id]
    found = (await graph.ask("GET", f"/oauth2PermissionGrants?$filter=clientId eq '{principal.id}'")).json()["value"]
    assert [each["id"] for each in found] == [made.id]
    await by_id.delete()
    assert (await refusal(by_id.get())).status == 404


async def test_a_grant_that_graph_would_refuse_is_refused(graph: GraphClients) -> None:
    """Each beside the one that is taken."""
    client = await graph.sdk()
    grants = client.oauth2_permission_grants
    principal = await graph.service_principal(await graph.application())
    microsoft_graph = await client.service_principals_with_app_id(GRAPH).get()
    await grants.post(grant(principal, microsoft_graph))
    assert (await refusal(grants.post(grant(principal, microsoft_graph)))).status == 409
    ada = graph.azure.identities["ada"]["objectId"]
    for wrong in (
        grant(principal, microsoft_graph, consent_type="Principal"),
        grant(principal, microsoft_graph, principal_id=ada),
        grant(principal, microsoft_graph, consent_type="Everyone"),
        grant(principal, microsoft_graph, consent_type="Principal", principal_id=ada, scope=None),
    ):
        assert (await refusal(grants.post(wrong))).status == 400
    await grants.post(grant(principal, microsoft_graph, consent_type="Principal", principal_id=ada))
    unknown = ServicePrincipal(id=str(uuid4()))
    assert (await refusal(grants.post(grant(principal, unknown)))).status == 404


@pytest.mark.parametrize("identity", ["deployer", "reader-ui"])
async def test_a_workload_identity_is_a_service_principal(graph: GraphClients, identity: str) -> None:
    """`access.readers` names them by client id."""
    known = graph.azure.identities[identity]
    shown = await (await graph.sdk()).service_principals_with_app_id(known["clientId"]).get()
    assert (shown.id, shown.display_name, shown.app_roles) == (known["objectId"], identity, [])
