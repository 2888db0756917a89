"""Applications. Who creates one owns it; a deleted one goes to the deleted items, with its service principal."""

import uuid
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from localazure.access import Principal
from localazure.context import PRINCIPAL
from localazure.entra.directory import APPLICATIONS, DOMAIN, PRINCIPALS
from localazure.graph import deleted, query, rules, shapes
from localazure.graph.errors import bad_request, not_found, not_served
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

_FILTERABLE = frozenset({"id", "appId", "displayName", "identifierUris", "signInAudience", "tags", "uniqueName"})


def routes(graph: Graph) -> list[web.RouteDef]:
    service = _Applications(graph)
    root = f"{ROOT}/applications"
    by_key = (f"{root}/{{id}}", f"{root}(appId='{{app_id}}')")
    return [
        web.get(root, service.page),
        web.post(root, service.create),
        *(web.get(path, service.get) for path in by_key),
        *(web.patch(path, service.update) for path in by_key),
        *(web.delete(path, service.delete) for path in by_key),
    ]


def find(graph: Graph, request: web.Request) -> Document:
    """The application that the path names, as the caller sees it; 404 if there is none.

    A new one is not there, for anyone, before every replica has it.
    """
    caller = request[PRINCIPAL]
    key = request.match_info.get("id", "").lower()
    if "app_id" in request.match_info:
        wanted = request.match_info["app_id"].lower()
        everything = graph.replica.all_replicated(APPLICATIONS)
        key = next((each["id"] for each in everything if each["appId"] == wanted), wanted)
    replicated = graph.replica.replicated(APPLICATIONS, key)
    seen = graph.replica.seen_by(caller.object_id, APPLICATIONS, key)
    if replicated is None or seen is None or seen["_tenantId"] != caller.tenant_id:
        raise not_found(key)
    return seen


def newest(graph: Graph, application: Document) -> Document:
    """The application as a write finds it; 404 if it is deleted by now."""
    current = graph.replica.newest(APPLICATIONS, application["id"])
    if current is None:
        raise not_found(application["id"])
    return current


class _Applications:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._replica = graph.replica

    async def page(self, request: web.Request) -> web.Response:
        caller = await self._graph.require(request, *READ_APPLICATIONS)
        shown = [
            self._shown(application, request)
            for application in self._replica.all_replicated(APPLICATIONS)
            if application["_tenantId"] == caller.tenant_id
        ]
        return query.collection(self._graph, request, "applications", shown, _FILTERABLE)

    async def get(self, request: web.Request) -> web.Response:
        await self._graph.require(request, *READ_APPLICATIONS)
        shown = self._shown(find(self._graph, request), request)
        return self._graph.entity(request, "applications", query.selected(request, shown))

    async def create(self, request: web.Request) -> web.Response:
        caller = await self._graph.require(request, WRITE_ALL_APPLICATIONS, WRITE_OWN_APPLICATIONS)
        body = await body_of(request)
        if body.get("passwordCredentials") or body.get("keyCredentials"):
            raise not_served("credentials in a new application; use addPassword")
        owners = bound_owners(self._graph, caller, body)
        blank = shapes.new_application() | {
            "id": str(uuid.uuid4()),
            "appId": str(uuid.uuid4()),
            "createdDateTime": timestamp(datetime.now(UTC)),
            "publisherDomain": DOMAIN,
            "_tenantId": caller.tenant_id,
            "_secrets": {},
            "_owners": owners,
            "_federatedIdentityCredentials": [],
        }
        application = self._changed(blank, body)
        rules.check(application)
        self._check_identifier_uris(application)
        self._replica.put(APPLICATIONS, application["id"], application, caller.object_id)
        return self._graph.entity(request, "applications", self._shown(application, request), status=201)

    async def update(self, request: web.Request) -> web.Response:
        application = find(self._graph, request)
        caller = await self._graph.require_ownership(request, application["_owners"])
        body = await body_of(request)
        current = newest(self._graph, application)
        changed = self._changed(current, body)
        rules.check(changed, current)
        self._check_identifier_uris(changed)
        with self._graph.context.store.transaction():
            self._replica.put(APPLICATIONS, changed["id"], changed, caller.object_id)
            if changed["displayName"] != current["displayName"]:
                self._rename_principals(changed, caller)
        return web.Response(status=204)

    async def delete(self, request: web.Request) -> web.Response:
        application = find(self._graph, request)
        caller = await self._graph.require_ownership(request, application["_owners"])
        deleted.delete_application(self._graph, newest(self._graph, application), caller.object_id)
        return web.Response(status=204)

    def _changed(self, application: Document, body: dict[str, Any]) -> Document:
        changes = {name: value for name, value in body.items() if name != "oauth2RequirePostResponse"}
        changed = rules.merged(application, changes)
        defaults = {"origin": "Application", "isEnabled": True}
        changed["appRoles"] = [defaults | role if isinstance(role, dict) else role for role in changed["appRoles"]]
        if "oauth2RequirePostResponse" in body:
            changed["_oauth2RequirePostResponse"] = bool(body["oauth2RequirePostResponse"])
        return changed

    def _rename_principals(self, application: Document, caller: Principal) -> None:
        for principal in self._replica.all_newest(PRINCIPALS):
            if principal.get("applicationObjectId") == application["id"]:
                renamed = principal | {"name": application["displayName"]}
                self._replica.put(PRINCIPALS, principal["objectId"], renamed, caller.object_id)

    def _check_identifier_uris(self, application: Document) -> None:
        taken = {
            uri
            for other in self._replica.all_newest(APPLICATIONS)
            if other["id"] != application["id"] and other["_tenantId"] == application["_tenantId"]
            for uri in other["identifierUris"]
        }
        if not taken.isdisjoint(application["identifierUris"]):
            raise bad_request(
                "Another object with the same value for property identifierUris already exists.",
                code="ObjectConflict",
                target="identifierUris",
            )

    def _shown(self, application: Document, request: web.Request) -> Document:
        """Credentials appear and disappear late, for their writer, too."""
        shown = shapes.application(application, request.match_info["version"])
        replicated = self._replica.replicated(APPLICATIONS, application["id"])
        credentials = [] if replicated is None else replicated["passwordCredentials"]
        return shown | {"passwordCredentials": credentials}
