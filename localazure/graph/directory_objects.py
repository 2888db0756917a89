"""Directory objects of whatever type: one by id, or several at once."""

from aiohttp import web

from localazure.access import Principal
from localazure.entra.directory import APPLICATIONS
from localazure.graph import shapes
from localazure.graph.errors import bad_request, invalid, not_found
from localazure.graph.service import ROOT, Graph, body_of
from localazure.store import Document

_READ = ("Directory.Read.All",)
_MOST_IDS = 1000


def routes(graph: Graph) -> list[web.RouteDef]:
    service = _DirectoryObjects(graph)
    root = f"{ROOT}/directoryObjects"
    return [
        web.post(f"{root}/getByIds", service.get_by_ids),
        web.get(f"{root}/{{id}}", service.get),
    ]


class _DirectoryObjects:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def get(self, request: web.Request) -> web.Response:
        caller = await self._graph.require(request, *_READ)
        shown = self._shown(caller, request.match_info["id"].lower(), request)
        if shown is None:
            raise not_found(request.match_info["id"])
        return self._graph.entity(request, "directoryObjects", shown)

    async def get_by_ids(self, request: web.Request) -> web.Response:
        """Those that exist, in the order of the ids; `types` leaves out the others."""
        caller = await self._graph.require(request, *_READ)
        body = await body_of(request)
        ids, types = body.get("ids"), body.get("types") or ["directoryObject"]
        if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids) or not isinstance(types, list):
            raise invalid("ids", "a collection of object ids is expected.")
        if len(ids) > _MOST_IDS:
            raise bad_request(f"Too many ids: {_MOST_IDS} at most.")
        found = [self._shown(caller, object_id.lower(), request) for object_id in ids]
        wanted = {f"#microsoft.graph.{name}" for name in types}
        return web.json_response(
            {
                "@odata.context": f"{self._graph.version_base(request)}/$metadata#directoryObjects",
                "value": [
                    each
                    for each in found
                    if each is not None and ("directoryObject" in types or each["@odata.type"] in wanted)
                ],
            }
        )

    def _shown(self, caller: Principal, object_id: str, request: web.Request) -> Document | None:
        version, replica = request.match_info["version"], self._graph.replica
        principal = self._graph.principal(caller.tenant_id, object_id)
        if principal is not None:
            application = replica.newest(APPLICATIONS, principal.get("applicationObjectId", ""))
            return shapes.directory_object(principal, application, version)
        application = replica.replicated(APPLICATIONS, object_id)
        if application is None or application["_tenantId"] != caller.tenant_id:
            return None
        return {"@odata.type": "#microsoft.graph.application", **shapes.application(application, version)}
