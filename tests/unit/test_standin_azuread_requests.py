"""The stand-in for azuread: the official plugin's requests to Graph, its waits and its words."""

from base64 import b64encode
from typing import Any

import pytest
from pulumi.provider.experimental.property_value import PropertyValue

from localazure.plugins.azuread.specs import SPECS
from plugin import UNKNOWN, PluginError, plain
from tests.unit.azuread_driver import (
    ALL,
    APP,
    APPLICATION,
    ASSIGNMENT,
    CLIENT,
    DENIED,
    FEDERATED,
    GRANT,
    IDENTIFIER_URI,
    INPUTS,
    OTHER,
    PASSWORD,
    PRE_AUTHORIZED,
    PRINCIPAL,
    ROLE,
    SCOPE,
    SERVICE_PRINCIPAL,
    USER,
    Driver,
    changed,
    role,
)
from tests.unit.directory_in_memory import CALLER, ROOT, Directory


async def test_an_application_is_created_as_the_official_plugin_does(driver: Driver, directory: Directory) -> None:
    """Prevents other requests than the official plugin's, and a body that Graph would not understand."""
    made = await driver.create(APPLICATION)
    path = made.resource_id or ""
    assert directory.asked == [
        ("GET", "/applications"),
        ("POST", "/applications"),
        ("PATCH", path),
        ("PATCH", path),
        ("GET", path),
        ("GET", path),
        ("GET", f"{path}/owners"),
    ]
    body = directory.body("POST", "/applications")
    assert body["owners@odata.bind"] == [
        f"{ROOT}/v1.0/directoryObjects/{owner}" for owner in (CALLER["objectId"], USER)
    ]
    assert body["api"] == {
        "acceptMappedClaims": False,
        "knownClientApplications": [],
        "oauth2PermissionScopes": [
            {
                "adminConsentDescription": "All",
                "adminConsentDisplayName": "",
                "id": SCOPE,
                "isEnabled": True,
                "type": "User",
                "userConsentDescription": "",
                "userConsentDisplayName": "",
                "value": "default",
            }
        ],
        "requestedAccessTokenVersion": 2,
    }
    assert body["appRoles"][0] == {
        "allowedMemberTypes": ["User", "Application"],
        "description": "Everything",
        "displayName": "Admin",
        "id": ROLE,
        "isEnabled": True,
        "value": "temporal-system:admin",
    }
    assert body["web"] == {
        "homePageUrl": "https://ui.example/",
        "implicitGrantSettings": {"enableAccessTokenIssuance": False, "enableIdTokenIssuance": False},
        "logoutUrl": None,
        "redirectUris": ["https://127.0.0.1:8080/auth/sso/callback"],
    }
    assert body["requiredResourceAccess"] == [
        {"resourceAppId": OTHER, "resourceAccess": [{"id": SCOPE, "type": "Scope"}]}
    ]
    assert (body["groupMembershipClaims"], body["description"], body["identifierUris"]) == (None, None, [])
    first, second = [body["displayName"] for verb, _, body in directory.bodies if verb == "PATCH"]
    assert first.startswith("TERRAFORM_UPDATE_")
    assert second == "Temporal"


async def test_outputs_of_an_application_are_its_ids_and_maps(driver: Driver, directory: Directory) -> None:
    """Prevents outputs that dependents need and that Graph has by other names."""
    made = await driver.create(APPLICATION)
    stored = directory.objects[made.resource_id or ""]
    outputs = plain(made.properties)
    assert outputs["id"] == made.resource_id == f"/applications/{stored['id']}"
    assert (outputs["objectId"], outputs["clientId"]) == (stored["id"], stored["appId"])
    assert outputs["appRoleIds"] == {"temporal-system:admin": ROLE, "default:read": OTHER}
    assert outputs["oauth2PermissionScopeIds"] == {"default": SCOPE}
    assert outputs["preventDuplicateNames"] is True
    assert outputs["featureTags"] == [
        {"customSingleSignOn": False, "enterprise": False, "gallery": False, "hide": False}
    ]


@pytest.mark.parametrize("token", [APPLICATION, SERVICE_PRINCIPAL])
@pytest.mark.parametrize(
    ("owners", "kept"),
    [
        ([CALLER["objectId"], USER], [CALLER["objectId"], USER]),
        ([USER], [USER]),
        (None, []),
        ([CALLER["objectId"].upper()], [CALLER["objectId"]]),
    ],
)
async def test_the_caller_owns_what_it_creates_only_where_that_is_configured(
    driver: Driver, directory: Directory, token: str, owners: list[str] | None, kept: list[str]
) -> None:
    """Prevents a stack that works locally and loses its application under the permission for owned ones on Azure."""
    made = await driver.create(token, changed(token, "owners", owners))
    assert directory.owners[made.resource_id or ""] == kept
    assert plain(made.properties)["owners"] == kept


async def test_more_owners_than_graph_takes_at_once_are_added_after(driver: Driver, directory: Directory) -> None:
    """Prevents a create that Graph refuses because it names more than twenty owners."""
    others = [f"{index:08d}-0000-0000-0000-000000000000" for index in range(25)]
    made = await driver.create(APPLICATION, changed(APPLICATION, "owners", others))
    assert len(directory.body("POST", "/applications")["owners@odata.bind"]) == 20
    assert sorted(directory.owners[made.resource_id or ""]) == others


async def test_a_changed_role_is_disabled_first_and_the_rest_is_written_whole(
    driver: Driver, directory: Directory
) -> None:
    """Prevents an update that Graph refuses, because roles that are enabled cannot be changed or removed."""
    made = await driver.create(APPLICATION)
    path = made.resource_id or ""
    directory.bodies.clear()
    directory.lag = 2
    outputs = await driver.update(APPLICATION, made, changed(APPLICATION, "appRoles", [role(description="Changed")]))
    first, second = [body for verb, at, body in directory.bodies if (verb, at) == ("PATCH", path)]
    assert [item["isEnabled"] for item in first["appRoles"]] == [False, False]
    assert [item["description"] for item in second["appRoles"]] == ["Changed"]
    assert "oauth2PermissionScopes" not in second["api"]
    assert second["displayName"] == "Temporal"
    assert outputs["appRoleIds"] == {"temporal-system:admin": ROLE}


async def test_a_new_role_disables_none(driver: Driver, directory: Directory) -> None:
    """Prevents that sign-on is interrupted for roles that stay as they are: the twin of the changed role."""
    made = await driver.create(APPLICATION)
    directory.bodies.clear()
    roles = [*INPUTS[APPLICATION]["appRoles"], role(id=USER, value="new")]
    await driver.update(APPLICATION, made, changed(APPLICATION, "appRoles", roles))
    (only,) = directory.bodies
    assert {item["isEnabled"] for item in only[2]["appRoles"]} == {True}


async def test_a_removed_scope_is_disabled_first(driver: Driver, directory: Directory) -> None:
    """Prevents an update that Graph refuses, because a scope that is enabled cannot be removed."""
    made = await driver.create(APPLICATION)
    path = made.resource_id or ""
    directory.bodies.clear()
    await driver.update(APPLICATION, made, changed(APPLICATION, "api.oauth2PermissionScopes", []))
    first, second = [body for verb, at, body in directory.bodies if (verb, at) == ("PATCH", path)]
    assert [item["isEnabled"] for item in first["api"]["oauth2PermissionScopes"]] == [False]
    assert second["api"]["oauth2PermissionScopes"] == []


async def test_an_update_adds_owners_before_it_removes_others(driver: Driver, directory: Directory) -> None:
    """Prevents an application that for a moment nobody owns, and that nobody can then change."""
    made = await driver.create(APPLICATION)
    directory.asked.clear()
    await driver.update(APPLICATION, made, changed(APPLICATION, "owners", [OTHER]))
    path = made.resource_id or ""
    assert directory.owners[path] == [OTHER]
    assert [verb for verb, at in directory.writes if "owners" in at] == ["POST", "DELETE", "DELETE"]


async def test_names_are_taken_once_where_that_is_asked_for(driver: Driver, directory: Directory) -> None:
    """Prevents a second application of the same name, in a preview already."""
    await driver.create(APPLICATION)
    directory.asked.clear()
    for preview in (True, False):
        with pytest.raises(
            PluginError, match=r'An existing "azuread_application" with name "Temporal" \(ID: '
        ) as refused:
            await driver.create(APPLICATION, preview=preview)
        assert "`prevent_duplicate_names` was specified" in str(refused.value)
    assert directory.writes == []
    await driver.create(APPLICATION, changed(APPLICATION, "preventDuplicateNames", None))
    await driver.create(APPLICATION, changed(APPLICATION, "displayName", "Another"))


async def test_a_service_principal_is_created_once_per_application(driver: Driver, directory: Directory) -> None:
    """Prevents that one stack takes over another's service principal, and that an existing one cannot be used."""
    made = await driver.create(SERVICE_PRINCIPAL)
    path = made.resource_id or ""
    assert directory.body("POST", "/servicePrincipals")["description"].startswith("TERRAFORM_UPDATE_")
    assert plain(made.properties)["description"] == "Signs on"
    assert plain(made.properties)["featureTags"][0]["hide"] is True
    object_id = path.rpartition("/")[2]
    with pytest.raises(PluginError, match=f'A resource with the ID "{object_id}" already exists: To be managed via'):
        await driver.create(SERVICE_PRINCIPAL)
    used = await driver.create(SERVICE_PRINCIPAL, {"clientId": CLIENT, "useExisting": True, "notes": "ours"})
    assert used.resource_id == path
    assert plain(used.properties)["notes"] == directory.objects[path]["notes"] == "ours"
    directory.refused.append(("DELETE", path))
    await driver.delete(SERVICE_PRINCIPAL, used)
    with pytest.raises(PluginError, match=r"Deleting Service Principal .*: unexpected status 403"):
        await driver.delete(SERVICE_PRINCIPAL, made)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "The appId 'x' of the service principal does not reference a valid application object."),
        (
            403,
            "When using this permission, the backing application of the service principal being created must in the "
            "local tenant",
        ),
    ],
)
async def test_a_service_principal_waits_for_its_application(
    driver: Driver, directory: Directory, status: int, message: str
) -> None:
    """Prevents a failure because an application that was just created is not everywhere yet."""
    directory.failing += [("POST", "/servicePrincipals", status, message)] * 2
    assert (await driver.create(SERVICE_PRINCIPAL)).resource_id
    assert directory.slept == 2
    directory.objects.clear()
    directory.failing.append(("POST", "/servicePrincipals", status, "Something else"))
    with pytest.raises(PluginError, match=f"Could not create service principal: unexpected status {status} "):
        await driver.create(SERVICE_PRINCIPAL)


async def test_parts_of_one_application_do_not_write_over_each_other(driver: Driver, directory: Directory) -> None:
    """Prevents that an identifier URI or a client is lost, because both lists are written as a whole."""
    path = f"/applications/{APP}"
    directory.objects[path] |= {"identifierUris": ["api://before"], "api": {"requestedAccessTokenVersion": 2}}
    uri = await driver.create(IDENTIFIER_URI)
    assert uri.resource_id == f"{path}/identifierUris/{b64encode(b'api://temporal').decode()}"
    first = await driver.create(PRE_AUTHORIZED)
    assert first.resource_id == f"{APP}/preAuthorizedApplication/{CLIENT}"
    directory.lag = 3
    second = await driver.create(PRE_AUTHORIZED, changed(PRE_AUTHORIZED, "authorizedClientId", OTHER))
    await driver.update(PRE_AUTHORIZED, first, changed(PRE_AUTHORIZED, "permissionIds", [SCOPE, OTHER]))
    api = directory.objects[path]["api"]
    assert api["requestedAccessTokenVersion"] == 2
    assert {item["appId"]: item["delegatedPermissionIds"] for item in api["preAuthorizedApplications"]} == {
        CLIENT: [SCOPE, OTHER],
        OTHER: [SCOPE],
    }
    with pytest.raises(PluginError, match="already exists"):
        await driver.create(IDENTIFIER_URI)
    with pytest.raises(PluginError, match="already exists"):
        await driver.create(PRE_AUTHORIZED)
    for token, made in ((PRE_AUTHORIZED, second), (IDENTIFIER_URI, uri)):
        await driver.delete(token, made)
    assert directory.objects[path]["identifierUris"] == ["api://before"]
    assert [item["appId"] for item in directory.objects[path]["api"]["preAuthorizedApplications"]] == [CLIENT]


async def test_a_password_is_graphs_and_a_secret_and_outlives_a_refresh(driver: Driver, directory: Directory) -> None:
    """Prevents a client secret in the clear, and one that is lost because Graph tells it only once."""
    made = await driver.create(PASSWORD)
    key_id = directory.objects[f"/applications/{APP}"]["passwordCredentials"][0]["keyId"]
    assert made.resource_id == f"{APP}/password/{key_id}"
    assert made.properties["value"] == PropertyValue("s3cret~of~this~test", is_secret=True)
    assert plain(made.properties)["endDate"] == "2027-01-01T00:00:00Z"
    assert plain(made.properties)["startDate"] == "2026-01-01T00:00:00Z"
    refreshed = await driver.refresh(PASSWORD, made)
    assert refreshed.properties == made.properties
    assert plain(refreshed.inputs) == INPUTS[PASSWORD]
    await driver.delete(PASSWORD, made)
    assert directory.objects[f"/applications/{APP}"]["passwordCredentials"] == []


async def test_ids_have_the_official_forms(driver: Driver, directory: Directory) -> None:
    """Prevents a state that the official plugin could not go on with."""
    federated = await driver.create(FEDERATED)
    credential = plain(federated.properties)["credentialId"]
    assert federated.resource_id == f"{APP}/federatedIdentityCredential/{credential}"
    assignment = (await driver.create(ASSIGNMENT)).resource_id or ""
    assert assignment in directory.objects
    assert assignment.startswith(f"/servicePrincipals/{PRINCIPAL}/appRoleAssignedTo/")
    grant = (await driver.create(GRANT)).resource_id or ""
    (stored,) = [item for at, item in directory.objects.items() if at.startswith("/oauth2PermissionGrants/")]
    assert grant == f"/oauth2PermissionGrants/{stored['id']}"
    assert (stored["consentType"], stored["scope"]) == ("AllPrincipals", "openid profile")


async def test_consent_for_one_user_names_the_user(driver: Driver, directory: Directory) -> None:
    """Prevents consent for everybody where one person was meant."""
    made = await driver.create(GRANT, changed(GRANT, "userObjectId", USER))
    stored = directory.objects[made.resource_id or ""]
    assert (stored["consentType"], stored["principalId"]) == ("Principal", USER)
    assert plain(made.properties)["userObjectId"] == USER


async def test_a_role_assignment_waits_for_its_principal_and_not_for_its_resource(
    driver: Driver, directory: Directory
) -> None:
    """Prevents a failure on a principal that was just created, and a wait for a resource that does not exist."""
    path = f"/servicePrincipals/{PRINCIPAL}/appRoleAssignedTo"
    directory.failing += [("POST", path, 404, "not found"), ("POST", path, 400, "Not a valid reference update.")]
    await driver.create(ASSIGNMENT)
    assert directory.slept == 2
    with pytest.raises(PluginError, match=rf'Service principal not found for resource \(Object ID: "{OTHER}"\)'):
        await driver.create(ASSIGNMENT, changed(ASSIGNMENT, "resourceObjectId", OTHER))
    assert directory.slept == 2


@ALL
async def test_what_is_there_at_once_is_not_waited_for(driver: Driver, directory: Directory, token: str) -> None:
    """Prevents fixed waits, which a local run has no use for."""
    made = await driver.create(token)
    await driver.delete(token, made)
    assert directory.slept == 0


@ALL
async def test_what_is_seen_late_is_waited_for(driver: Driver, directory: Directory, token: str) -> None:
    """Prevents a resource that is forgotten, or kept with old values, because a read was older than the write."""
    directory.lag = 2
    made = await driver.create(token)
    assert plain(made.properties)["id"] == made.resource_id
    assert directory.slept > 0
    assert (await driver.diff(token, made.properties, INPUTS[token])).detailed_diff == {}


@pytest.mark.parametrize(
    ("token", "path", "value"),
    [
        (APPLICATION, "displayName", "New"),
        (SERVICE_PRINCIPAL, "notes", "New"),
        (PRE_AUTHORIZED, "permissionIds", [OTHER]),
        (FEDERATED, "subject", "new"),
        (GRANT, "claimValues", ["email"]),
    ],
)
async def test_an_update_keeps_what_it_has_seen(
    driver: Driver, directory: Directory, token: str, path: str, value: Any
) -> None:
    """Prevents a state with the old values, which the next `up` would write again."""
    made = await driver.create(token)
    directory.lag = 2
    outputs = await driver.update(token, made, changed(token, path, value))
    assert outputs[path] == value


@ALL
async def test_preview_writes_nothing_and_knows_what_the_inputs_say(
    driver: Driver, directory: Directory, token: str
) -> None:
    """Prevents a preview that writes, or that tells dependents a value that `up` does not confirm."""
    response = await driver.create(token, preview=True)
    outputs = plain(response.properties)
    assert directory.writes == []
    assert response.resource_id == ""
    assert outputs["id"] == UNKNOWN
    assert {name: outputs[name] for name in INPUTS[token]} == INPUTS[token]
    computed = {field.name for field in SPECS[token].answered} | SPECS[token].computed
    assert {outputs[name] for name in computed} <= {UNKNOWN}


async def test_preview_of_an_update_knows_what_stays(driver: Driver, directory: Directory) -> None:
    """Prevents that every dependent of an updated application shows as replaced, and that a new role shows no id."""
    made = await driver.create(APPLICATION)
    before = plain(made.properties)
    directory.asked.clear()
    renamed = await driver.update(APPLICATION, made, changed(APPLICATION, "displayName", "New"), preview=True)
    assert (renamed["clientId"], renamed["appRoleIds"]) == (before["clientId"], before["appRoleIds"])
    assert renamed["displayName"] == "New"
    roles = await driver.update(APPLICATION, made, changed(APPLICATION, "appRoles", [role()]), preview=True)
    assert (roles["clientId"], roles["appRoleIds"]) == (before["clientId"], UNKNOWN)
    assert directory.asked == []


@pytest.mark.parametrize(
    ("token", "request_", "summary"),
    [
        (APPLICATION, ("POST", "/applications"), "Could not create application"),
        (SERVICE_PRINCIPAL, ("POST", "/servicePrincipals"), "Could not create service principal"),
        (PASSWORD, ("POST", ".*/addPassword"), f'Adding password for Application (Application: "{APP}")'),
        (PRE_AUTHORIZED, ("PATCH", ".*"), f'Adding pre-authorized application "{CLIENT}" for Application (Appl'),
        (FEDERATED, ("POST", ".*"), "Adding federated identity credential for Application (Application: "),
        (ASSIGNMENT, ("POST", ".*"), "Could not create app role assignment"),
        (GRANT, ("POST", ".*"), "Could not create delegated permission grant"),
        (IDENTIFIER_URI, ("PATCH", ".*"), "creating Application IdentifierUri (Application ID: "),
    ],
)
async def test_refusals_have_the_official_plugins_words(
    driver: Driver, directory: Directory, token: str, request_: tuple[str, str], summary: str
) -> None:
    """Prevents a runbook that quotes an error, and a person who sees another one."""
    directory.refused.append(request_)
    with pytest.raises(PluginError) as refused:
        await driver.create(token)
    assert str(refused.value).startswith(f"1 error occurred:\n\t* {summary}")
    assert str(refused.value).endswith(f": {DENIED}\n\n")
    assert directory.slept == 0
    directory.refused.clear()
    assert (await driver.create(token)).resource_id


async def test_no_message_holds_a_client_secret(driver: Driver, directory: Directory) -> None:
    """Prevents a secret in the engine's output, when something fails after it was made."""
    directory.failing.append(("POST", ".*/removePassword", 400, "No."))
    made = await driver.create(PASSWORD)
    with pytest.raises(PluginError) as refused:
        await driver.delete(PASSWORD, made)
    assert "s3cret" not in str(refused.value)
    assert "Removing password credential" in str(refused.value)
