"""App role assignments: that a user, a group or a service principal has a role of an application.

They are kept by the resource that has the role, and served from both ends.
"""

import secrets
from datetime import UTC, datetime

from aiohttp import web

from localazure.access import Principal
from localazure.context import PRINCIPAL
from localazure.entra.directory import APP_ROLE_ASSIGNMENTS, PRINCIPALS, Kind
from localazure.graph import query
from localazure.graph.errors import bad_request, denied, not_found
from localazure.graph.service import ROOT, Graph, body_of
from localazure.graph.service_principals import application_of
from localazure.store import Document
from localazure.vaults import timestamp

_READ = ("Application.Read.All", "Directory.Read.All", "AppRoleAssignment.ReadWrite.All")
_WRITE = "AppRoleAssignment.ReadWrite.All"
_READ_BESIDES = ("Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All")
"""To write one, some permission to read applications is needed as well (microsoftgraph/microsoft-graph-docs 12833)."""
_DEFAULT_ACCESS = "00000000-0000-0000-0000-000000000000"
_KINDS: dict[str, Kind] = {"servicePrincipals": "ServicePrincipal", "users": "User", "groups": "Group"}


def routes(graph: Graph) -> list[web.RouteDef]:
    service = _Assignments(graph)
    assigned_to = f"{ROOT}/{{end:servicePrincipals}}/{{id}}/{{relation:appRoleAssignedTo}}"
    assigned = f"{ROOT}/{{end:servicePrincipals|users|groups}}/{{id}}/{{relation:appRoleAssignments}}"
    return [
        route
        for collection in (assigned_to, assigned)
        for route in (
            web.get(collection, service.page),
            web.post(collection, service.create),
            web.get(f"{collection}/{{assignment}}", service.get),
            web.delete(f"{collection}/{{assignment}}", service.delete),
        )
    ]


class _Assignments:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._replica = graph.replica

    async def page(self, request: web.Request) -> web.Response:
        await self._graph.require(request, *_READ)
        filterable = ("resourceId", "principalId", "appRoleId", "principalDisplayName")
        return query.collection(self._graph, request, "appRoleAssignments", self._seen(request), filterable)

    async def get(self, request: web.Request) -> web.Response:
        await self._graph.require(request, *_READ)
        assignment = self._find(request)
        return self._graph.entity(request, "appRoleAssignments", query.selected(request, assignment))

    async def create(self, request: web.Request) -> web.Response:
        caller = await self._writer(request)
        end = self._end(request)
        body = await body_of(request)
        principal_id, resource_id, role_id = (
            str(body.get(name) or "").lower() for name in ("principalId", "resourceId", "appRoleId")
        )
        if end["objectId"] != (resource_id if _from_resource(request) else principal_id):
            raise bad_request("The object of the request is neither the principal nor the resource of the assignment.")
        resource = self._graph.principal(caller.tenant_id, resource_id, "ServicePrincipal")
        principal = self._graph.principal(caller.tenant_id, principal_id)
        if resource is None or principal is None:
            raise not_found(resource_id if resource is None else principal_id)
        self._check_role(resource, principal, role_id)
        for known in self._replica.all_newest(APP_ROLE_ASSIGNMENTS, f"{resource_id}/"):
            if (known["principalId"], known["appRoleId"]) == (principal_id, role_id):
                raise bad_request("Permission being assigned already exists on the object")
        assignment = {
            "id": secrets.token_urlsafe(32),
            "deletedDateTime": None,
            "appRoleId": role_id,
            "createdDateTime": timestamp(datetime.now(UTC)),
            "principalDisplayName": principal.get("displayName", principal["name"]),
            "principalId": principal_id,
            "principalType": principal["kind"],
            "resourceDisplayName": resource["name"],
            "resourceId": resource_id,
        }
        self._replica.put(APP_ROLE_ASSIGNMENTS, f"{resource_id}/{assignment['id']}", assignment, caller.object_id)
        return self._graph.entity(request, "appRoleAssignments", assignment, status=201)

    async def delete(self, request: web.Request) -> web.Response:
        caller = await self._writer(request)
        assignment = self._find(request)
        key = f"{assignment['resourceId']}/{assignment['id']}"
        if self._replica.newest(APP_ROLE_ASSIGNMENTS, key) is None:
            raise bad_request("EntitlementGrant being updated or deleted is not found.")
        self._replica.delete(APP_ROLE_ASSIGNMENTS, key, caller.object_id)
        return web.Response(status=204)

    async def _writer(self, request: web.Request) -> Principal:
        if not self._graph.has(request[PRINCIPAL], *_READ_BESIDES):
            raise denied()
        return await self._graph.require(request, _WRITE)

    def _check_role(self, resource: Document, principal: Document, role_id: str) -> None:
        application = application_of(self._graph, resource)
        if role_id == _DEFAULT_ACCESS:
            return
        roles = application["appRoles"] if application else []
        member = "Application" if principal["kind"] == "ServicePrincipal" else "User"
        role = next((each for each in roles if each["id"].lower() == role_id), None)
        if role is None or not role.get("isEnabled", True) or member not in role["allowedMemberTypes"]:
            raise bad_request(
                f"Permission being assigned was not found on application '{resource['clientId']}'", target="appRoleId"
            )

    def _end(self, request: web.Request) -> Document:
        caller, object_id = request[PRINCIPAL], request.match_info["id"].lower()
        found = self._replica.seen_by(caller.object_id, PRINCIPALS, object_id)
        kind = _KINDS[request.match_info["end"]]
        if found is None or found["kind"] != kind or found["tenantId"] != caller.tenant_id:
            raise not_found(object_id)
        return found

    def _seen(self, request: web.Request) -> list[Document]:
        """The assignments at this end; of a user, those of its groups too."""
        reader, end = request[PRINCIPAL].object_id, self._end(request)
        if _from_resource(request):
            return self._replica.all_seen_by(reader, APP_ROLE_ASSIGNMENTS, f"{end['objectId']}/")
        holders = {end["objectId"], *(end["memberOf"] if end["kind"] == "User" else ())}
        everything = self._replica.all_seen_by(reader, APP_ROLE_ASSIGNMENTS)
        return [each for each in everything if each["principalId"] in holders]

    def _find(self, request: web.Request) -> Document:
        wanted = request.match_info["assignment"]
        for assignment in self._seen(request):
            if assignment["id"] == wanted:
                return assignment
        raise not_found(wanted)


def _from_resource(request: web.Request) -> bool:
    return request.match_info["relation"] == "appRoleAssignedTo"
