"""Resources that are only kept and given back: diagnostic settings on anything, and private endpoints."""

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from localazure.arm.groups import DOCUMENTS, require_group
from localazure.arm.paths import GROUP, location_name, pattern, require_subscription
from localazure.context import Context, json_object
from localazure.errors import AzureError


@dataclass(frozen=True, slots=True)
class _Kind:
    type: str
    collection: str
    """Path of the collection, as a template."""
    regional: bool
    computed: dict[str, Any]
    """Properties that ARM adds."""


_KINDS = (
    _Kind(
        "Microsoft.Insights/diagnosticSettings",
        "{scope...}/providers/Microsoft.Insights/diagnosticSettings",
        regional=False,
        computed={},
    ),
    _Kind(
        "Microsoft.Network/privateEndpoints",
        f"{GROUP}/providers/Microsoft.Network/privateEndpoints",
        regional=True,
        computed={"provisioningState": "Succeeded", "networkInterfaces": [], "customDnsConfigs": []},
    ),
)


def routes(context: Context) -> list[web.RouteDef]:
    found: list[web.RouteDef] = []
    for kind in _KINDS:
        service = _Documents(context, kind)
        document = pattern(f"{kind.collection}/{{name}}")
        found += [
            web.get(pattern(kind.collection), service.list),
            web.get(document, service.get),
            web.put(document, service.put),
            web.delete(document, service.delete),
        ]
    return found


class _Documents:
    def __init__(self, context: Context, kind: _Kind) -> None:
        self._context = context
        self._store = context.store
        self._kind = kind

    async def list(self, request: web.Request) -> web.Response:
        prefix = f"{request.path.rstrip('/')}/"
        await self._authorize(request, prefix, "read")
        return web.json_response({"value": [document for _, document in self._store.items(DOCUMENTS, prefix.lower())]})

    async def get(self, request: web.Request) -> web.Response:
        await self._authorize(request, request.path, "read")
        document = self._store.get(DOCUMENTS, request.path.lower())
        if document is None:
            raise AzureError(404, "ResourceNotFound", f"The Resource '{request.path}' was not found.")
        return web.json_response(document)

    async def put(self, request: web.Request) -> web.Response:
        await self._authorize(request, request.path, "write")
        body = await json_object(request)
        known = self._store.get(DOCUMENTS, request.path.lower())
        document = {
            "id": known["id"] if known else request.path,
            "name": request.match_info["name"],
            "type": self._kind.type,
            "properties": (body.get("properties") or {}) | self._kind.computed,
        }
        if self._kind.regional:
            require_group(self._context, request.match_info["group"])
            document |= {"location": location_name(body.get("location")), "tags": body.get("tags") or {}}
        self._store.put(DOCUMENTS, request.path.lower(), document)
        return web.json_response(document, status=201 if self._kind.regional and known is None else 200)

    async def delete(self, request: web.Request) -> web.Response:
        await self._authorize(request, request.path, "delete")
        return web.Response(status=200 if self._store.delete(DOCUMENTS, request.path.lower()) else 204)

    async def _authorize(self, request: web.Request, scope: str, action: str) -> None:
        if "subscription" in request.match_info:
            require_subscription(self._context, request)
        await self._context.authorize(request, scope, f"{self._kind.type}/{action}")
