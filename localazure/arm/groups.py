"""Resource groups. Deleting one deletes what is in it: vaults become soft-deleted, role assignments and documents
go.
"""

import re
from typing import Any

from aiohttp import web

from localazure.access import ROLE_ASSIGNMENTS, covers
from localazure.arm import operations
from localazure.arm.paths import GROUP, SUBSCRIPTION, group_id, location_name, pattern, require_subscription
from localazure.context import Context, json_object
from localazure.errors import AzureError
from localazure.store import Document
from localazure.vaults import VAULTS, Vault

RESOURCE_GROUPS = "resourceGroups"
DOCUMENTS = "documents"

_NAME = re.compile(r"[\w().-]{0,89}[\w()-]")
_TYPE = "Microsoft.Resources/subscriptions/resourceGroups"


def require_group(context: Context, name: str) -> Document:
    group = context.store.get(RESOURCE_GROUPS, name.lower())
    if group is None:
        raise AzureError(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.")
    return group


def drop_assignments(context: Context, scope: str) -> None:
    """Delete the role assignments at the scope and below, as the deletion of what it names does."""
    for key, assignment in context.store.items(ROLE_ASSIGNMENTS):
        if covers(scope, assignment["scope"]):
            context.store.delete(ROLE_ASSIGNMENTS, key)


def routes(context: Context) -> list[web.RouteDef]:
    service = _Groups(context)
    group = pattern(GROUP)
    return [
        web.get(pattern(f"{SUBSCRIPTION}/resourceGroups"), service.list),
        web.get(group, service.get, allow_head=False),
        web.head(group, service.exists),
        web.put(group, service.put),
        web.patch(group, service.patch),
        web.delete(group, service.delete),
        web.get(pattern(f"{GROUP}/resources"), service.group_resources),
        web.get(pattern(f"{SUBSCRIPTION}/resources"), service.subscription_resources),
    ]


class _Groups:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def list(self, request: web.Request) -> web.Response:
        scope = require_subscription(self._context, request)
        await self._context.authorize(request, scope, f"{_TYPE}/read")
        return web.json_response({"value": [group for _, group in self._context.store.items(RESOURCE_GROUPS)]})

    async def get(self, request: web.Request) -> web.Response:
        name = await self._authorized(request, "read")
        return web.json_response(require_group(self._context, name))

    async def exists(self, request: web.Request) -> web.Response:
        name = await self._authorized(request, "read")
        return web.Response(status=204 if self._context.store.get(RESOURCE_GROUPS, name.lower()) else 404)

    async def put(self, request: web.Request) -> web.Response:
        name = await self._authorized(request, "write")
        body = await json_object(request)
        if not _NAME.fullmatch(name):
            raise AzureError(
                400,
                "InvalidResourceGroup",
                f"The resource group name '{name}' is invalid: up to 90 letters, digits, '_', '-', '.', '(' and ')', "
                "and no '.' at the end.",
            )
        location = location_name(body.get("location"))
        known = self._context.store.get(RESOURCE_GROUPS, name.lower())
        if known is not None and known["location"] != location:
            raise AzureError(
                409,
                "InvalidResourceGroupLocation",
                f"Invalid resource group location '{location}'. The Resource group already exists in location "
                f"'{known['location']}'.",
            )
        group = {
            "id": known["id"] if known else group_id(self._context, name),
            "name": known["name"] if known else name,
            "type": "Microsoft.Resources/resourceGroups",
            "location": location,
            "tags": body.get("tags") or {},
            "properties": {"provisioningState": "Succeeded"},
        }
        self._context.store.put(RESOURCE_GROUPS, name.lower(), group)
        return web.json_response(group, status=200 if known else 201)

    async def patch(self, request: web.Request) -> web.Response:
        name = await self._authorized(request, "write")
        body = await json_object(request)
        group = require_group(self._context, name)
        if body.get("tags") is not None:
            group["tags"] = body["tags"]
        self._context.store.put(RESOURCE_GROUPS, name.lower(), group)
        return web.json_response(group)

    async def delete(self, request: web.Request) -> web.Response:
        name = await self._authorized(request, "delete")
        context = self._context
        group = require_group(context, name)
        vaults = [
            Vault(key, context.store) for key, vault in context.store.items(VAULTS) if covers(group["id"], vault["id"])
        ]
        with context.store.transaction():
            for vault in vaults:
                vault.soft_delete(context.clock())
            for key, document in context.store.items(DOCUMENTS):
                if covers(group["id"], document["id"]):
                    context.store.delete(DOCUMENTS, key)
            drop_assignments(context, group["id"])
            context.store.delete(RESOURCE_GROUPS, name.lower())
        for vault in vaults:
            await context.close_vault(vault)
        return operations.accepted(context, request)

    async def group_resources(self, request: web.Request) -> web.Response:
        name = await self._authorized(request, "resources/read")
        return self._resources(require_group(self._context, name)["id"], request)

    async def subscription_resources(self, request: web.Request) -> web.Response:
        scope = require_subscription(self._context, request)
        await self._context.authorize(request, scope, "Microsoft.Resources/subscriptions/resources/read")
        return self._resources(scope, request)

    def _resources(self, scope: str, request: web.Request) -> web.Response:
        wanted = re.fullmatch(r"resourceType eq '([^']+)'", request.query.get("$filter", ""))
        if "$filter" in request.query and wanted is None:
            raise AzureError(
                501, "NotImplemented", "The local Azure filters resources by resourceType eq '…' and nothing else."
            )
        resources: list[dict[str, Any]] = [
            {key: resource.get(key) for key in ("id", "name", "type", "location", "tags")}
            for kind in (VAULTS, DOCUMENTS)
            for _, resource in self._context.store.items(kind)
            if covers(scope, resource["id"])
            and "location" in resource
            and (wanted is None or wanted[1].lower() == resource["type"].lower())
        ]
        return web.json_response({"value": resources})

    async def _authorized(self, request: web.Request, action: str) -> str:
        require_subscription(self._context, request)
        name = request.match_info["group"]
        await self._context.authorize(request, group_id(self._context, name), f"{_TYPE}/{action}")
        return name
