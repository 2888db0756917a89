"""The data plane of Key Vault: certificates, keys and secrets, as the official SDKs ask for them.

Challenge, tokens, firewall, throttling and the request log are the business of the vault's application; roles are asked
for here, operation by operation. Nothing is held in memory between two requests: each reads the store, each write is
one transaction. Not served: contacts, issuers other than `Self` and `Unknown`, key import, encryption, wrapping.
"""

from collections.abc import Awaitable, Callable

from aiohttp import web

from localazure.context import Context
from localazure.errors import AzureError
from localazure.keyvault.certificates import Certificates
from localazure.keyvault.keys import Keys
from localazure.keyvault.secrets import Secrets
from localazure.vaults import Vault

API_VERSIONS = ("7.4", "7.5", "7.6", "2025-07-01", "2026-04-01")

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes(vault: Vault, context: Context) -> list[web.RouteDef]:
    """What one vault serves."""
    collections = (Certificates(vault, context), Keys(vault, context), Secrets(vault, context))
    return [
        web.RouteDef(route.method, route.path, _in_known_version(route.handler), route.kwargs)
        for collection in collections
        for route in collection.routes()
    ]


def _in_known_version(handler: _Handler) -> _Handler:
    async def checked(request: web.Request) -> web.StreamResponse:
        version = request.query.get("api-version", "")
        if version not in API_VERSIONS:
            raise AzureError(
                400,
                "BadParameter",
                f"The specified version ({version}) is not recognized. Consider using the latest supported version "
                f"({API_VERSIONS[-1]}).",
            )
        return await handler(request)

    return checked
