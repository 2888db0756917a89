"""Delegated permission grants: which scopes of a resource an application may have for all users, or for one."""

import secrets
from typing import Any

from aiohttp import web

from localazure.access import Principal
from localazure.context import PRINCIPAL
from localazure.entra.directory import PERMISSION_GRANTS, PRINCIPALS
from localazure.graph import query
from localazure.graph.errors import GraphError, bad_request, invalid, not_found
from localazure.graph.service import ROOT, Graph, body_of
from localazure.graph.service_principals import find as find_service_principal
from localazure.store import Document

_WRITE = "DelegatedPermissionGrant.ReadWrite.All"
_READ = (_WRITE, "Directory.Read.All")
_FILTERABLE = ("id", "clientId", "consentType", "principalId", "resourceId", "scope")
_PROPERTIES = frozenset({"clientId", "consentType", "principalId", "resourceId", "scope"})


def routes(graph: Graph) -> list[web.RouteDef]:
    service = _Grants(graph)
    root = f"{ROOT}/oauth2PermissionGrants"
    return [
        web.get(root, service.page),
        web.post(root, service.create),
        web.get(f"{root}/{{grant}}", service.get),
        web.patch(f"{root}/{{grant}}", service.update),
        web.delete(f"{root}/{{grant}}", service.delete),
        web.get(
            f"{ROOT}/servicePrincipals/{{id}}/oauth2PermissionGrants",
            service.page_of_client,
        ),
    ]


class _Grants:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._replica = graph.replica

    async def page(self, request: web.Request) -> web.Response:
        caller = await self._graph.require(request, *_READ)
        shown = [grant for grant in self._replica.all_replicated(PERMISSION_GRANTS) if self._is_local(grant, caller)]
        return query.collection(self._graph, request, "oauth2PermissionGrants", shown, _FILTERABLE)

    async def page_of_client(self, request: web.Request) -> web.Response:
        caller = await self._graph.require(request, *_READ)
        client = find_service_principal(self._graph, request)
        everything = self._replica.all_seen_by(caller.object_id, PERMISSION_GRANTS)
        shown = [grant for grant in everything if grant["clientId"] == client["objectId"]]
        return query.collection(self._graph, request, "oauth2PermissionGrants", shown, _FILTERABLE)

    async def get(self, request: web.Request) -> web.Response:
        await self._graph.require(request, *_READ)
        grant = self._find(request)
        return self._graph.entity(request, "oauth2PermissionGrants", query.selected(request, grant))

    async def create(self, request: web.Request) -> web.Response:
        caller = await self._graph.require(request, _WRITE)
        grant = self._checked(caller, _properties(await body_of(request)))
        told_apart = ("clientId", "resourceId", "consentType", "principalId")
        for known in self._replica.all_newest(PERMISSION_GRANTS):
            if all(known[name] == grant[name] for name in told_apart):
                raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", "Permission entry already exists.")
        self._replica.put(PERMISSION_GRANTS, grant["id"], grant, caller.object_id)
        return self._graph.entity(request, "oauth2PermissionGrants", grant, status=201)

    async def update(self, request: web.Request) -> web.Response:
        caller = await self._graph.require(request, _WRITE)
        grant = self._find_newest(request)
        changes = _properties(await body_of(request))
        for name in changes.keys() - {"scope"}:
            if changes[name] != grant[name]:
                raise bad_request(f"Property '{name}' is read-only and cannot be changed.", target=name)
        changed = grant | changes
        _check_scope(changed)
        self._replica.put(PERMISSION_GRANTS, grant["id"], changed, caller.object_id)
        return web.Response(status=204)

    async def delete(self, request: web.Request) -> web.Response:
        caller = await self._graph.require(request, _WRITE)
        self._replica.delete(PERMISSION_GRANTS, self._find_newest(request)["id"], caller.object_id)
        return web.Response(status=204)

    def _checked(self, caller: Principal, given: dict[str, Any]) -> Document:
        for name in ("clientId", "resourceId"):
            object_id = str(given.get(name) or "")
            if self._graph.principal(caller.tenant_id, object_id, "ServicePrincipal") is None:
                raise not_found(object_id)
        consent_type, principal_id = given.get("consentType"), given.get("principalId")
        if consent_type not in ("AllPrincipals", "Principal"):
            raise invalid("consentType", "must be AllPrincipals or Principal.")
        if (consent_type == "Principal") != bool(principal_id):
            raise invalid("principalId", "it goes with consentType Principal, and only with that.")
        if principal_id and self._graph.principal(caller.tenant_id, principal_id, "User") is None:
            raise not_found(principal_id)
        grant = {
            "id": secrets.token_urlsafe(32),
            "clientId": given["clientId"].lower(),
            "consentType": consent_type,
            "principalId": principal_id.lower() if principal_id else None,
            "resourceId": given["resourceId"].lower(),
            "scope": given.get("scope"),
        }
        _check_scope(grant)
        return grant

    def _find(self, request: web.Request) -> Document:
        caller = request[PRINCIPAL]
        found = self._replica.seen_by(caller.object_id, PERMISSION_GRANTS, request.match_info["grant"])
        if found is None or not self._is_local(found, caller):
            raise not_found(request.match_info["grant"])
        return found

    def _find_newest(self, request: web.Request) -> Document:
        current = self._replica.newest(PERMISSION_GRANTS, self._find(request)["id"])
        if current is None:
            raise not_found(request.match_info["grant"])
        return current

    def _is_local(self, grant: Document, caller: Principal) -> bool:
        client = self._graph.context.store.get(PRINCIPALS, grant["clientId"])
        return client is None or client["tenantId"] == caller.tenant_id


def _properties(body: dict[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in body.items() if "@" not in name and name != "id"}
    if unknown := given.keys() - _PROPERTIES:
        raise bad_request(f"Property '{min(unknown)}' does not exist on type 'microsoft.graph.oAuth2PermissionGrant'.")
    return given


def _check_scope(grant: Document) -> None:
    if not isinstance(grant["scope"], str):
        raise invalid("scope", "a string of scope values, separated by spaces, is expected.")
