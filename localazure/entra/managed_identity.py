"""A managed identity's token endpoint, by the protocol of App Service (IDENTITY_ENDPOINT, IDENTITY_HEADER).

Where Azure gives a machine its identity, here the header says which it is: it is the secret of the workload identity
that it stands for.
"""

from aiohttp import web

from localazure.context import ENTRY, Context
from localazure.entra import applications, credentials, directory, issuance
from localazure.entra.errors import Refusal
from localazure.entra.resources import require_role, resource


def routes(context: Context) -> list[web.RouteDef]:
    async def token(request: web.Request) -> web.Response:
        """`client_id`, when given, must be that identity's."""
        header = request.headers.get("X-IDENTITY-HEADER", "")
        known = directory.principals(context.store, context.tenant_id)
        principal = next((each for each in known if credentials.is_secret_of(each, header)), None)
        wanted = request.query.get("client_id")
        if principal is None or (wanted is not None and wanted.lower() != principal["clientId"]):
            return _refused("No managed identity has this X-IDENTITY-HEADER.")
        client = applications.Application(principal, {})
        try:
            asked = resource(context, context.tenant_id, request.query.get("resource", ""))
            require_role(context.store, client, asked)
        except Refusal as refusal:
            return _refused(f"AADSTS{refusal.code}: {refusal}")
        request[ENTRY].principal = principal["name"]
        answer = issuance.application_token(context, context.tenant_id, client, asked, proof=credentials.BY_ASSERTION)
        return web.json_response(
            {
                "access_token": answer["access_token"],
                "expires_on": str(int(context.clock()) + answer["expires_in"]),
                "resource": asked.spelling,
                "token_type": "Bearer",
                "client_id": client.client_id,
            }
        )

    return [web.get("/managed-identity/token", token)]


def _refused(message: str) -> web.Response:
    return web.json_response({"statusCode": 400, "message": message}, status=400)
