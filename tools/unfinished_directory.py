"""What a killed run made in Entra ID and no state knows of, found by what tells it from everything else.

Names are not unique there: an application is known by a tag that the program derives, the rest by what it belongs to.
A client secret cannot be imported, because its value was told once, to a run that is gone: it is removed again.
"""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from typing import Any

from azure.core import AsyncPipelineClient
from azure.core.rest import AsyncHttpResponse, HttpRequest

Client = AsyncPipelineClient[HttpRequest, AsyncHttpResponse]
Inputs = Mapping[str, Any]

_OWN_TAG = "temporal-azure-"


async def import_id(client: Client, resource: Mapping[str, Any], known_secrets: Collection[str]) -> str | None:
    """Return what the azuread plugin imports a resource of a state by, or None where there is nothing to import.

    `client` is Microsoft Graph's; `known_secrets` are the key IDs of client secrets that the state has. Raises
    AzureError if Graph does not answer.
    """
    return await _FINDERS[resource["type"]](client, resource["inputs"], known_secrets)


async def _application(client: Client, inputs: Inputs, _: Collection[str]) -> str | None:
    tag = next((tag for tag in inputs.get("tags") or () if tag.startswith(_OWN_TAG)), None)
    found = [each async for each in _listed(client, "/applications", f"tags/any(t:t eq '{tag}')")] if tag else []
    return f"/applications/{found[0]['id']}" if found else None


async def _service_principal(client: Client, inputs: Inputs, _: Collection[str]) -> str | None:
    async for each in _listed(client, "/servicePrincipals", f"appId eq '{inputs['clientId']}'"):
        return f"/servicePrincipals/{each['id']}"
    return None


async def _identifier_uri(client: Client, inputs: Inputs, _: Collection[str]) -> str | None:
    application, uri = inputs["applicationId"], inputs["identifierUri"]
    if uri not in (await _asked(client, application)).get("identifierUris", ()):
        return None
    return f"{application}/identifierUris/{base64.b64encode(uri.encode()).decode()}"


async def _pre_authorized(client: Client, inputs: Inputs, _: Collection[str]) -> str | None:
    application, wanted = inputs["applicationId"], inputs["authorizedClientId"]
    authorized = (await _asked(client, application)).get("api", {}).get("preAuthorizedApplications", ())
    if not any(each["appId"] == wanted for each in authorized):
        return None
    return f"{application.rpartition('/')[2]}/preAuthorizedApplication/{wanted}"


async def _federation(client: Client, inputs: Inputs, _: Collection[str]) -> str | None:
    application = inputs["applicationId"]
    async for each in _listed(client, f"{application}/federatedIdentityCredentials"):
        if each["name"] == inputs["displayName"]:
            return f"{application.rpartition('/')[2]}/federatedIdentityCredential/{each['id']}"
    return None


async def _role_assignment(client: Client, inputs: Inputs, _: Collection[str]) -> str | None:
    path = f"/servicePrincipals/{inputs['resourceObjectId']}/appRoleAssignedTo"
    async for each in _listed(client, path):
        if (each["principalId"], each["appRoleId"]) == (inputs["principalObjectId"], inputs["appRoleId"]):
            return f"{path}/{each['id']}"
    return None


async def _permission_grant(client: Client, inputs: Inputs, _: Collection[str]) -> str | None:
    of, at = inputs["servicePrincipalObjectId"], inputs["resourceServicePrincipalObjectId"]
    async for each in _listed(client, "/oauth2PermissionGrants", f"clientId eq '{of}' and resourceId eq '{at}'"):
        if each["consentType"] == "AllPrincipals":
            return f"/oauth2PermissionGrants/{each['id']}"
    return None


async def _client_secret(client: Client, inputs: Inputs, known_secrets: Collection[str]) -> None:
    application = inputs["applicationId"]
    for each in (await _asked(client, application)).get("passwordCredentials", ()):
        if each["displayName"] == inputs["displayName"] and each["keyId"] not in known_secrets:
            request = HttpRequest("POST", f"{application}/removePassword", json={"keyId": each["keyId"]})
            (await _sent(client, request)).raise_for_status()


_FINDERS: Mapping[str, Callable[[Client, Inputs, Collection[str]], Awaitable[str | None]]] = {
    "azuread:index/application:Application": _application,
    "azuread:index/servicePrincipal:ServicePrincipal": _service_principal,
    "azuread:index/applicationIdentifierUri:ApplicationIdentifierUri": _identifier_uri,
    "azuread:index/applicationPreAuthorized:ApplicationPreAuthorized": _pre_authorized,
    "azuread:index/applicationPassword:ApplicationPassword": _client_secret,
    "azuread:index/applicationFederatedIdentityCredential:ApplicationFederatedIdentityCredential": _federation,
    "azuread:index/appRoleAssignment:AppRoleAssignment": _role_assignment,
    "azuread:index/servicePrincipalDelegatedPermissionGrant:ServicePrincipalDelegatedPermissionGrant": (
        _permission_grant
    ),
}
DIRECTORY_TYPES = frozenset(_FINDERS)


async def _asked(client: Client, path: str) -> dict[str, Any]:
    """Return an object; an empty one where there is none."""
    response = await _sent(client, HttpRequest("GET", path))
    if response.status_code == 404:
        return {}
    response.raise_for_status()
    return dict(response.json())


async def _listed(client: Client, path: str, which: str = "") -> AsyncIterator[dict[str, Any]]:
    request = HttpRequest("GET", path, params={"$filter": which} if which else {})
    while True:
        response = await _sent(client, request)
        if response.status_code == 404:
            return
        response.raise_for_status()
        page = response.json()
        for each in page["value"]:
            yield each
        if "@odata.nextLink" not in page:
            return
        request = HttpRequest("GET", page["@odata.nextLink"])


async def _sent(client: Client, request: HttpRequest) -> AsyncHttpResponse:
    request.url = client.format_url(request.url)
    return await client.send_request(request)
