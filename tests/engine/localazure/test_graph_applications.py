"""Applications in Microsoft Graph, through msgraph-sdk: each refusal beside the change that is taken."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from msgraph.generated.applications.item.add_password.add_password_post_request_body import AddPasswordPostRequestBody
from msgraph.generated.applications.item.remove_password.remove_password_post_request_body import (
    RemovePasswordPostRequestBody,
)
from msgraph.generated.models.api_application import ApiApplication
from msgraph.generated.models.application import Application
from msgraph.generated.models.federated_identity_credential import FederatedIdentityCredential
from msgraph.generated.models.implicit_grant_settings import ImplicitGrantSettings
from msgraph.generated.models.password_credential import PasswordCredential
from msgraph.generated.models.permission_scope import PermissionScope
from msgraph.generated.models.reference_create import ReferenceCreate
from msgraph.generated.models.web_application import WebApplication

from tests.engine.localazure.graph import OF_THE_SDK, GraphClients, refusal, role
from tests.engine.localazure.sdk import fresh_name

pytestmark = OF_THE_SDK


def scope(value: str) -> PermissionScope:
    return PermissionScope(
        id=uuid4(),
        value=value,
        type="User",
        is_enabled=True,
        admin_consent_display_name=value,
        admin_consent_description=value,
    )


async def test_an_application_is_made_read_changed_and_deleted(graph: GraphClients) -> None:
    """What a program declares is what it reads back."""
    applications = (await graph.sdk()).applications
    made = await graph.application(app_roles=[role("temporal-system:admin")], tags=["stack"])
    by_id = applications.by_application_id(made.id)
    read = await by_id.get()
    assert (read.app_id, read.display_name, read.tags) == (made.app_id, made.display_name, ["stack"])
    assert read.app_roles[0].value == "temporal-system:admin"
    assert (read.sign_in_audience, read.publisher_domain) == ("AzureADMyOrg", "contoso.example")
    await by_id.patch(Application(display_name="Temporal", notes="by hand"))
    changed = await applications_with_app_id(await graph.sdk(), made.app_id)
    assert (changed.display_name, changed.notes, changed.tags) == ("Temporal", "by hand", ["stack"])
    await by_id.delete()
    gone = await refusal(by_id.get())
    assert (gone.status, gone.code) == (404, "Request_ResourceNotFound")


async def applications_with_app_id(client: Any, app_id: str) -> Any:
    return await client.applications_with_app_id(app_id).get()


async def test_a_patch_merges_objects_replaces_collections_and_keeps_null(graph: GraphClients) -> None:
    """A shallow merge would erase the token version when a client is pre-authorized."""
    made = await graph.application(
        api=ApiApplication(requested_access_token_version=2, oauth2_permission_scopes=[scope("default")]),
        web=WebApplication(
            redirect_uris=["https://a.example/callback"],
            implicit_grant_settings=ImplicitGrantSettings(enable_id_token_issuance=True),
        ),
        tags=["one", "two"],
    )
    path = f"/applications/{made.id}"
    scope_id = str(made.api.oauth2_permission_scopes[0].id)
    client = {"appId": str(uuid4()), "delegatedPermissionIds": [scope_id]}
    body = {
        "api": {"preAuthorizedApplications": [client]},
        "web": {"redirectUris": ["https://b.example/callback"]},
        "tags": ["three"],
        "notes": None,
        "groupMembershipClaims": None,
    }
    assert (await graph.ask("PATCH", path, body)).status_code == 204
    read = (await graph.ask("GET", path)).json()
    assert read["api"]["requestedAccessTokenVersion"] == 2
    assert [each["id"] for each in read["api"]["oauth2PermissionScopes"]] == [scope_id]
    assert read["api"]["preAuthorizedApplications"] == [client]
    assert read["web"]["redirectUris"] == ["https://b.example/callback"]
    assert read["web"]["implicitGrantSettings"]["enableIdTokenIssuance"] is True
    assert read["tags"] == ["three"]
    assert read["groupMembershipClaims"] is None
    assert "groupMembershipClaims" in read


ROLE = {
    "id": str(uuid4()),
    "displayName": "r",
    "description": "r",
    "value": "temporal-system:admin",
    "allowedMemberTypes": ["User"],
}
SCOPE = {
    "id": str(uuid4()),
    "type": "User",
    "value": "default",
    "adminConsentDisplayName": "d",
    "adminConsentDescription": "d",
}


def scopes(*given: dict[str, Any]) -> dict[str, Any]:
    return {"api": {"oauth2PermissionScopes": list(given)}}


def web(*redirect_uris: str) -> dict[str, Any]:
    return {"web": {"redirectUris": list(redirect_uris)}}


@pytest.mark.parametrize(
    ("taken", "refused", "code"),
    [
        ({"appRoles": [ROLE]}, {"appRoles": [ROLE, ROLE | {"id": str(uuid4())}]}, "DuplicateValue"),
        ({"appRoles": [ROLE]}, {"appRoles": [ROLE, ROLE | {"value": "other"}]}, "DuplicateValue"),
        ({"appRoles": [ROLE]}, {"appRoles": [ROLE | {"value": "white space"}]}, "Request_BadRequest"),
        ({"appRoles": [ROLE]}, {"appRoles": [ROLE | {"value": ".dot"}]}, "Request_BadRequest"),
        ({"appRoles": [ROLE]}, {"appRoles": [ROLE | {"allowedMemberTypes": ["Group"]}]}, "Request_BadRequest"),
        ({"appRoles": [ROLE]}, {"appRoles": [ROLE | {"allowedMemberTypes": []}]}, "Request_BadRequest"),
        ({"appRoles": [ROLE]}, {"appRoles": [ROLE | {"id": "no-guid"}]}, "Request_BadRequest"),
        ({"appRoles": [ROLE]}, {"appRoles": [ROLE | {"description": ""}]}, "Request_BadRequest"),
        (scopes(SCOPE), {"appRoles": [ROLE | {"value": "default"}], **scopes(SCOPE)}, "DuplicateValue"),
        (scopes(SCOPE), scopes(SCOPE | {"type": "Group"}), "Request_BadRequest"),
        (scopes(SCOPE), scopes(SCOPE, SCOPE), "DuplicateValue"),
        (web("https://ui.example/cb"), web("http://ui.example/cb"), "Request_BadRequest"),
        (web("http://localhost:8080/cb"), web("http://localhost.example:8080/cb"), "Request_BadRequest"),
        (web("https://ui.example/cb"), web("https://ui.example/cb#part"), "Request_BadRequest"),
        (web("https://ui.example/cb"), web("https://*.example/cb"), "Request_BadRequest"),
        (web("https://ui.example/cb"), web("/cb"), "Request_BadRequest"),
        (web("http://[::1]:8080/cb"), web("http://[::1/cb"), "Request_BadRequest"),
        ({"appRoles": []}, {"appRoles": ["admin"]}, "Request_BadRequest"),
        (web("https://ui.example/cb"), web("https://ui.example/cb", "https://ui.example/cb"), "DuplicateValue"),
        (
            {"publicClient": {"redirectUris": ["temporal://callback"]}},
            {"spa": {"redirectUris": ["temporal://callback"]}},
            "Request_BadRequest",
        ),
        (
            {"identifierUris": ["https://temporal.contoso.example"]},
            {"identifierUris": ["https://temporal.example"]},
            "HostNameNotOnVerifiedDomain",
        ),
        (
            {"identifierUris": ["https://contoso.example/temporal"]},
            {"identifierUris": ["api://temporal"]},
            "HostNameNotOnVerifiedDomain",
        ),
        ({"signInAudience": "AzureADMultipleOrgs"}, {"signInAudience": "Everybody"}, "Request_BadRequest"),
        ({"displayName": "Temporal"}, {"displayName": ""}, "Request_BadRequest"),
        (
            {"api": {"requestedAccessTokenVersion": 2}},
            {"api": {"requestedAccessTokenVersion": 3}},
            "Request_BadRequest",
        ),
        (
            scopes(SCOPE),
            {
                "api": {
                    "oauth2PermissionScopes": [SCOPE],
                    "preAuthorizedApplications": [
                        {"appId": str(uuid4()), "delegatedPermissionIds": [str(uuid4())]},
                    ],
                }
            },
            "Request_BadRequest",
        ),
        (
            {"requiredResourceAccess": [{"resourceAppId": ROLE["id"], "resourceAccess": []}]},
            {"requiredResourceAccess": [{"resourceAppId": "graph", "resourceAccess": []}]},
            "Request_BadRequest",
        ),
        ({"notes": "n"}, {"note": "n"}, "Request_BadRequest"),
        ({"notes": "n"}, {"publisherDomain": "elsewhere.example"}, "Request_BadRequest"),
        ({"tags": ["t"]}, {"tags": "t"}, "Request_BadRequest"),
    ],
)
async def test_an_application_that_graph_would_refuse_is_refused(
    graph: GraphClients, taken: dict[str, Any], refused: dict[str, Any], code: str
) -> None:
    """A program that works here must not fail at Azure, nor be refused for what Azure takes."""
    name = {"displayName": fresh_name()}
    answer = await graph.ask("POST", "/applications", name | refused)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    made = await graph.ask("POST", "/applications", name | taken)
    assert made.status_code == 201, made.text
    patched = await graph.ask("PATCH", f"/applications/{made.json()['id']}", refused)
    assert patched.status_code == 400, patched.text
    await graph.ask("DELETE", f"/applications/{made.json()['id']}")


async def test_an_enabled_role_neither_goes_nor_changes_before_it_is_disabled(graph: GraphClients) -> None:
    """CannotDeleteOrUpdateEnabledEntitlement: the provider takes two steps, and so must everyone."""
    keep, drop = role("keep"), role("drop")
    made = await graph.application(app_roles=[keep, drop])
    by_id = (await graph.sdk()).applications.by_application_id(made.id)
    refused = await refusal(by_id.patch(Application(app_roles=[keep])))
    assert (refused.status, refused.code) == (400, "CannotDeleteOrUpdateEnabledEntitlement")
    drop.display_name = "another name"
    refused = await refusal(by_id.patch(Application(app_roles=[keep, drop])))
    assert refused.code == "CannotDeleteOrUpdateEnabledEntitlement"
    drop.display_name, drop.is_enabled = "drop", False
    await by_id.patch(Application(app_roles=[keep, drop]))
    await by_id.patch(Application(app_roles=[keep]))
    assert [each.value for each in (await by_id.get()).app_roles] == ["keep"]


async def test_an_enabled_scope_does_not_go_before_it_is_disabled(graph: GraphClients) -> None:
    """As with roles."""
    default = scope("default")
    made = await graph.application(api=ApiApplication(oauth2_permission_scopes=[default]))
    by_id = (await graph.sdk()).applications.by_application_id(made.id)
    without = Application(api=ApiApplication(oauth2_permission_scopes=[]))
    assert (await refusal(by_id.patch(without))).code == "CannotDeleteOrUpdateEnabledEntitlement"
    default.is_enabled = False
    await by_id.patch(Application(api=ApiApplication(oauth2_permission_scopes=[default])))
    await by_id.patch(without)
    assert (await by_id.get()).api.oauth2_permission_scopes == []


async def test_an_identifier_uri_of_the_application_itself_is_taken_once(graph: GraphClients) -> None:
    """`api://{appId}` needs no domain; another application cannot have it."""
    applications = (await graph.sdk()).applications
    one, other = await graph.application(), await graph.application()
    own = Application(identifier_uris=[f"api://{one.app_id}"])
    await applications.by_application_id(one.id).patch(own)
    assert (await refusal(applications.by_application_id(other.id).patch(own))).status == 400
    shared = Application(identifier_uris=[f"https://contoso.example/{one.app_id}"])
    await applications.by_application_id(one.id).patch(shared)
    refused = await refusal(applications.by_application_id(other.id).patch(shared))
    assert (refused.code, refused.message) == (
        "ObjectConflict",
        "Another object with the same value for property identifierUris already exists.",
    )


async def test_who_creates_an_application_owns_it_and_owners_change(graph: GraphClients) -> None:
    """Under Application.ReadWrite.OwnedBy the owner is who may go on."""
    azure = graph.azure
    made = await graph.application()
    owners = (await graph.sdk()).applications.by_application_id(made.id).owners

    async def ids() -> list[str]:
        return [each.id for each in (await owners.get()).value]

    deployer, ada = (azure.identities[name]["objectId"] for name in ("deployer", "ada"))
    assert await ids() == [deployer]
    reference = ReferenceCreate(odata_id=f"{graph.base}/directoryObjects/{ada}")
    await owners.ref.post(reference)
    assert await ids() == [deployer, ada]
    assert "already exist" in (await refusal(owners.ref.post(reference))).message
    group = azure.identities["Temporal Operators"]["objectId"]
    wrong = ReferenceCreate(odata_id=f"{graph.base}/directoryObjects/{group}")
    assert (await refusal(owners.ref.post(wrong))).status == 400
    nobody = ReferenceCreate(odata_id=f"{graph.base}/directoryObjects/{uuid4()}")
    assert (await refusal(owners.ref.post(nobody))).status == 404
    await owners.by_directory_object_id(ada).ref.delete()
    assert await ids() == [deployer]
    assert (await refusal(owners.by_directory_object_id(ada).ref.delete())).status == 404


async def test_owners_are_bound_at_creation(graph: GraphClients) -> None:
    """The provider binds the caller and the configured owners in the one request."""
    azure = graph.azure
    deployer, ada = (azure.identities[name]["objectId"] for name in ("deployer", "ada"))
    bound = [f"{graph.base}/directoryObjects/{each}" for each in (deployer, ada)]
    made = await graph.ask("POST", "/applications", {"displayName": fresh_name(), "owners@odata.bind": bound})
    owners = (await graph.ask("GET", f"/applications/{made.json()['id']}/owners")).json()["value"]
    assert [each["id"] for each in owners] == [deployer, ada]
    assert [each["@odata.type"] for each in owners] == ["#microsoft.graph.servicePrincipal", "#microsoft.graph.user"]
    unknown = {"displayName": fresh_name(), "owners@odata.bind": [f"{graph.base}/directoryObjects/{uuid4()}"]}
    assert (await graph.ask("POST", "/applications", unknown)).status_code == 404


async def test_a_password_is_said_once(graph: GraphClients) -> None:
    """Who reads the application sees a hint and no secret."""
    made = await graph.application()
    by_id = (await graph.sdk()).applications.by_application_id(made.id)
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=90)
    wanted = PasswordCredential(display_name="ui", end_date_time=end)
    added = await by_id.add_password.post(AddPasswordPostRequestBody(password_credential=wanted))
    assert len(added.secret_text) >= 32
    (shown,) = (await by_id.get()).password_credentials
    assert (shown.key_id, shown.display_name, shown.end_date_time) == (added.key_id, "ui", end)
    assert (shown.secret_text, shown.hint) == (None, added.secret_text[:3])
    raw = await graph.ask("GET", f"/applications/{made.id}")
    assert added.secret_text not in raw.text
    await by_id.remove_password.post(RemovePasswordPostRequestBody(key_id=added.key_id))
    assert (await by_id.get()).password_credentials == []
    refused = await refusal(by_id.remove_password.post(RemovePasswordPostRequestBody(key_id=added.key_id)))
    assert "No password credential found" in refused.message


async def test_a_password_that_has_ended_is_refused(graph: GraphClients) -> None:
    """It would be a credential that nobody can use; its twin that ends tomorrow is taken."""
    made = await graph.application()
    add = (await graph.sdk()).applications.by_application_id(made.id).add_password
    ended = PasswordCredential(end_date_time=datetime.now(UTC) - timedelta(days=1))
    assert (await refusal(add.post(AddPasswordPostRequestBody(password_credential=ended)))).status == 400
    ends = PasswordCredential(end_date_time=datetime.now(UTC) + timedelta(days=1))
    assert (await add.post(AddPasswordPostRequestBody(password_credential=ends))).key_id


def credential(name: str, subject: str) -> FederatedIdentityCredential:
    return FederatedIdentityCredential(
        name=name, issuer="https://issuer.example", subject=subject, audiences=["api://AzureADTokenExchange"]
    )


async def test_federated_credentials_are_made_changed_and_deleted(graph: GraphClients) -> None:
    """A worker signs in by its platform's token, with no secret."""
    made = await graph.application()
    credentials = (await graph.sdk()).applications.by_application_id(made.id).federated_identity_credentials
    one = await credentials.post(credential("one", "a"))
    by_id = credentials.by_federated_identity_credential_id(one.id)
    assert (await by_id.get()).subject == "a"
    await by_id.patch(FederatedIdentityCredential(subject="b"))
    assert [each.subject for each in (await credentials.get()).value] == ["b"]
    assert (await refusal(credentials.post(credential("one", "c")))).code == "DuplicateValue"
    assert (await refusal(credentials.post(credential("two", "b")))).code == "DuplicateValue"
    assert (await refusal(credentials.post(credential("not a name", "c")))).status == 400
    assert (await refusal(by_id.patch(FederatedIdentityCredential(name="three")))).status == 400
    two = await credentials.post(credential("two", "c"))
    await by_id.delete()
    assert [each.id for each in (await credentials.get()).value] == [two.id]
    assert (await refusal(by_id.get())).status == 404


async def test_a_deleted_application_can_be_restored_or_deleted_for_good(graph: GraphClients) -> None:
    """Delete is soft: a name that was free to reuse may still be looked for."""
    client = await graph.sdk()
    made = await graph.application()
    principal = await graph.service_principal(made)
    await client.applications.by_application_id(made.id).delete()
    deleted = client.directory.deleted_items
    assert made.id in [each.id for each in (await deleted.graph_application.get()).value]
    assert principal.id in [each.id for each in (await deleted.graph_service_principal.get()).value]
    assert (await deleted.by_directory_object_id(made.id).get()).deleted_date_time is not None
    await deleted.by_directory_object_id(made.id).restore.post()
    assert (await client.applications.by_application_id(made.id).get()).app_id == made.app_id
    assert (await refusal(deleted.by_directory_object_id(made.id).get())).status == 404
    await client.applications.by_application_id(made.id).delete()
    await deleted.by_directory_object_id(made.id).delete()
    assert (await refusal(deleted.by_directory_object_id(made.id).restore.post())).status == 404


async def test_the_beta_has_what_the_provider_looks_for_there(graph: GraphClients) -> None:
    """It reads this one property from the beta, and selects nothing else."""
    made = await graph.application()
    headers = {"Authorization": f"Bearer {await graph.token()}"}
    beta = graph.base.replace("v1.0", "beta")
    async with httpx.AsyncClient(verify=graph.azure.tls_context(), trust_env=False, headers=headers) as http:
        url = f"{beta}/applications/{made.id}?$select=oauth2RequirePostResponse"
        assert (await http.get(url)).json()["oauth2RequirePostResponse"] is False
        assert (await http.patch(url, json={"oauth2RequirePostResponse": True})).status_code == 204
        assert (await http.get(url)).json()["oauth2RequirePostResponse"] is True
        assert (await http.get(url.replace("oauth2RequirePostResponse", "noSuchProperty"))).status_code == 400


async def test_ids_are_of_the_kind_that_programs_expect(graph: GraphClients) -> None:
    """Object id and client id are different GUIDs: who confuses them must not get away with it."""
    made = await graph.application()
    assert UUID(made.id) != UUID(made.app_id)
    by_client_id = (await graph.sdk()).applications.by_application_id(made.app_id)
    assert (await refusal(by_client_id.get())).status == 404
