"""The stand-in for azuread: as strict as the SDK and the official plugin."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import pytest
from pulumi import _types as sdk

from localazure.plugins.azuread.fields import Field, Kind
from localazure.plugins.azuread.specs import LIMITS, SPECS
from localazure.plugins.shapes import Shape, Type
from plugin import UNKNOWN, PluginError, plain
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
    ROLE,
    SCOPE,
    SERVICE_PRINCIPAL,
    USER,
    Driver,
    changed,
    role,
    scope,
)


def type_at(shape: Shape, path: str) -> Type | None:
    """What the SDK says of a path with dots, None if it does not know it."""
    *containers, name = path.split(".")
    for container in containers:
        inner = shape.properties[container].shape
        assert inner is not None
        shape = inner
    return shape.properties.get(name)


def unlike(fields: Sequence[Field], shape: Shape) -> list[str]:
    """The fields, of items of lists too, that the SDK does not know or has with another kind."""
    kinds = {Kind.TEXT: "string", Kind.OPTIONAL_TEXT: "string", Kind.FLAG: "boolean", Kind.NUMBER: "integer"}
    found = []
    for field in fields:
        expected = type_at(shape, field.name)
        kind = kinds.get(field.kind, "object" if field.kind is Kind.MAP else "array")
        if expected is None or expected.kind != kind:
            found.append(field.name)
        elif field.items:
            assert expected.item is not None
            assert expected.item.shape is not None
            found += [f"{field.name}.{name}" for name in unlike(field.items, expected.item.shape)]
    return found


@ALL
def test_the_table_of_a_resource_is_what_the_sdk_has_but_for_what_is_refused(token: str) -> None:
    """Prevents an input that is misspelt in the table, of another kind, or that is taken and then forgotten."""
    spec = SPECS[token]
    sdk_class = getattr(import_module(f"pulumi_azuread.{spec.module}"), spec.class_name)
    assert sdk_class.pulumi_type == token
    assert unlike(spec.fields, spec.inputs) == []
    assert unlike(spec.answered, Shape(sdk_class)) == []
    served = {field.name.partition(".")[0] for field in spec.fields}
    allowed = LIMITS.allowed.get(spec.inputs.name)
    assert served == (set(spec.inputs.properties) if allowed is None else allowed)
    outputs = served | {field.name for field in spec.answered} | spec.computed
    assert outputs <= set(sdk.resource_types(sdk_class))
    assert set(sdk.resource_types(sdk_class)) - outputs <= set(spec.inputs.properties) - served


@pytest.mark.parametrize(
    ("token", "path", "value", "problem"),
    [
        (APPLICATION, "displayName", None, "missing required property 'displayName'"),
        (APPLICATION, "displayName", "", 'expected "displayName" to not be an empty string, got '),
        (APPLICATION, "displayName", 1, "'displayName' should be of type 'string' but got an integer"),
        (APPLICATION, "displayname", "x", "unknown property 'displayname': Application takes api, appRoles,"),
        (APPLICATION, "web.redirectUri", ["x"], "unknown property 'web.redirectUri': ApplicationWeb takes"),
        (APPLICATION, "web", [], "'web' should be of type 'object' but got an array"),
        (APPLICATION, "logoImage", "aGk=", "'logoImage' is not known to the stand-in for azuread"),
        (APPLICATION, "password", {"displayName": "x"}, "'password' is not known to the stand-in for azuread"),
        (APPLICATION, "signInAudience", "MyOrg", 'expected signInAudience to be one of ["AzureADMyOrg" "Azure'),
        (APPLICATION, "description", "x" * 1025, "expected length of description to be in the range (0 - 1024)"),
        (APPLICATION, "notes", "", 'expected "notes" to not be an empty string'),
        (APPLICATION, "owners", ["ada"], 'expected "owners[0]" to be a valid UUID, got ada'),
        (APPLICATION, "owners", [USER] * 101, "Attribute owners supports 100 item maximum, but config has 101"),
        (APPLICATION, "identifierUris", [""], 'expected "identifierUris[0]" to not be an empty string'),
        (APPLICATION, "groupMembershipClaims", ["Groups"], "expected groupMembershipClaims[0] to be one of"),
        (APPLICATION, "featureTags", [{"hide": True}], "Conflicting configuration arguments: featureTags and tags"),
        (APPLICATION, "api.requestedAccessTokenVersion", 3, "requestedAccessTokenVersion to be one of [1 2], got 3"),
        (APPLICATION, "api.requestedAccessTokenVersion", "2", "should be of type 'integer' but got a string"),
        (APPLICATION, "api.knownClientApplications", ["x"], "to be a valid UUID, got x"),
        (
            APPLICATION,
            "api.oauth2PermissionScopes",
            [scope(id="x")],
            'expected "api.oauth2PermissionScopes[0].id" to be a valid UUID, got x',
        ),
        (APPLICATION, "api.oauth2PermissionScopes", [{"value": "x"}], "'api.oauth2PermissionScopes[0].id'"),
        (APPLICATION, "api.oauth2PermissionScopes", [scope(type="Anyone")], 'to be one of ["Admin" "User"]'),
        (APPLICATION, "api.oauth2PermissionScopes", [scope(adminConsentDescription="")], "to not be an empty string"),
        (APPLICATION, "api.oauth2PermissionScopes", [scope(value=".a")], "Value must not begin with a period"),
        (APPLICATION, "api.oauth2PermissionScopes", [scope(value="a b")], "Value must be alphanumeric with these"),
        (APPLICATION, "appRoles", [role(value="x" * 250)], "Value must be between 0-249 characters in length"),
        (APPLICATION, "appRoles", [role(description="")], 'expected "appRoles[0].description" to not be an empty'),
        (APPLICATION, "appRoles", [role(displayName="")], 'expected "appRoles[0].displayName" to not be an empty'),
        (APPLICATION, "appRoles", [role(allowedMemberTypes=[])], "requires 1 item minimum, but config has only 0"),
        (APPLICATION, "appRoles", [role(allowedMemberTypes=["Group"])], 'to be one of ["Application" "User"]'),
        (APPLICATION, "appRoles", [role(), role(id=OTHER)], 'duplicate value found: "temporal-system:admin"'),
        (APPLICATION, "appRoles", [role(), role(value="x")], f'duplicate ID found: "{ROLE}"'),
        (APPLICATION, "appRoles", [role(id=OTHER, value="default")], 'duplicate value found: "default"'),
        (APPLICATION, "appRoles", [role(id=SCOPE, value="default")], f'a role and a scope with the ID "{SCOPE}" must'),
        (APPLICATION, "web.redirectUris", [""], 'URI must not be empty for "web.redirectUris[0]"'),
        (APPLICATION, "web.redirectUris", ["https://ui.example"], "URI must have a trailing slash when there is no"),
        (APPLICATION, "web.redirectUris", ["/callback"], "URI has no host"),
        (APPLICATION, "web.redirectUris", ["https://[x/"], "URI is in an invalid format"),
        (APPLICATION, "web.redirectUris", ["https://a b/"], "URI is in an invalid format"),
        (APPLICATION, "web.redirectUris", ["myapp://callback/"], "unexpected URI scheme"),
        (APPLICATION, "web.redirectUris", ["http://ui.example/x"], "URI must begin with https, or name localhost"),
        (APPLICATION, "web.redirectUris", [f"https://a/{'x' * 247}"], "URI must be 256 characters or less"),
        (APPLICATION, "web.redirectUris", ["https://a/x"] * 257, "supports 256 item maximum"),
        (APPLICATION, "singlePageApplication.redirectUris", ["urn:a:b"], "URI has no host"),
        (APPLICATION, "web.homepageUrl", "ftp://ui.example", "unexpected URI scheme"),
        (APPLICATION, "web.logoutUrl", f"https://ui.example/{'x' * 255}", "URL must be 255 characters or less"),
        (APPLICATION, "requiredResourceAccesses", [{"resourceAppId": OTHER}], "[0].resourceAccesses'"),
        (
            APPLICATION,
            "requiredResourceAccesses",
            [{"resourceAppId": OTHER, "resourceAccesses": [{"id": SCOPE, "type": "User"}]}],
            'to be one of ["Role" "Scope"], got User',
        ),
        (APPLICATION, "optionalClaims", {"idTokens": [{"name": "a", "source": "group"}]}, 'to be one of ["user"]'),
        (SERVICE_PRINCIPAL, "clientId", None, "missing required property 'clientId'"),
        (SERVICE_PRINCIPAL, "clientId", "/applications/x", 'expected "clientId" to be a valid UUID'),
        (SERVICE_PRINCIPAL, "owners", ["x"], 'expected "owners[0]" to be a valid UUID'),
        (SERVICE_PRINCIPAL, "featureTags", [{}], "Conflicting configuration arguments"),
        (SERVICE_PRINCIPAL, "features", [{}], "'features' is not known to the stand-in for azuread"),
        (SERVICE_PRINCIPAL, "preferredSingleSignOnMode", "ldap", "expected preferredSingleSignOnMode to be one of"),
        (SERVICE_PRINCIPAL, "loginUrl", "x", "URI has no host"),
        (SERVICE_PRINCIPAL, "displayName", "x", "unknown property 'displayName'"),
        (IDENTIFIER_URI, "applicationId", APP, "expected an ID of the form /applications/{applicationId}"),
        (IDENTIFIER_URI, "identifierUri", "", "to not be an empty string"),
        (PASSWORD, "applicationId", None, "missing required property 'applicationId'"),
        (PASSWORD, "endDate", "2027-01-01", 'expected "endDate" to be a valid RFC3339 date, got "2027-01-01"'),
        (PASSWORD, "endDate", "2027-02-30T00:00:00Z", 'expected "endDate" to be a valid RFC3339 date'),
        (PASSWORD, "startDate", "tomorrow", 'expected "startDate" to be a valid RFC3339 date'),
        (PASSWORD, "endDateRelative", "240h", "'endDateRelative' is not known to the stand-in for azuread"),
        (PASSWORD, "rotateWhenChanged", {"day": 1}, "'rotateWhenChanged.day' should be of type 'string'"),
        (PASSWORD, "value", "mine", "unknown property 'value'"),
        (PRE_AUTHORIZED, "authorizedClientId", "cli", "to be a valid UUID"),
        (PRE_AUTHORIZED, "permissionIds", ["default"], "to be a valid UUID"),
        (PRE_AUTHORIZED, "permissionIds", None, "missing required property 'permissionIds'"),
        (FEDERATED, "audiences", ["a", "b"], "Attribute audiences supports 1 item maximum, but config has 2 declared."),
        (FEDERATED, "displayName", "", "expected length of displayName to be in the range (1 - 120)"),
        (FEDERATED, "issuer", None, "missing required property 'issuer'"),
        (ASSIGNMENT, "appRoleId", "admin", 'expected "appRoleId" to be a valid UUID, got admin'),
        (ASSIGNMENT, "principalObjectId", None, "missing required property 'principalObjectId'"),
        (GRANT, "claimValues", [], "Attribute claimValues requires 1 item minimum, but config has only 0 declared."),
        (GRANT, "userObjectId", "ada", "to be a valid UUID"),
    ],
)
async def test_wrong_inputs_are_refused(driver: Driver, token: str, path: str, value: Any, problem: str) -> None:
    """Prevents a program that runs against the stand-in and fails with the official plugin, or on Azure."""
    found = await driver.problems(token, changed(token, path, value))
    assert [reason for reason in found if problem in reason] != [], found


@pytest.mark.parametrize(
    ("token", "path", "value"),
    [
        (APPLICATION, "description", "x" * 1024),
        (APPLICATION, "owners", [USER] * 100),
        (APPLICATION, "api.requestedAccessTokenVersion", 1),
        (APPLICATION, "api.oauth2PermissionScopes", [scope(value="a.b-c/d")]),
        (APPLICATION, "appRoles", [role(value="x" * 249)]),
        (APPLICATION, "appRoles", [role(id=SCOPE, value="default", displayName="", description="")][:0]),
        (APPLICATION, "web.redirectUris", ["http://localhost:8080/auth/sso/callback"]),
        (APPLICATION, "web.redirectUris", ["http://127.0.0.1/x", "https://ui.example/", "urn:ietf:wg:oauth:2.0:oob"]),
        (APPLICATION, "web.redirectUris", [f"https://a/{'x' * 246}"]),
        (APPLICATION, "publicClient.redirectUris", ["myapp://auth"]),
        (APPLICATION, "singlePageApplication.redirectUris", ["https://ui.example/"]),
        (APPLICATION, "web.logoutUrl", "https://ui.example"),
        (APPLICATION, "signInAudience", "AzureADMultipleOrgs"),
        (SERVICE_PRINCIPAL, "preferredSingleSignOnMode", ""),
        (PASSWORD, "endDate", "2027-01-01T00:00:00.5+01:00"),
        (FEDERATED, "displayName", "x" * 120),
        (GRANT, "userObjectId", USER),
    ],
)
async def test_values_at_the_edge_are_accepted(driver: Driver, token: str, path: str, value: Any) -> None:
    """Prevents a rule that refuses more than the official plugin: the twins of the refusals."""
    assert await driver.problems(token, changed(token, path, value)) == []


async def test_features_are_accepted_where_no_tags_are(driver: Driver) -> None:
    """Prevents a refusal of features alone: the twin of the conflict."""
    inputs = {**changed(APPLICATION, "tags", None), "featureTags": [{"hide": True}]}
    assert await driver.problems(APPLICATION, inputs) == []


async def test_personal_accounts_need_new_tokens(driver: Driver) -> None:
    """Prevents an application that Entra ID refuses, because it lets personal accounts in with version 1 tokens."""
    personal = changed(APPLICATION, "signInAudience", "PersonalMicrosoftAccount")
    assert await driver.problems(APPLICATION, personal) == []
    personal["api"] = {}
    (problem,) = await driver.problems(APPLICATION, personal)
    assert "`requested_access_token_version` must be 2 when `sign_in_audience` is" in problem


@ALL
async def test_right_inputs_are_accepted_as_they_are(driver: Driver, token: str) -> None:
    """Prevents a check that refuses, or changes, what the program gives: the twin of the refusals."""
    assert plain(await driver.checked(token)) == INPUTS[token]


async def test_defaults_are_the_official_plugins(driver: Driver) -> None:
    """Prevents another token version, audience or state of a role than the official plugin's, where none is given."""
    inputs = {
        "displayName": "x",
        "api": {"oauth2PermissionScopes": [scope()]},
        "appRoles": [{name: value for name, value in role().items() if name != "enabled"}],
        "notes": None,
    }
    assert plain(await driver.checked(APPLICATION, inputs)) == {
        "displayName": "x",
        "api": {
            "oauth2PermissionScopes": [scope(enabled=True, type="User")],
            "requestedAccessTokenVersion": 1,
        },
        "appRoles": [role()],
        "preventDuplicateNames": False,
        "signInAudience": "AzureADMyOrg",
    }
    assert plain(await driver.checked(SERVICE_PRINCIPAL, {"clientId": CLIENT}))["accountEnabled"] is True


@pytest.mark.parametrize(
    ("token", "path"),
    [
        (APPLICATION, "displayName"),
        (APPLICATION, "api"),
        (APPLICATION, "api.oauth2PermissionScopes"),
        (APPLICATION, "web.redirectUris"),
        (APPLICATION, "owners"),
        (SERVICE_PRINCIPAL, "clientId"),
        (PASSWORD, "applicationId"),
        (PASSWORD, "endDate"),
        (GRANT, "claimValues"),
    ],
)
async def test_values_that_are_not_yet_known_are_no_problem(driver: Driver, token: str, path: str) -> None:
    """Prevents a preview that fails because another resource does not exist yet."""
    inputs = changed(token, path, UNKNOWN)
    assert plain(await driver.checked(token, inputs)) == inputs
    items = {**INPUTS[APPLICATION], "owners": [UNKNOWN], "appRoles": [UNKNOWN, role(id=UNKNOWN)]}
    assert await driver.problems(APPLICATION, items) == []


async def test_tokens_that_the_program_does_not_use_are_refused(driver: Driver) -> None:
    """Prevents a resource that seems to be made although the stand-in knows nothing of it."""
    with pytest.raises(PluginError, match="azuread:index/group:Group not found: the stand-in for azuread serves"):
        await driver.check("azuread:index/group:Group", {})
    with pytest.raises(PluginError, match="azuread:index/getDomains:getDomains not found"):
        await driver.invoke("getDomains")
