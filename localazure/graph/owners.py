"""Owners of applications and of service principals: users and service principals that may change them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from localazure.access import Principal
from localazure.context import PRINCIPAL
from localazure.entra.directory import APPLICATIONS, PRINCIPALS
from localazure.graph import query, shapes
from localazure.graph.errors import bad_request, not_found
from localazure.graph.service import READ_APPLICATIONS, ROOT, Graph, body_of, object_id_in, referenced
from localazure.store import Document


@dataclass(frozen=True, slots=True)
class Owned:
    """A kind of object that has owners."""

    collection: str
    kind: str
    find: Callable[[Graph, web.Request], Document]
    """The object that the path names, as the caller sees it."""
    newest: Callable[[Graph, Document], Document]
    key: str
    owners: Callable[[Document], list[str]]
    with_owners: Callable[[Document, list[str]], Document]


def routes(graph: Graph, owned: Owned) -> list[web.RouteDef]:
    service = _Owners(graph, owned)
    root = f"{ROOT}/{owned.collection}/{{id}}/owners"
    return [
        web.get(root, service.page),
        web.post(f"{root}/$ref", service.add),
        web.delete(f"{root}/{{owner}}/$ref", service.remove),
    ]


def bound_owners(graph: Graph, caller: Principal, body: dict[str, Any]) -> list[str]:
    """The owners of an object that the caller creates: itself, and those that the body binds."""
    bound = body.pop("owners@odata.bind", None) or []
    named = [object_id_in(reference) for reference in bound]
    for owner in named:
        _check_owner(graph, caller, owner)
    return list(dict.fromkeys([caller.object_id, *named]))


def _check_owner(graph: Graph, caller: Principal, object_id: str) -> None:
    owner = graph.principal(caller.tenant_id, object_id)
    if owner is None:
        raise not_found(object_id)
    if owner["kind"] == "Group":
        raise bad_request(
            f"The reference target 'Group_{object_id}' of type 'Group' is invalid for the 'owners' reference."
        )


class _Owners:
    def __init__(self, graph: Graph, owned: Owned) -> None:
        self._graph = graph
        self._owned = owned

    async def page(self, request: web.Request) -> web.Response:
        await self._graph.require(request, *READ_APPLICATIONS)
        document = self._owned.find(self._graph, request)
        shown = []
        for object_id in self._owned.owners(document):
            owner = self._graph.replica.newest(PRINCIPALS, object_id)
            if owner is not None:
                application = self._graph.replica.newest(APPLICATIONS, owner.get("applicationObjectId", ""))
                shown.append(shapes.directory_object(owner, application, request.match_info["version"]))
        return query.collection(self._graph, request, "directoryObjects", shown)

    async def add(self, request: web.Request) -> web.Response:
        caller, document = await self._writable(request)
        owner = referenced(await body_of(request))
        _check_owner(self._graph, caller, owner)
        owners = self._owned.owners(document)
        if owner in owners:
            raise bad_request(
                "One or more added object references already exist for the following modified properties: 'owners'."
            )
        return self._put(caller, document, [*owners, owner])

    async def remove(self, request: web.Request) -> web.Response:
        caller, document = await self._writable(request)
        owner, owners = request.match_info["owner"].lower(), self._owned.owners(document)
        if owner not in owners:
            raise not_found(owner)
        return self._put(caller, document, [each for each in owners if each != owner])

    async def _writable(self, request: web.Request) -> tuple[Principal, Document]:
        seen = self._owned.find(self._graph, request)
        await self._graph.require_ownership(request, self._owned.owners(seen))
        return request[PRINCIPAL], self._owned.newest(self._graph, seen)

    def _put(self, caller: Principal, document: Document, owners: list[str]) -> web.Response:
        changed = self._owned.with_owners(document, owners)
        self._graph.replica.put(self._owned.kind, document[self._owned.key], changed, caller.object_id)
        return web.Response(status=204)
