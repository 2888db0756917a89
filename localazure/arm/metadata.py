"""What a client asks first when it is told a metadata host: which endpoints and audiences this cloud has.

The audience is this process's own address, not Azure's: a client that assumes the public cloud's is refused here as it
would be in a sovereign cloud.
"""

from aiohttp import web

from localazure.context import VAULT_AUDIENCE, Context
from localazure.errors import AzureError


def audiences(context: Context) -> tuple[str, ...]:
    """The audiences of tokens for ARM."""
    return (f"{context.origin}/",)


def graph_audience(context: Context) -> str:
    """The audience of tokens for Microsoft Graph, which clients also ask for to learn who they are."""
    return f"{context.origin}/graph/"


def routes(context: Context) -> list[web.RouteDef]:
    async def endpoints(request: web.Request) -> web.Response:
        if request.query.get("api-version") != "2022-09-01":
            raise AzureError(
                400, "InvalidApiVersionParameter", "The metadata endpoint is served in api-version 2022-09-01 only."
            )
        origin = context.origin
        return web.json_response(
            {
                "name": "LocalAzure",
                "portal": origin,
                "authentication": {
                    "loginEndpoint": origin,
                    "audiences": list(audiences(context)),
                    "tenant": "common",
                    "identityProvider": "AAD",
                },
                "graphAudience": origin,
                "resourceManager": f"{origin}/",
                "microsoftGraphResourceId": graph_audience(context),
                "suffixes": {
                    "keyVaultDns": VAULT_AUDIENCE.removeprefix("https://"),
                    "storage": "storage.invalid",
                    "sqlServerHostname": "sql.invalid",
                    "acrLoginServer": "acr.invalid",
                },
            }
        )

    return [web.get("/metadata/endpoints", endpoints)]
