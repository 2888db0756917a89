"""What clients ask before they ask for anything: endpoints, signing keys, whose user name it is; and userinfo."""

from aiohttp import web

from localazure import arm
from localazure.context import Context
from localazure.entra import applications, claims, directory, firstparty
from localazure.entra.callers import tenant_id
from localazure.entra.errors import Refusal
from localazure.entra.tokens import TokenRefused


def routes(context: Context) -> list[web.RouteDef]:
    discovery = _Discovery(context)
    return [
        web.get("/common/discovery/instance", discovery.instance),
        web.get("/common/userrealm/{login}", discovery.realm),
        web.get("/{tenant}/v2.0/.well-known/openid-configuration", discovery.configuration),
        web.get("/{tenant}/discovery/v2.0/keys", discovery.keys),
        web.get("/oidc/userinfo", discovery.user_info),
    ]


class _Discovery:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def instance(self, request: web.Request) -> web.Response:
        context = self._context
        host = context.origin.removeprefix("https://")
        return web.json_response(
            {
                "tenant_discovery_endpoint": f"{context.tokens.issuer(context.tenant_id, 2)}"
                "/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
            }
        )

    async def realm(self, request: web.Request) -> web.Response:
        """Where MSAL would take a password to: nobody here is federated."""
        login = request.match_info["login"]
        person = applications.person_by_login(self._context.store, login)
        return web.json_response(
            {
                "ver": "1.0",
                "account_type": "Unknown" if person is None else "Managed",
                "domain_name": login.rpartition("@")[2],
                "cloud_instance_name": self._context.origin.removeprefix("https://"),
            }
        )

    async def configuration(self, request: web.Request) -> web.Response:
        context = self._context
        try:
            tenant_name = tenant_id(context, request.match_info["tenant"])
        except Refusal as refusal:
            return web.json_response(refusal.body(context.origin), status=refusal.status)
        tenant = f"{context.origin}/{tenant_name}"
        return web.json_response(
            {
                "issuer": context.tokens.issuer(tenant_name, 2),
                "authorization_endpoint": f"{tenant}/oauth2/v2.0/authorize",
                "token_endpoint": f"{tenant}/oauth2/v2.0/token",
                "end_session_endpoint": f"{tenant}/oauth2/v2.0/logout",
                "userinfo_endpoint": f"{context.origin}/oidc/userinfo",
                "jwks_uri": f"{tenant}/discovery/v2.0/keys",
                "token_endpoint_auth_methods_supported": [
                    "client_secret_post",
                    "private_key_jwt",
                    "client_secret_basic",
                ],
                "response_types_supported": ["code"],
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "claims_supported": [
                    *("sub", "iss", "aud", "exp", "iat", "nonce", "preferred_username", "name", "tid", "ver", "email")
                ],
                "tenant_region_scope": "EU",
                "cloud_instance_name": context.origin.removeprefix("https://"),
            }
        )

    async def keys(self, request: web.Request) -> web.Response:
        context = self._context
        try:
            tenant = tenant_id(context, request.match_info["tenant"])
        except Refusal as refusal:
            return web.json_response(refusal.body(context.origin), status=refusal.status)
        return web.json_response(context.tokens.jwks(tenant))

    async def user_info(self, request: web.Request) -> web.Response:
        """OpenID Connect Core 5.3, for a person's access token to Microsoft Graph."""
        context = self._context
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            says = context.tokens.claims(token, (arm.graph_audience(context), firstparty.GRAPH_CLIENT_ID))
        except TokenRefused as refused:
            told = {"error": {"code": "InvalidAuthenticationToken", "message": str(refused)}}
            return web.json_response(told, status=401, headers={"WWW-Authenticate": "Bearer"})
        person = directory.by_object_id(context.store, says["oid"])
        scopes = str(says.get("scp", "")).split()
        if person is None or "openid" not in scopes:
            told = {"error": {"code": "AccessDenied", "message": "The access token has no scope 'openid'."}}
            return web.json_response(told, status=403)
        return web.json_response(claims.of_user_info(person, says["appid"], scopes))
