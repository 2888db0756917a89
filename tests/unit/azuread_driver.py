"""Drives the stand-in for azuread as the engine does, on a directory in memory, with inputs of every resource."""

from collections.abc import Mapping
from typing import Any

import pytest
from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental.property_value import PropertyValue

from localazure.plugins.azuread import specs
from localazure.plugins.azuread.provider import AzureAd
from localazure.plugins.azuread.specs import SPECS
from plugin import plain, property_values
from tests.unit.directory_in_memory import CALLER, Directory

APPLICATION = specs.APPLICATION.token
SERVICE_PRINCIPAL = specs.SERVICE_PRINCIPAL.token
IDENTIFIER_URI = specs.IDENTIFIER_URI.token
PASSWORD = specs.PASSWORD.token
PRE_AUTHORIZED = specs.PRE_AUTHORIZED.token
FEDERATED = specs.FEDERATED_CREDENTIAL.token
ASSIGNMENT = specs.ROLE_ASSIGNMENT.token
GRANT = specs.PERMISSION_GRANT.token
ALL = pytest.mark.parametrize("token", SPECS)

CLIENT = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
SCOPE = "40000000-0000-0000-0000-000000000004"
ROLE = "50000000-0000-0000-0000-000000000005"
OTHER = "60000000-0000-0000-0000-000000000006"
USER = "70000000-0000-0000-0000-000000000007"
APP = "80000000-0000-0000-0000-000000000008"
PRINCIPAL = "90000000-0000-0000-0000-000000000009"

DENIED = (
    "unexpected status 403 (403 Forbidden) with error: Authorization_RequestDenied: "
    "Insufficient privileges to complete the operation."
)

INPUTS: dict[str, dict[str, Any]] = {
    APPLICATION: {
        "displayName": "Temporal",
        "signInAudience": "AzureADMyOrg",
        "owners": [CALLER["objectId"], USER],
        "tags": ["stack:local"],
        "preventDuplicateNames": True,
        "api": {
            "requestedAccessTokenVersion": 2,
            "oauth2PermissionScopes": [
                {"id": SCOPE, "value": "default", "type": "User", "adminConsentDescription": "All", "enabled": True}
            ],
        },
        "appRoles": [
            {
                "id": ROLE,
                "value": "temporal-system:admin",
                "displayName": "Admin",
                "description": "Everything",
                "allowedMemberTypes": ["User", "Application"],
                "enabled": True,
            },
            {
                "id": OTHER,
                "value": "default:read",
                "displayName": "Reader",
                "description": "Reads",
                "allowedMemberTypes": ["User"],
                "enabled": True,
            },
        ],
        "web": {"redirectUris": ["https://127.0.0.1:8080/auth/sso/callback"], "homepageUrl": "https://ui.example/"},
        "requiredResourceAccesses": [
            {"resourceAppId": OTHER, "resourceAccesses": [{"id": SCOPE, "type": "Scope"}]},
        ],
    },
    SERVICE_PRINCIPAL: {
        "clientId": CLIENT,
        "accountEnabled": True,
        "appRoleAssignmentRequired": True,
        "owners": [CALLER["objectId"]],
        "tags": ["HideApp"],
        "description": "Signs on",
    },
    IDENTIFIER_URI: {"applicationId": f"/applications/{APP}", "identifierUri": "api://temporal"},
    PASSWORD: {
        "applicationId": f"/applications/{APP}",
        "displayName": "ui",
        "endDate": "2027-01-01T00:00:00Z",
        "rotateWhenChanged": {"day": "1"},
    },
    PRE_AUTHORIZED: {
        "applicationId": f"/applications/{APP}",
        "authorizedClientId": CLIENT,
        "permissionIds": [SCOPE],
    },
    FEDERATED: {
        "applicationId": f"/applications/{APP}",
        "displayName": "pipeline",
        "audiences": ["api://AzureADTokenExchange"],
        "issuer": "https://ci.example.org",
        "subject": "repo:temporal",
    },
    ASSIGNMENT: {"appRoleId": ROLE, "principalObjectId": USER, "resourceObjectId": PRINCIPAL},
    GRANT: {
        "claimValues": ["openid", "profile"],
        "resourceServicePrincipalObjectId": PRINCIPAL,
        "servicePrincipalObjectId": PRINCIPAL,
    },
}


class Driver:
    """Sends the engine's requests to a provider, on plain data."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        graph = directory.graph()

        async def connect(_: Mapping[str, str]) -> Any:
            return graph

        self.provider = AzureAd(None, connect)  # type: ignore[arg-type]  # it says nothing to the engine

    async def configured(self) -> "Driver":
        await self.provider.configure(protocol.ConfigureRequest({}, {}, True, True))
        return self

    async def check(self, token: str, inputs: Mapping[str, Any]) -> protocol.CheckResponse:
        return await self.provider.check(protocol.CheckRequest(urn(token), {}, property_values(inputs), b""))

    async def problems(self, token: str, inputs: Mapping[str, Any]) -> list[str]:
        return [failure.reason for failure in (await self.check(token, inputs)).failures or []]

    async def checked(self, token: str, inputs: Mapping[str, Any] | None = None) -> dict[str, PropertyValue]:
        response = await self.check(token, INPUTS[token] if inputs is None else inputs)
        assert [failure.reason for failure in response.failures or []] == []
        return response.inputs or {}

    async def create(
        self, token: str, inputs: Mapping[str, Any] | None = None, *, preview: bool = False
    ) -> protocol.CreateResponse:
        checked = await self.checked(token, inputs)
        return await self.provider.create(protocol.CreateRequest(urn(token), checked, 0, preview))

    async def diff(
        self, token: str, state: Mapping[str, PropertyValue], inputs: Mapping[str, Any], *ignored: str
    ) -> protocol.DiffResponse:
        checked = await self.checked(token, inputs)
        return await self.provider.diff(protocol.DiffRequest(urn(token), "id", dict(state), checked, list(ignored)))

    async def update(
        self, token: str, made: protocol.CreateResponse, inputs: Mapping[str, Any], *ignored: str, preview: bool = False
    ) -> dict[str, Any]:
        news = await self.checked(token, inputs)
        assert made.resource_id
        request = protocol.UpdateRequest(urn(token), made.resource_id, made.properties, news, 0, list(ignored), preview)
        return dict(plain((await self.provider.update(request)).properties or {}))

    async def refresh(self, token: str, made: protocol.CreateResponse) -> protocol.ReadResponse:
        assert made.resource_id
        inputs = await self.checked(token)
        return await self.provider.read(protocol.ReadRequest(urn(token), made.resource_id, made.properties, inputs))

    async def import_(self, token: str, resource_id: str) -> protocol.ReadResponse:
        return await self.provider.read(protocol.ReadRequest(urn(token), resource_id, {}, {}))

    async def delete(self, token: str, made: protocol.CreateResponse) -> None:
        assert made.resource_id
        await self.provider.delete(protocol.DeleteRequest(urn(token), made.resource_id, made.properties, 0))

    async def invoke(self, function: str, **arguments: Any) -> dict[str, Any]:
        token = f"azuread:index/{function}:{function}"
        answer = await self.provider.invoke(protocol.InvokeRequest(token, property_values(arguments)))
        return dict(plain(answer.return_value or {}))


def urn(token: str) -> str:
    return f"urn:pulumi:local::temporal-azure::temporal-azure:components:SignOn${token}::thing"


def changed(token: str, path: str, value: Any) -> dict[str, Any]:
    """Return the inputs of a resource with one of them, named by a dotted path, set or (None) left out."""

    def change(values: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
        first, *rest = names
        inner = change(values.get(first, {}), rest) if rest else value
        return {
            **{key: item for key, item in values.items() if key != first},
            **({} if inner is None else {first: inner}),
        }

    return change(INPUTS[token], path.split("."))


def role(**values: Any) -> dict[str, Any]:
    return {**INPUTS[APPLICATION]["appRoles"][0], **values}


def scope(**values: Any) -> dict[str, Any]:
    return {"id": SCOPE, "value": "default", **values}


def directory_with_an_application() -> Directory:
    """One with an application and a service principal for what belongs to them."""
    directory = Directory()
    directory.objects[f"/applications/{APP}"] = {"id": APP, "appId": CLIENT, "displayName": "There before"}
    directory.objects[f"/servicePrincipals/{PRINCIPAL}"] = {"id": PRINCIPAL, "appId": OTHER, "displayName": "There"}
    return directory
