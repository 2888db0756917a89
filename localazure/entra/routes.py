"""Entra's endpoints, all of them: discovery and keys, sign-in and sign-out of people, tokens."""

from aiohttp import web

from localazure.context import Context
from localazure.entra import discovery, managed_identity, sessions, sign_in, token_endpoint


def routes(context: Context) -> list[web.RouteDef]:
    return [
        *discovery.routes(context),
        *managed_identity.routes(context),
        *sign_in.routes(context),
        *sessions.routes(context),
        *token_endpoint.routes(context),
    ]
