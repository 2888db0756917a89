"""Users and groups, which are read here only: the control plane makes them."""

from aiohttp import web

from localazure.context import PRINCIPAL
from localazure.entra.directory import APPLICATIONS, PRINCIPALS
from localazure.graph import query, shapes
from localazure.graph.errors import not_found
from localazure.graph.service import ROOT, Graph
from localazure.store import Document

_READ_USERS = ("User.Read.All", "Directory.Read.All")
_READ_GROUPS = ("Group.Read.All", "Directory.Read.All")
_USERS_BY = frozenset(
    {"id", "userPrincipalName", "mail", "mailNickname", "displayName", "accountEnabled", "userType", "employeeId"}
)
_GROUPS_BY = frozenset({"id", "displayName", "mail", "mailNickname", "mailEnabled", "securityEnabled"})


def routes(graph: Graph) -> list[web.RouteDef]:
    service = _People(graph)
    return [
        web.get(f"{ROOT}/users", service.users),
        web.get(f"{ROOT}/users/{{id}}", service.user),
        web.get(f"{ROOT}/users/{{id}}/manager", service.manager),
        web.get(f"{ROOT}/users/{{id}}/memberOf", service.groups_of_user),
        web.get(f"{ROOT}/groups", service.groups),
        web.get(f"{ROOT}/groups/{{id}}", service.group),
        web.get(f"{ROOT}/groups/{{id}}/members", service.members),
        web.get(f"{ROOT}/groups/{{id}}/owners", service.owners),
    ]


class _People:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def users(self, request: web.Request) -> web.Response:
        await self._graph.require(request, *_READ_USERS)
        everything = [shapes.user(each) for each in self._all(request, "User")]
        return query.collection(self._graph, request, "users", everything, _USERS_BY, shapes.USER_BY_DEFAULT)

    async def user(self, request: web.Request) -> web.Response:
        await self._graph.require(request, *_READ_USERS)
        shown = query.selected(request, shapes.user(self._user(request)), shapes.USER_BY_DEFAULT)
        return self._graph.entity(request, "users", shown)

    async def manager(self, request: web.Request) -> web.Response:
        """Nobody has one."""
        await self._graph.require(request, *_READ_USERS)
        self._user(request)
        raise not_found("manager")

    async def groups_of_user(self, request: web.Request) -> web.Response:
        await self._graph.require(request, *_READ_USERS)
        groups = self._user(request)["memberOf"]
        return self._objects(request, [each for each in self._all(request, "Group") if each["objectId"] in groups])

    async def groups(self, request: web.Request) -> web.Response:
        await self._graph.require(request, *_READ_GROUPS)
        everything = [shapes.group(each) for each in self._all(request, "Group")]
        return query.collection(self._graph, request, "groups", everything, _GROUPS_BY)

    async def group(self, request: web.Request) -> web.Response:
        await self._graph.require(request, *_READ_GROUPS)
        shown = shapes.group(self._group(request))
        return self._graph.entity(request, "groups", query.selected(request, shown))

    async def members(self, request: web.Request) -> web.Response:
        await self._graph.require(request, *_READ_GROUPS)
        group = self._group(request)["objectId"]
        return self._objects(request, [each for each in self._all(request) if group in each["memberOf"]])

    async def owners(self, request: web.Request) -> web.Response:
        """No group has one."""
        await self._graph.require(request, *_READ_GROUPS)
        self._group(request)
        return self._objects(request, [])

    def _all(self, request: web.Request, kind: str | None = None) -> list[Document]:
        tenant_id = request[PRINCIPAL].tenant_id
        return [
            each
            for each in self._graph.replica.all_replicated(PRINCIPALS)
            if each["tenantId"] == tenant_id and kind in (None, each["kind"])
        ]

    def _user(self, request: web.Request) -> Document:
        """By object id or user principal name."""
        wanted = request.match_info["id"].lower()
        for user in self._all(request, "User"):
            if wanted in (user["objectId"], user["userPrincipalName"].lower()):
                return user
        raise not_found(request.match_info["id"])

    def _group(self, request: web.Request) -> Document:
        wanted = request.match_info["id"].lower()
        for group in self._all(request, "Group"):
            if group["objectId"] == wanted:
                return group
        raise not_found(request.match_info["id"])

    def _objects(self, request: web.Request, principals: list[Document]) -> web.Response:
        store, version = self._graph.context.store, request.match_info["version"]
        shown = [
            shapes.directory_object(each, store.get(APPLICATIONS, each.get("applicationObjectId", "")), version)
            for each in principals
        ]
        return query.collection(self._graph, request, "directoryObjects", shown)
