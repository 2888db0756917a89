"""The one subscription, its locations, its registered resource providers."""

from typing import Any

from aiohttp import web

from localazure import access
from localazure.arm.paths import SUBSCRIPTION, pattern, require_subscription, subscription_id
from localazure.context import PRINCIPAL, Context
from localazure.errors import AzureError

_LOCATIONS = {
    "westeurope": "West Europe",
    "northeurope": "North Europe",
    "germanywestcentral": "Germany West Central",
    "uksouth": "UK South",
    "eastus": "East US",
    "westus2": "West US 2",
}
_NAMESPACES = {
    "Microsoft.Authorization": ("roleAssignments", "roleDefinitions"),
    "Microsoft.Insights": ("diagnosticSettings",),
    "Microsoft.KeyVault": ("vaults", "deletedVaults"),
    "Microsoft.Network": ("privateEndpoints",),
    "Microsoft.Resources": ("resourceGroups",),
}


def routes(context: Context) -> list[web.RouteDef]:
    service = _Subscriptions(context)
    return [
        web.get(pattern("/subscriptions"), service.list),
        web.get(pattern(SUBSCRIPTION), service.get),
        web.get(pattern(f"{SUBSCRIPTION}/locations"), service.locations),
        web.get(pattern(f"{SUBSCRIPTION}/providers"), service.providers),
        web.get(pattern(f"{SUBSCRIPTION}/providers/{{namespace}}"), service.provider),
        web.post(pattern(f"{SUBSCRIPTION}/providers/{{namespace}}/register"), service.register),
    ]


class _Subscriptions:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def list(self, request: web.Request) -> web.Response:
        """Those that the caller may read: the one, or none."""
        visible = access.permits(
            self._context.store,
            request[PRINCIPAL],
            subscription_id(self._context),
            "Microsoft.Resources/subscriptions/read",
        )
        return web.json_response({"value": [self._document()] if visible else []})

    async def get(self, request: web.Request) -> web.Response:
        await self._context.authorize(
            request, require_subscription(self._context, request), "Microsoft.Resources/subscriptions/read"
        )
        return web.json_response(self._document())

    async def locations(self, request: web.Request) -> web.Response:
        scope = require_subscription(self._context, request)
        await self._context.authorize(request, scope, "Microsoft.Resources/subscriptions/locations/read")
        return web.json_response(
            {
                "value": [
                    {"id": f"{scope}/locations/{name}", "name": name, "type": "Region", "displayName": display}
                    for name, display in _LOCATIONS.items()
                ]
            }
        )

    async def providers(self, request: web.Request) -> web.Response:
        await self._read_providers(request)
        return web.json_response({"value": [self._provider(namespace) for namespace in _NAMESPACES]})

    async def provider(self, request: web.Request) -> web.Response:
        await self._read_providers(request)
        return web.json_response(self._provider(request.match_info["namespace"]))

    async def register(self, request: web.Request) -> web.Response:
        """Every provider is registered from the start; this only says so."""
        namespace = request.match_info["namespace"]
        await self._context.authorize(
            request, require_subscription(self._context, request), f"{namespace}/register/action"
        )
        return web.json_response(self._provider(namespace))

    async def _read_providers(self, request: web.Request) -> None:
        await self._context.authorize(
            request, require_subscription(self._context, request), "Microsoft.Resources/subscriptions/providers/read"
        )

    def _document(self) -> dict[str, Any]:
        return {
            "id": subscription_id(self._context),
            "subscriptionId": self._context.subscription_id,
            "tenantId": self._context.tenant_id,
            "displayName": "Local Azure",
            "state": "Enabled",
            "authorizationSource": "RoleBased",
            "subscriptionPolicies": {"spendingLimit": "On"},
        }

    def _provider(self, asked: str) -> dict[str, Any]:
        namespace = next((known for known in _NAMESPACES if known.lower() == asked.lower()), None)
        if namespace is None:
            raise AzureError(
                404, "InvalidResourceNamespace", f"The resource namespace '{asked}' is invalid in the local Azure."
            )
        return {
            "id": f"{subscription_id(self._context)}/providers/{namespace}",
            "namespace": namespace,
            "registrationState": "Registered",
            "registrationPolicy": "RegistrationRequired",
            "resourceTypes": [
                {"resourceType": name, "locations": list(_LOCATIONS.values()), "apiVersions": []}
                for name in _NAMESPACES[namespace]
            ],
        }
