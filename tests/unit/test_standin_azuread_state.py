"""The stand-in for azuread: what it decides from a state. Diffs, refresh and import."""

from typing import Any

import pytest
from pulumi.provider.experimental import provider as protocol

from localazure.plugins.azuread.specs import SPECS
from plugin import UNKNOWN, PluginError, plain, property_values
from tests.unit.azuread_driver import (
    ALL,
    APP,
    APPLICATION,
    ASSIGNMENT,
    CLIENT,
    FEDERATED,
    GRANT,
    IDENTIFIER_URI,
    INPUTS,
    OTHER,
    PASSWORD,
    PRE_AUTHORIZED,
    PRINCIPAL,
    SCOPE,
    SERVICE_PRINCIPAL,
    USER,
    Driver,
    changed,
    role,
)
from tests.unit.directory_in_memory import CALLER, Directory


@pytest.mark.parametrize(
    ("token", "path", "value", "replaces"),
    [
        (APPLICATION, "displayName", "Other", False),
        (APPLICATION, "displayName", UNKNOWN, False),
        (APPLICATION, "description", "New", False),
        (APPLICATION, "owners", [CALLER["objectId"]], False),
        (APPLICATION, "owners", None, False),
        (APPLICATION, "api.requestedAccessTokenVersion", None, False),
        (APPLICATION, "appRoles", [role(description="Changed")], False),
        (APPLICATION, "web.redirectUris", ["https://ui.example/other"], False),
        (APPLICATION, "web.homepageUrl", None, False),
        (APPLICATION, "web.implicitGrant", {"idTokenIssuanceEnabled": True}, False),
        (APPLICATION, "identifierUris", ["api://temporal"], False),
        (APPLICATION, "preventDuplicateNames", False, False),
        (APPLICATION, "signInAudience", "AzureADMultipleOrgs", False),
        (APPLICATION, "tags", ["other"], False),
        (SERVICE_PRINCIPAL, "clientId", OTHER, True),
        (SERVICE_PRINCIPAL, "clientId", UNKNOWN, True),
        (SERVICE_PRINCIPAL, "appRoleAssignmentRequired", None, False),
        (SERVICE_PRINCIPAL, "accountEnabled", False, False),
        (SERVICE_PRINCIPAL, "useExisting", True, False),
        (IDENTIFIER_URI, "applicationId", f"/applications/{OTHER}", True),
        (IDENTIFIER_URI, "identifierUri", "api://other", True),
        (PASSWORD, "applicationId", f"/applications/{OTHER}", True),
        (PASSWORD, "displayName", "cli", True),
        (PASSWORD, "startDate", "2026-02-01T00:00:00Z", True),
        (PASSWORD, "endDate", "2028-01-01T00:00:00Z", True),
        (PASSWORD, "rotateWhenChanged.day", "2", True),
        (PASSWORD, "rotateWhenChanged", None, True),
        (PRE_AUTHORIZED, "applicationId", f"/applications/{OTHER}", True),
        (PRE_AUTHORIZED, "authorizedClientId", OTHER, True),
        (PRE_AUTHORIZED, "permissionIds", [SCOPE, OTHER], False),
        (FEDERATED, "applicationId", f"/applications/{OTHER}", True),
        (FEDERATED, "displayName", "other", True),
        (FEDERATED, "subject", "repo:other", False),
        (FEDERATED, "issuer", "https://other.example", False),
        (FEDERATED, "audiences", ["other"], False),
        (FEDERATED, "description", "why", False),
        (ASSIGNMENT, "appRoleId", OTHER, True),
        (ASSIGNMENT, "principalObjectId", OTHER, True),
        (ASSIGNMENT, "resourceObjectId", OTHER, True),
        (GRANT, "claimValues", ["openid"], False),
        (GRANT, "servicePrincipalObjectId", OTHER, True),
        (GRANT, "resourceServicePrincipalObjectId", OTHER, True),
        (GRANT, "userObjectId", USER, True),
    ],
)
async def test_changes_replace_where_the_official_plugin_replaces(
    driver: Driver, token: str, path: str, value: Any, replaces: bool
) -> None:
    """Prevents a preview that promises an update where `up` on Azure deletes, or the other way round."""
    made = await driver.create(token)
    diff = await driver.diff(token, made.properties, changed(token, path, value))
    assert diff.changes
    assert {at.split("[")[0].split(".")[0] for at in diff.detailed_diff} == {path.split(".")[0]}
    assert bool(diff.replaces) == replaces
    assert diff.delete_before_replace is False


@ALL
async def test_the_same_inputs_are_no_change(driver: Driver, token: str) -> None:
    """Prevents a second `up` that changes something: the twin of the changes."""
    made = await driver.create(token)
    diff = await driver.diff(token, made.properties, INPUTS[token])
    assert (diff.changes, diff.detailed_diff) == (False, {})


@pytest.mark.parametrize(
    ("token", "path", "value"),
    [
        (APPLICATION, "owners", [USER, CALLER["objectId"]]),
        (APPLICATION, "appRoles", list(reversed(INPUTS[APPLICATION]["appRoles"]))),
        (APPLICATION, "tags", None),
        (APPLICATION, "web.implicitGrant", {}),
        (APPLICATION, "publicClient", {}),
        (APPLICATION, "signInAudience", None),
        (APPLICATION, "description", ""),
        (APPLICATION, "identifierUris", []),
        (SERVICE_PRINCIPAL, "accountEnabled", None),
        (PASSWORD, "endDate", None),
        (PASSWORD, "displayName", None),
        (FEDERATED, "description", ""),
        (GRANT, "claimValues", ["profile", "openid"]),
    ],
)
async def test_what_the_official_plugin_does_not_tell_apart_is_no_change(
    driver: Driver, token: str, path: str, value: Any
) -> None:
    """Prevents a diff for ever by order, by what is empty, or by what Graph filled in itself."""
    made = await driver.create(token)
    assert (await driver.diff(token, made.properties, changed(token, path, value))).detailed_diff == {}


async def test_what_is_ignored_is_no_change_and_is_left_as_it_is(driver: Driver, directory: Directory) -> None:
    """Prevents that an application and its identifier URI, a resource of its own, undo each other."""
    made = await driver.create(APPLICATION)
    path = made.resource_id or ""
    uri = {"applicationId": path, "identifierUri": "api://temporal"}
    await driver.create(IDENTIFIER_URI, uri)
    state = (await driver.refresh(APPLICATION, made)).properties
    assert list((await driver.diff(APPLICATION, state, INPUTS[APPLICATION])).detailed_diff) == ["identifierUris"]
    assert (await driver.diff(APPLICATION, state, INPUTS[APPLICATION], "identifierUris")).detailed_diff == {}
    for known in (made, protocol.CreateResponse(path, dict(state))):
        await driver.update(APPLICATION, known, changed(APPLICATION, "notes", "new"), "identifierUris")
        assert "identifierUris" not in directory.body("PATCH", path)
        assert directory.objects[path]["identifierUris"] == ["api://temporal"]
    assert directory.slept == 0


@pytest.mark.parametrize(
    ("token", "graph_name", "value", "path"),
    [
        (APPLICATION, "displayName", "By hand", "displayName"),
        (APPLICATION, "signInAudience", "AzureADMultipleOrgs", "signInAudience"),
        (APPLICATION, "notes", "By hand", "notes"),
        (APPLICATION, "appRoles", [], "appRoles"),
        (APPLICATION, "api", {"oauth2PermissionScopes": [], "requestedAccessTokenVersion": 2}, "api"),
        (APPLICATION, "api", {"requestedAccessTokenVersion": None}, "api"),
        (APPLICATION, "web", {"redirectUris": ["https://evil.example/"]}, "web"),
        (APPLICATION, "tags", [], "tags"),
        (APPLICATION, "groupMembershipClaims", "All, ApplicationGroup", "groupMembershipClaims"),
        (APPLICATION, "requiredResourceAccess", [], "requiredResourceAccesses"),
        (SERVICE_PRINCIPAL, "appRoleAssignmentRequired", False, "appRoleAssignmentRequired"),
        (SERVICE_PRINCIPAL, "accountEnabled", False, "accountEnabled"),
        (SERVICE_PRINCIPAL, "description", None, "description"),
        (FEDERATED, "subject", "repo:evil", "subject"),
        (FEDERATED, "issuer", "https://evil.example", "issuer"),
        (FEDERATED, "audiences", ["evil"], "audiences"),
        (ASSIGNMENT, "appRoleId", OTHER, "appRoleId"),
        (GRANT, "scope", "openid", "claimValues"),
    ],
)
async def test_refresh_shows_what_changed_by_hand_and_up_mends_it(
    driver: Driver, directory: Directory, token: str, graph_name: str, value: Any, path: str
) -> None:
    """Prevents drift that no preview shows, or that `up` leaves as it is."""
    made = await driver.create(token)
    key = made.resource_id or ""
    at = key if key.startswith("/") else f"/applications/{APP}/federatedIdentityCredentials/{key.rpartition('/')[2]}"
    directory.objects[at] = {**directory.objects[at], graph_name: value}
    read = await driver.refresh(token, made)
    diff = await driver.diff(token, read.properties, INPUTS[token])
    assert {found.split(".")[0].split("[")[0] for found in diff.detailed_diff} == {path}
    drifted = protocol.CreateResponse(made.resource_id, dict(read.properties))
    if not diff.replaces:
        outputs = await driver.update(token, drifted, INPUTS[token])
        assert (await driver.diff(token, property_values(outputs), INPUTS[token])).detailed_diff == {}
    assert plain(read.inputs) != INPUTS[token] or path not in INPUTS[token]


async def test_refresh_sees_owners_that_changed(driver: Driver, directory: Directory) -> None:
    """Prevents an owner who was added by hand, and whom nobody sees."""
    made = await driver.create(APPLICATION)
    directory.owners[made.resource_id or ""].append(OTHER)
    read = await driver.refresh(APPLICATION, made)
    assert list((await driver.diff(APPLICATION, read.properties, INPUTS[APPLICATION])).detailed_diff) == ["owners"]


@ALL
async def test_refresh_without_drift_changes_nothing(driver: Driver, token: str) -> None:
    """Prevents a refresh that shows changes that nobody made: the twin of the drift."""
    made = await driver.create(token)
    read = await driver.refresh(token, made)
    assert read.properties == made.properties
    assert plain(read.inputs) == INPUTS[token]


@ALL
async def test_refresh_of_what_was_deleted_says_that_it_is_gone(
    driver: Driver, directory: Directory, token: str
) -> None:
    """Prevents a refresh that fails, or keeps what somebody deleted."""
    made = await driver.create(token)
    directory.objects.clear()
    assert (await driver.refresh(token, made)).resource_id == ""


@ALL
async def test_refresh_that_is_refused_is_not_taken_for_a_deletion(
    driver: Driver, directory: Directory, token: str
) -> None:
    """Prevents that a caller who may not read loses the whole stack's state: the twin of the deletion."""
    made = await driver.create(token)
    directory.refused.append(("GET", ".*"))
    with pytest.raises(PluginError, match="Authorization_RequestDenied"):
        await driver.refresh(token, made)


@pytest.mark.parametrize("token", [token for token, spec in SPECS.items() if spec.importable])
async def test_import_gives_the_inputs_that_would_have_made_it(driver: Driver, token: str) -> None:
    """Prevents an import after which the same program shows changes."""
    made = await driver.create(token)
    read = await driver.import_(token, made.resource_id or "")
    assert read.resource_id == made.resource_id
    imported = await driver.checked(token, plain(read.inputs))
    # Whether names may repeat is known to the program alone.
    expected = {**INPUTS[token]} | ({"preventDuplicateNames": False} if token == APPLICATION else {})
    assert (await driver.diff(token, made.properties, expected)).detailed_diff.keys() <= {"preventDuplicateNames"}
    assert sorted(plain(imported)) == sorted(expected)
    assert (await driver.diff(token, read.properties, expected)).detailed_diff == {}


@pytest.mark.parametrize(
    ("token", "resource_id"),
    [
        (APPLICATION, APP),
        (SERVICE_PRINCIPAL, f"/applications/{APP}"),
        (IDENTIFIER_URI, f"/applications/{APP}"),
        (PRE_AUTHORIZED, f"{APP}/{CLIENT}"),
        (FEDERATED, f"{APP}/password/{CLIENT}"),
        (ASSIGNMENT, f"/servicePrincipals/{PRINCIPAL}"),
        (GRANT, PRINCIPAL),
    ],
)
async def test_import_of_another_types_id_is_refused(
    driver: Driver, directory: Directory, token: str, resource_id: str
) -> None:
    """Prevents a state with one thing under the type of another."""
    with pytest.raises(PluginError, match=f'^parsing "{resource_id}": the ID of an azuread_'):
        await driver.import_(token, resource_id)
    assert directory.asked == []


async def test_a_password_cannot_be_imported(driver: Driver) -> None:
    """Prevents a client secret without a value: Graph tells it once."""
    made = await driver.create(PASSWORD)
    with pytest.raises(PluginError, match=r"^resource azuread_application_password doesn't support import$"):
        await driver.import_(PASSWORD, made.resource_id or "")
