"""Who may do what in Microsoft Graph; its writes in the log, held and faulted; and its eventual consistency."""

import asyncio
import time
from typing import Any

import httpx
import jwt
import pytest
from msgraph.generated.applications.item.add_password.add_password_post_request_body import AddPasswordPostRequestBody
from msgraph.generated.models.application import Application
from msgraph.generated.models.federated_identity_credential import FederatedIdentityCredential
from msgraph.generated.models.o_auth2_permission_grant import OAuth2PermissionGrant

from localazure.client import LocalAzure, LocalAzureError
from tests.engine.localazure.graph import OF_THE_SDK, GraphClients, Refusal, assignment, refusal, role
from tests.engine.localazure.sdk import Sdk, fresh_name

pytestmark = OF_THE_SDK

DENIED = Refusal(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


async def test_a_token_names_the_permissions_of_its_workload(graph: GraphClients, sdk: Sdk) -> None:
    """`roles` is what people look at when Graph says 403."""

    def claims(token: str) -> dict[str, Any]:
        return jwt.decode(token, options={"verify_signature": False})

    assert claims(await graph.token())["roles"] == [
        "AppRoleAssignment.ReadWrite.All",
        "Application.ReadWrite.OwnedBy",
        "DelegatedPermissionGrant.ReadWrite.All",
        "Directory.Read.All",
    ]
    assert "roles" not in claims(await graph.token("reader-ui"))
    assert "roles" not in claims(sdk.credential().get_token("https://vault.azure.net/.default").token)


async def test_an_owner_changes_its_application_and_nobody_else_does(graph: GraphClients) -> None:
    """Application.ReadWrite.OwnedBy: another deployer's application is read, not changed."""
    made = await graph.application()
    principal = await graph.service_principal(made)
    stranger = await graph.sdk("deployer2")
    theirs = stranger.applications.by_application_id(made.id)
    assert (await theirs.get()).app_id == made.app_id
    for call in (
        theirs.patch(Application(notes="n")),
        theirs.delete(),
        theirs.add_password.post(AddPasswordPostRequestBody()),
        theirs.federated_identity_credentials.post(FederatedIdentityCredential(name="abc")),
        stranger.service_principals.by_service_principal_id(principal.id).delete(),
    ):
        assert await refusal(call) == DENIED
    ours = (await graph.sdk()).applications.by_application_id(made.id)
    await ours.patch(Application(notes="n"))
    graph.azure.create_identity("graph-admin", graph_roles=("Application.ReadWrite.All",))
    await (await graph.sdk("graph-admin")).applications.by_application_id(made.id).delete()


async def test_who_only_reads_is_refused_every_write(graph: GraphClients) -> None:
    """A preview needs Directory.Read.All, and has nothing to write with."""
    made = await graph.application(app_roles=[role("admin")])
    principal = await graph.service_principal(made)
    reader = await graph.sdk("previewer")
    assert (await reader.applications.by_application_id(made.id).get()).app_id == made.app_id
    assert (await reader.service_principals.by_service_principal_id(principal.id).owners.get()).value
    ada = graph.azure.identities["ada"]["objectId"]
    wanted = assignment(principal, ada, made.app_roles[0].id)
    grant = OAuth2PermissionGrant(client_id=principal.id, resource_id=principal.id, consent_type="AllPrincipals")
    before = graph.azure.requests()[-1]["n"]
    for call in (
        reader.applications.post(Application(display_name=fresh_name())),
        reader.service_principals.by_service_principal_id(principal.id).app_role_assigned_to.post(wanted),
        reader.oauth2_permission_grants.post(grant),
        reader.directory.deleted_items.by_directory_object_id(made.id).restore.post(),
    ):
        assert (await refusal(call)).status in (403, 404)
    assert graph.azure.writes(before) == []


async def test_who_has_no_permission_reads_nothing(graph: GraphClients) -> None:
    """Nobody but those who are said to may look into the directory."""
    client = await graph.sdk("reader-ui")
    for collection in (
        client.applications,
        client.service_principals,
        client.users,
        client.groups,
        client.oauth2_permission_grants,
        client.directory.deleted_items.graph_application,
    ):
        assert await refusal(collection.get()) == DENIED


async def test_assigning_needs_more_than_the_permission_to_assign(graph: GraphClients) -> None:
    """AppRoleAssignment.ReadWrite.All alone is refused at Azure, since the caller must read applications as well."""
    made = await graph.application(app_roles=[role("admin")])
    principal = await graph.service_principal(made)
    permission = "AppRoleAssignment.ReadWrite.All"
    graph.azure.create_identity("only-assigns", graph_roles=(permission,))
    graph.azure.create_identity("assigns", graph_roles=(permission, "Application.Read.All"))
    wanted = assignment(principal, graph.azure.identities["ada"]["objectId"], made.app_roles[0].id)

    async def assign(identity: str) -> Any:
        client = await graph.sdk(identity)
        return await client.service_principals.by_service_principal_id(principal.id).app_role_assigned_to.post(wanted)

    assert await refusal(assign("only-assigns")) == DENIED
    assert (await assign("assigns")).principal_type == "User"


async def test_a_permission_that_was_assigned_as_an_app_role_counts(graph: GraphClients) -> None:
    """As at Azure, where an administrator grants it so."""
    identity = fresh_name()
    object_id = graph.azure.create_identity(identity)
    client = await graph.sdk()
    assert await refusal((await graph.sdk(identity)).groups.get()) == DENIED
    microsoft_graph = await client.service_principals_with_app_id("00000003-0000-0000-c000-000000000000").get()
    (wanted,) = (each.id for each in microsoft_graph.app_roles if each.value == "Group.Read.All")
    by_id = client.service_principals.by_service_principal_id(microsoft_graph.id)
    await by_id.app_role_assigned_to.post(assignment(microsoft_graph, object_id, wanted))
    assert (await (await graph.sdk(identity)).groups.get()).value


async def test_unknown_permissions_are_refused_by_the_control_plane(azure: LocalAzure) -> None:
    """A misspelt one would be a test that proves nothing."""
    with pytest.raises(LocalAzureError, match="graphRoles"):
        azure.create_identity(fresh_name(), graph_roles=("Application.Write",))


async def test_a_caller_must_present_a_token_for_graph(graph: GraphClients, sdk: Sdk) -> None:
    """One for the vault, or for ARM, is not one for the directory."""
    async with httpx.AsyncClient(verify=graph.azure.tls_context(), trust_env=False) as http:

        async def ask(token: str | None) -> tuple[int, str]:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            answer = await http.get(f"{graph.base}/users", headers=headers)
            return answer.status_code, answer.json().get("error", {}).get("code", "")

        vault = sdk.credential().get_token("https://vault.azure.net/.default").token
        for wrong in (None, vault, "no.jwt.atall"):
            assert await ask(wrong) == (401, "InvalidAuthenticationToken")
        assert (await ask(await graph.token()))[0] == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/me"), ("POST", "/users"), ("POST", "/$batch"), ("PUT", "/applications")]
)
async def test_what_is_not_served_is_501(graph: GraphClients, method: str, path: str) -> None:
    """A plugin retries 404 and other 5xx for minutes."""
    answer = await graph.ask(method, path, {} if method != "GET" else None)
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "NotImplemented")


async def test_a_write_is_logged_as_one(graph: GraphClients) -> None:
    """ "The second `up` makes no write" is read off this log."""
    await graph.token()
    before = graph.azure.requests()[-1]["n"]
    made = await graph.application()
    await (await graph.sdk()).applications.by_application_id(made.id).get()
    (write,) = graph.azure.writes(before)
    assert (write["host"], write["method"], write["path"]) == ("graph", "POST", "/graph/v1.0/applications")
    assert (write["principal"], write["status"]) == ("deployer", 201)


def last_phase(azure: LocalAzure, n: int) -> str:
    """The phase in which the request ends."""
    deadline = time.monotonic() + 10
    while (phase := azure.requests(n - 1)[0]["phase"]) not in ("done", "abandoned"):
        assert time.monotonic() < deadline, f"request {n} is {phase}"
        time.sleep(0.02)
    return str(phase)


@pytest.mark.parametrize(("when", "applied"), [("before", False), ("after", True)])
async def test_a_held_write_is_applied_or_not(graph: GraphClients, when: Any, applied: bool) -> None:
    """Killed while its write is held, a program finds it undone, or done: both must end well."""
    made = await graph.application()
    graph.azure.hold(1, when)
    writing = asyncio.create_task(graph.ask("PATCH", f"/applications/{made.id}", {"notes": "held"}))
    held = await asyncio.to_thread(graph.azure.wait_for_held)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    graph.azure.release()
    phase = await asyncio.to_thread(last_phase, graph.azure, held["n"])
    assert phase == ("done" if applied else "abandoned")
    read = await (await graph.sdk()).applications.by_application_id(made.id).get()
    assert read.notes == ("held" if applied else None)


async def test_a_fault_is_dialled_in_for_graph(graph: GraphClients) -> None:
    """The SDK waits as it is told and tries again; the write is applied once."""
    fault = {"match": "POST /graph/v1.0/applications$", "status": 429, "times": 2, "retryAfterSeconds": 0}
    graph.azure.dials(faults=[fault])
    name = fresh_name()
    answers = [await graph.ask("POST", "/applications", {"displayName": name}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 201]
    assert answers[0].headers["Retry-After"] == "0"
    found = (await graph.ask("GET", f"/applications?$filter=displayName eq '{name}'")).json()["value"]
    assert len(found) == 1


class Slow:
    """A directory whose replicas are behind, until they are told to catch up."""

    def __init__(self, graph: GraphClients) -> None:
        self._azure = graph.azure
        self._azure.dials(graphConsistencySeconds=3600)

    def catch_up(self) -> None:
        self._azure.dials(graphConsistencySeconds=0)


async def test_a_new_application_is_not_there_before_the_replicas_know(graph: GraphClients) -> None:
    """Neither by id, nor in lists, nor for a service principal: the provider retries each of them."""
    slow = Slow(graph)
    made = await graph.application()
    client = await graph.sdk()
    by_id = client.applications.by_application_id(made.id)
    assert (await refusal(by_id.get())).status == 404
    assert (await refusal(by_id.patch(Application(notes="n")))).status == 404
    assert (await graph.ask("GET", f"/applications?$filter=appId eq '{made.app_id}'")).json()["value"] == []
    refused = await refusal(graph.service_principal(made))
    assert (refused.status, "backing application" in refused.message) == (403, True)
    slow.catch_up()
    assert (await by_id.get()).app_id == made.app_id
    assert (await graph.service_principal(made)).app_id == made.app_id


async def test_a_new_service_principal_is_there_for_its_creator_alone(graph: GraphClients) -> None:
    """A session reads its own writes; what refers to the new object does not find it yet."""
    made = await graph.application(app_roles=[role("admin")])
    slow = Slow(graph)
    principal = await graph.service_principal(made)
    ours = (await graph.sdk()).service_principals.by_service_principal_id(principal.id)
    theirs = (await graph.sdk("deployer2")).service_principals.by_service_principal_id(principal.id)
    assert (await ours.get()).app_id == made.app_id
    assert (await refusal(theirs.get())).status == 404
    wanted = assignment(principal, graph.azure.identities["ada"]["objectId"], made.app_roles[0].id)
    assert (await refusal(ours.app_role_assigned_to.post(wanted))).status == 404
    slow.catch_up()
    assert (await theirs.get()).app_id == made.app_id
    await ours.app_role_assigned_to.post(wanted)


async def test_a_change_is_seen_by_its_writer_first(graph: GraphClients) -> None:
    """And a credential by nobody, before the replicas know it."""
    made = await graph.application(notes="old")
    slow = Slow(graph)
    ours = (await graph.sdk()).applications.by_application_id(made.id)
    theirs = (await graph.sdk("deployer2")).applications.by_application_id(made.id)
    await ours.patch(Application(notes="new"))
    await ours.add_password.post(AddPasswordPostRequestBody())
    assert ((await ours.get()).notes, (await theirs.get()).notes) == ("new", "old")
    federated = FederatedIdentityCredential(name="github", issuer="https://i.example", subject="s", audiences=["a"])
    made_credential = await ours.federated_identity_credentials.post(federated)
    by_id = ours.federated_identity_credentials.by_federated_identity_credential_id(made_credential.id)
    assert (await ours.get()).password_credentials == []
    assert (await refusal(by_id.get())).status == 404
    slow.catch_up()
    assert (await theirs.get()).notes == "new"
    assert len((await ours.get()).password_credentials) == 1
    assert (await by_id.get()).name == "github"


async def test_what_is_deleted_lingers(graph: GraphClients) -> None:
    """Who waits for the deletion must look more than once."""
    made = await graph.application()
    slow = Slow(graph)
    by_id = (await graph.sdk()).applications.by_application_id(made.id)
    await by_id.delete()
    assert (await by_id.get()).app_id == made.app_id
    assert (await refusal(by_id.delete())).status == 404
    slow.catch_up()
    assert (await refusal(by_id.get())).status == 404
