"""Service principals: what an application is in a tenant. One made here has its application's name and credentials."""

import uuid
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from localazure.access import Principal
from localazure.context import PRINCIPAL
from localazure.entra.directory import APPLICATIONS, PRINCIPALS
from localazure.graph import deleted, query, shapes
from localazure.graph.errors import GraphError, bad_request, denied, invalid, not_found
from localazure.graph.owners import bound_owners
from localazure.graph.service import (
    READ_APPLICATIONS,
    ROOT,
    WRITE_ALL_APPLICATIONS,
    WRITE_OWN_APPLICATIONS,
    Graph,
    body_of,
)
from localazure.store import Document
from localazure.vaults import timestamp

_FILTERABLE = frozenset(
    {"id", "appId", "displayName", "accountEnabled", "servicePrincipalNames", "servicePrincipalType", "tags"}
    | {"appOwnerOrganizationId", "alternativeNames", "appRoleAssignmentRequired"}
)
_OF_THE_APPLICATION = frozenset({"appRoles", "oauth2PermissionScopes", "signInAudience", "displayName", "replyUrls"})


def routes(graph: Graph) -> list[web.RouteDef]:
    service = _ServicePrincipals(graph)
    root = f"{ROOT}/servicePrincipals"
    by_key = (f"{root}/{{id}}", f"{root}(appId='{{app_id}}')")
    return [
        web.get(root, service.page),
        web.post(root, service.create),
        *(web.get(path, service.get) for path in by_key),
        *(web.patch(path, service.update) for path in by_key),
        *(web.delete(path, service.delete) for path in by_key),
    ]


def find(graph: Graph, request: web.Request) -> Document:
    """The service principal that the path names, as the caller sees it; 404 if there is none."""
    caller = request[PRINCIPAL]
    key = request.match_info.get("id", "").lower()
    if "app_id" in request.match_info:
        wanted = request.match_info["app_id"].lower()
        key = next((each["objectId"] for each in _all(graph, caller) if each["clientId"] == wanted), wanted)
    found = graph.replica.seen_by(caller.object_id, PRINCIPALS, key)
    if found is None or found["kind"] != "ServicePrincipal" or found["tenantId"] != caller.tenant_id:
        raise not_found(key)
    return found


def newest(graph: Graph, principal: Document) -> Document:
    """The service principal as a write finds it; 404 if it is deleted by now."""
    current = graph.replica.newest(PRINCIPALS, principal["objectId"])
    if current is None:
        raise not_found(principal["objectId"])
    return current


def with_owners(principal: Document, owners: list[str]) -> Document:
    return principal | {"servicePrincipal": principal.get("servicePrincipal", {}) | {"owners": owners}}


def application_of(graph: Graph, principal: Document) -> Document | None:
    return graph.replica.newest(APPLICATIONS, principal.get("applicationObjectId", ""))


def _all(graph: Graph, caller: Principal) -> list[Document]:
    return [
        principal
        for principal in graph.replica.all_replicated(PRINCIPALS)
        if principal["kind"] == "ServicePrincipal" and principal["tenantId"] == caller.tenant_id
    ]


class _ServicePrincipals:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._replica = graph.replica

    async def page(self, request: web.Request) -> web.Response:
        caller = await self._graph.require(request, *READ_APPLICATIONS)
        shown = [self._shown(principal, request) for principal in _all(self._graph, caller)]
        return query.collection(self._graph, request, "servicePrincipals", shown, _FILTERABLE)

    async def get(self, request: web.Request) -> web.Response:
        await self._graph.require(request, *READ_APPLICATIONS)
        shown = self._shown(find(self._graph, request), request)
        return self._graph.entity(request, "servicePrincipals", query.selected(request, shown))

    async def create(self, request: web.Request) -> web.Response:
        caller = await self._graph.require(request, WRITE_ALL_APPLICATIONS, WRITE_OWN_APPLICATIONS)
        body = await body_of(request)
        client_id = str(body.pop("appId", "")).lower()
        application = self._backing(caller, client_id)
        owners = bound_owners(self._graph, caller, body)
        for known in self._replica.all_newest(PRINCIPALS):
            if known.get("clientId") == client_id and known["tenantId"] == caller.tenant_id:
                raise GraphError(
                    409,
                    "Request_MultipleObjectsWithSameKeyValue",
                    "The service principal cannot be created, updated, or restored because the service principal name "
                    f"{client_id} is already in use.",
                )
        settings = {"createdDateTime": timestamp(datetime.now(UTC)), "owners": owners}
        principal = {
            "name": application["displayName"],
            "kind": "ServicePrincipal",
            "objectId": str(uuid.uuid4()),
            "tenantId": caller.tenant_id,
            "identity": False,
            "memberOf": [],
            "clientId": client_id,
            "applicationObjectId": application["id"],
            "servicePrincipal": settings | _settings(body),
        }
        self._replica.put(PRINCIPALS, principal["objectId"], principal, caller.object_id)
        return self._graph.entity(request, "servicePrincipals", self._shown(principal, request), status=201)

    async def update(self, request: web.Request) -> web.Response:
        seen = find(self._graph, request)
        caller = await self._graph.require_ownership(request, deleted.owners_of(seen))
        body = await body_of(request)
        principal = newest(self._graph, seen)
        shown = self._shown(principal, request)
        for name in _OF_THE_APPLICATION & body.keys():
            if body.pop(name) != shown[name]:
                raise bad_request(
                    f"Property {name} on the service principal does not match the application object.", target=name
                )
        settings = principal.get("servicePrincipal", {}) | _settings(body)
        changed = principal | {"servicePrincipal": settings}
        self._replica.put(PRINCIPALS, principal["objectId"], changed, caller.object_id)
        return web.Response(status=204)

    async def delete(self, request: web.Request) -> web.Response:
        seen = find(self._graph, request)
        caller = await self._graph.require_ownership(request, deleted.owners_of(seen))
        deleted.delete_service_principal(self._graph, newest(self._graph, seen), caller.object_id)
        return web.Response(status=204)

    def _backing(self, caller: Principal, client_id: str) -> Document:
        """The application of the new service principal, if every replica has it and the caller may use it."""
        application = next(
            (each for each in self._replica.all_replicated(APPLICATIONS) if each["appId"] == client_id), None
        )
        local = application is not None and application["_tenantId"] == caller.tenant_id
        if not self._graph.has(caller, WRITE_ALL_APPLICATIONS):
            if application is None or not local:
                raise GraphError(
                    403,
                    "Authorization_RequestDenied",
                    "When using this permission, the backing application of the service principal being created must "
                    "in the local tenant",
                )
            if caller.object_id not in application["_owners"]:
                raise denied()
        if application is None or not (local or application["signInAudience"] != "AzureADMyOrg"):
            raise bad_request(
                f"The appId '{client_id}' of the service principal does not reference a valid application object.",
                code="NoBackingApplicationObject",
            )
        return application

    def _shown(self, principal: Document, request: web.Request) -> Document:
        return shapes.service_principal(
            principal, application_of(self._graph, principal), request.match_info["version"]
        )


def _settings(body: dict[str, Any]) -> Document:
    given = {name: value for name, value in body.items() if "@" not in name}
    if unknown := given.keys() - shapes.SERVICE_PRINCIPAL_SETTINGS.keys():
        raise bad_request(
            f"Property '{min(unknown)}' does not exist on type 'microsoft.graph.servicePrincipal', or is not served."
        )
    for name, value in given.items():
        default = shapes.SERVICE_PRINCIPAL_SETTINGS[name]
        if isinstance(default, bool | list) and not isinstance(value, type(default)):
            raise invalid(name, f"{type(default).__name__} is expected.")
    return given
