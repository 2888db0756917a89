"""Deletion is soft: the deleted items of a tenant, which can be restored or deleted for good.

What hangs on a service principal, its assignments and grants, goes with it and is not restored.
"""

from datetime import UTC, datetime

from aiohttp import web

from localazure.context import PRINCIPAL
from localazure.entra.directory import APP_ROLE_ASSIGNMENTS, APPLICATIONS, PERMISSION_GRANTS, PRINCIPALS
from localazure.graph import query, shapes
from localazure.graph.errors import not_found
from localazure.graph.service import READ_APPLICATIONS, ROOT, Graph
from localazure.store import Document
from localazure.vaults import timestamp

DELETED_ITEMS = "deleted-items"
_TYPES = {APPLICATIONS: "application", PRINCIPALS: "servicePrincipal"}


def delete_application(graph: Graph, application: Document, writer: str) -> None:
    """Move the application, and its service principal with it, to the deleted items."""
    with graph.context.store.transaction():
        for principal in graph.replica.all_newest(PRINCIPALS):
            if principal.get("applicationObjectId") == application["id"]:
                delete_service_principal(graph, principal, writer)
        _keep(graph, APPLICATIONS, application["id"], application["_tenantId"], application)
        graph.replica.delete(APPLICATIONS, application["id"], writer)


def delete_service_principal(graph: Graph, principal: Document, writer: str) -> None:
    """Move the service principal to the deleted items, without its assignments and grants."""
    object_id, replica = principal["objectId"], graph.replica
    with graph.context.store.transaction():
        for assignment in replica.all_newest(APP_ROLE_ASSIGNMENTS):
            if object_id in (assignment["resourceId"], assignment["principalId"]):
                replica.delete(APP_ROLE_ASSIGNMENTS, f"{assignment['resourceId']}/{assignment['id']}", writer)
        for grant in replica.all_newest(PERMISSION_GRANTS):
            if object_id in (grant["resourceId"], grant["clientId"]):
                replica.delete(PERMISSION_GRANTS, grant["id"], writer)
        _keep(graph, PRINCIPALS, object_id, principal["tenantId"], principal)
        replica.delete(PRINCIPALS, object_id, writer)


def _keep(graph: Graph, kind: str, key: str, tenant_id: str, document: Document) -> None:
    item = {
        "kind": kind,
        "tenantId": tenant_id,
        "deletedDateTime": timestamp(datetime.now(UTC)),
        "document": document,
    }
    graph.context.store.put(DELETED_ITEMS, key, item)


def routes(graph: Graph) -> list[web.RouteDef]:
    service = _DeletedItems(graph)
    root = f"{ROOT}/directory/deletedItems"
    return [
        web.get(f"{root}/{{_:(microsoft[.])?graph}}.{{type:application|servicePrincipal}}", service.page),
        web.get(f"{root}/{{id}}", service.get),
        web.delete(f"{root}/{{id}}", service.purge),
        web.post(f"{root}/{{id}}/restore", service.restore),
    ]


class _DeletedItems:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._store = graph.context.store

    async def page(self, request: web.Request) -> web.Response:
        caller = await self._graph.require(request, *READ_APPLICATIONS)
        shown = [
            self._shown(item, request)
            for _, item in self._store.items(DELETED_ITEMS)
            if item["tenantId"] == caller.tenant_id and _TYPES[item["kind"]] == request.match_info["type"]
        ]
        filterable = ("id", "appId", "displayName")
        return query.collection(self._graph, request, "directoryObjects", shown, filterable)

    async def get(self, request: web.Request) -> web.Response:
        await self._graph.require(request, *READ_APPLICATIONS)
        return self._graph.entity(request, "directoryObjects", self._shown(self._find(request), request))

    async def purge(self, request: web.Request) -> web.Response:
        item = await self._owned(request)
        self._store.delete(DELETED_ITEMS, _key(item))
        return web.Response(status=204)

    async def restore(self, request: web.Request) -> web.Response:
        item = await self._owned(request)
        with self._store.transaction():
            self._graph.replica.put(item["kind"], _key(item), item["document"], request[PRINCIPAL].object_id)
            self._store.delete(DELETED_ITEMS, _key(item))
        shown = self._shown(item, request) | {"deletedDateTime": None}
        return self._graph.entity(request, "directoryObjects", shown)

    async def _owned(self, request: web.Request) -> Document:
        document = self._find(request)["document"]
        owners = document["_owners"] if "_owners" in document else owners_of(document)
        await self._graph.require_ownership(request, owners)
        return self._find(request)

    def _find(self, request: web.Request) -> Document:
        object_id = request.match_info["id"].lower()
        item = self._store.get(DELETED_ITEMS, object_id)
        if item is None or item["tenantId"] != request[PRINCIPAL].tenant_id:
            raise not_found(object_id)
        return item

    def _shown(self, item: Document, request: web.Request) -> Document:
        document, version = item["document"], request.match_info["version"]
        if item["kind"] == APPLICATIONS:
            shown = shapes.application(document, version)
        else:
            backing = self._store.get(APPLICATIONS, document.get("applicationObjectId", ""))
            shown = shapes.service_principal(document, backing, version)
        annotation = f"#microsoft.graph.{_TYPES[item['kind']]}"
        return {"@odata.type": annotation, **shown, "deletedDateTime": item["deletedDateTime"]}


def owners_of(service_principal: Document) -> list[str]:
    owners: list[str] = service_principal.get("servicePrincipal", {}).get("owners", [])
    return owners


def _key(item: Document) -> str:
    document = item["document"]
    return str(document["id"] if item["kind"] == APPLICATIONS else document["objectId"])
