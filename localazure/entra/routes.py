"""Entra's endpoints for workloads: discovery, keys, client credentials, and a managed identity's token endpoint.

Refusals carry the AADSTS codes that people search for. No sign-in of people: `authorization_endpoint` is named in
discovery because MSAL requires it.
"""

import secrets
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import jwt
from aiohttp import web

from localazure import arm
from localazure.context import ENTRY, VAULT_AUDIENCE, Context
from localazure.entra import directory
from localazure.store import Document

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_CLOCK_SKEW_SECONDS = 300


class _Refusal(Exception):
    def __init__(self, status: int, error: str, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.code = code
        self.message = message

    def response(self, context: Context) -> web.Response:
        trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
        timestamp = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        return web.json_response(
            {
                "error": self.error,
                "error_description": f"AADSTS{self.code}: {self.message} Trace ID: {trace} "
                f"Correlation ID: {correlation} Timestamp: {timestamp}",
                "error_codes": [self.code],
                "timestamp": timestamp,
                "trace_id": trace,
                "correlation_id": correlation,
                "error_uri": f"{context.origin}/error?code={self.code}",
            },
            status=self.status,
        )


def routes(context: Context) -> list[web.RouteDef]:
    entra = _Entra(context)
    return [
        web.get("/common/discovery/instance", entra.instance),
        web.get("/{tenant}/v2.0/.well-known/openid-configuration", entra.configuration),
        web.get("/{tenant}/discovery/v2.0/keys", entra.keys),
        web.post("/{tenant}/oauth2/v2.0/token", entra.token),
        web.get("/managed-identity/token", entra.managed_identity_token),
    ]


class _Entra:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def instance(self, request: web.Request) -> web.Response:
        context = self._context
        host = context.origin.removeprefix("https://")
        return web.json_response(
            {
                "tenant_discovery_endpoint": f"{context.tokens.issuer_v2}/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
            }
        )

    async def configuration(self, request: web.Request) -> web.Response:
        context = self._context
        try:
            self._require_tenant(request)
        except _Refusal as refusal:
            return refusal.response(context)
        tenant = f"{context.origin}/{context.tenant_id}"
        return web.json_response(
            {
                "issuer": context.tokens.issuer_v2,
                "token_endpoint": f"{tenant}/oauth2/v2.0/token",
                "authorization_endpoint": f"{tenant}/oauth2/v2.0/authorize",
                "jwks_uri": f"{tenant}/discovery/v2.0/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "response_types_supported": ["code", "id_token", "code id_token"],
                "response_modes_supported": ["query", "fragment", "form_post"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid", "profile", "email", "offline_access"],
                "tenant_region_scope": "EU",
                "cloud_instance_name": context.origin.removeprefix("https://"),
            }
        )

    async def keys(self, request: web.Request) -> web.Response:
        return web.json_response(self._context.tokens.jwks)

    async def token(self, request: web.Request) -> web.Response:
        """Client credentials, by secret or by the assertion of a federated credential (RFC 6749 4.4, RFC 7523)."""
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        try:
            self._require_tenant(request)
            principal = self._client(form)
            audience = self._audience(form)
        except _Refusal as refusal:
            return refusal.response(self._context)
        request[ENTRY].principal = principal["name"]
        lifetime = self._context.dials.token_lifetime_seconds
        return web.json_response(
            {
                "token_type": "Bearer",
                "expires_in": lifetime,
                "ext_expires_in": lifetime,
                "access_token": self._context.tokens.issue(principal, audience, lifetime),
            },
            headers={"Cache-Control": "no-store"},
        )

    async def managed_identity_token(self, request: web.Request) -> web.Response:
        """A managed identity's token, by the protocol of App Service (IDENTITY_ENDPOINT, IDENTITY_HEADER).

        The header is the client secret of the identity that it stands for; `client_id`, when given, must be that
        identity's.
        """
        header = request.headers.get("X-IDENTITY-HEADER", "")
        principal = next((each for each in directory.principals(self._context.store) if _is_secret(each, header)), None)
        wanted = request.query.get("client_id")
        if principal is None or (wanted is not None and wanted.lower() != principal["clientId"]):
            return web.json_response(
                {"statusCode": 400, "message": "No managed identity has this X-IDENTITY-HEADER."}, status=400
            )
        resource = request.query.get("resource", "")
        if not self._known(resource):
            return web.json_response(
                {"statusCode": 400, "message": f"The resource principal named {resource} was not found."}, status=400
            )
        request[ENTRY].principal = principal["name"]
        lifetime = self._context.dials.token_lifetime_seconds
        return web.json_response(
            {
                "access_token": self._context.tokens.issue(principal, resource, lifetime),
                "expires_on": str(int(time.time()) + lifetime),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": principal["clientId"],
            }
        )

    def _require_tenant(self, request: web.Request) -> None:
        tenant = request.match_info["tenant"]
        if tenant.lower() != self._context.tenant_id:
            raise _Refusal(
                400,
                "invalid_request",
                90002,
                f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into "
                "the correct cloud.",
            )

    def _client(self, form: dict[str, str]) -> Document:
        if form.get("grant_type") != "client_credentials":
            raise _Refusal(
                400, "unsupported_grant_type", 70003, f"The grant type '{form.get('grant_type')}' is not supported."
            )
        client_id = form.get("client_id", "")
        principal = directory.by_client_id(self._context.store, client_id)
        if principal is None:
            raise _Refusal(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{client_id}' was not found in the directory "
                f"'{self._context.tenant_id}'. The application is not installed in the tenant, or the request went to "
                "the wrong tenant.",
            )
        if "client_assertion" in form:
            self._check_assertion(principal, form)
        elif "client_secret" not in form:
            raise _Refusal(
                401,
                "invalid_client",
                7000218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            )
        elif not _is_secret(principal, form["client_secret"]):
            raise _Refusal(
                401,
                "invalid_client",
                7000215,
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                f"value, not the client secret ID, for a secret added to app '{client_id}'.",
            )
        return principal

    def _check_assertion(self, principal: Document, form: dict[str, str]) -> None:
        malformed = _Refusal(401, "invalid_client", 50027, "JWT token is invalid or malformed.")
        if form.get("client_assertion_type") != _ASSERTION_TYPE:
            raise malformed
        try:
            header = jwt.get_unverified_header(form["client_assertion"])
            claims: dict[str, Any] = jwt.decode(form["client_assertion"], options={"verify_signature": False})
        except jwt.InvalidTokenError as error:
            raise malformed from error
        credential = next((each for each in principal["federatedCredentials"] if _names(each, claims)), None)
        if credential is None:
            raise _Refusal(
                401,
                "invalid_client",
                700213,
                "No matching federated identity record found for presented assertion subject "
                f"'{claims.get('sub')}'. Assertion issuer '{claims.get('iss')}', audience '{claims.get('aud')}'. Check "
                "your federated identity credential Subject, Audience and Issuer against the presented assertion.",
            )
        try:
            keys = jwt.PyJWKSet.from_dict(credential["jwks"])
            jwt.decode(
                form["client_assertion"],
                keys[header.get("kid", "")],
                algorithms=["RS256"],
                audience=credential["audiences"],
                leeway=_CLOCK_SKEW_SECONDS,
                options={"require": ["exp"]},
            )
        except (jwt.InvalidTokenError, jwt.PyJWKSetError, KeyError) as error:
            raise _Refusal(
                401, "invalid_client", 700027, f"The assertion failed signature validation or has expired: {error}."
            ) from error

    def _audience(self, form: dict[str, str]) -> str:
        scope = form.get("scope", "")
        if not scope:
            raise _Refusal(
                400, "invalid_request", 900144, "The request body must contain the following parameter: 'scope'."
            )
        resource = scope.removesuffix("/.default")
        if resource == scope:
            raise _Refusal(
                400,
                "invalid_scope",
                1002012,
                f"The provided value for scope {scope} is not valid. Client credential flows must have a scope value "
                "with /.default suffixed to the resource identifier (application ID URI).",
            )
        if not self._known(resource):
            raise _Refusal(
                400,
                "invalid_resource",
                500011,
                f"The resource principal named {resource} was not found in the tenant named {self._context.tenant_id}. "
                "The application is not installed in the tenant, or the request went to the wrong tenant.",
            )
        return resource

    def _known(self, resource: str) -> bool:
        audiences = (*arm.audiences(self._context), arm.graph_audience(self._context), VAULT_AUDIENCE)
        return resource.rstrip("/") in {audience.rstrip("/") for audience in audiences}


def _is_secret(principal: Document, presented: str) -> bool:
    secret = principal.get("clientSecret", "")
    return bool(secret) and secrets.compare_digest(secret.encode(), presented.encode())


def _names(credential: Document, claims: dict[str, Any]) -> bool:
    """Whether the federated credential is for this issuer, subject and audience, compared exactly, as Entra does."""
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    return (
        credential["issuer"] == claims.get("iss")
        and credential["subject"] == claims.get("sub")
        and any(each in credential["audiences"] for each in audiences)
    )
