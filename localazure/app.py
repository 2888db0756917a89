"""The web applications: one for Entra, ARM and control, and one for each vault; and what happens to every request on
its way in.

A request is logged, authenticated, checked against firewall, limits and dialled faults, and only then handled. Handlers
raise AzureError; what no handler serves is 501, because clients retry 404 and other 5xx for minutes.
"""

import logging
import re
import uuid
from collections import deque
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from localazure import arm, control, graph, keyvault
from localazure.context import ENTRY, HELD_AFTER, PRINCIPAL, VAULT_AUDIENCE, Context
from localazure.entra import routes as entra
from localazure.entra.tokens import TokenRefused
from localazure.errors import AzureError
from localazure.graph.errors import GraphError
from localazure.requestlog import ClientGone, HostKind
from localazure.vaults import Vault

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)
_ARM_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-[a-z]+)?")
_CREATES_A_KEY = re.compile(r"/(keys|certificates)/[^/]+/create/?")
_LIMIT_WINDOW_SECONDS = 10


def main_app(context: Context) -> web.Application:
    """Entra, the metadata endpoint, ARM and Graph, and under `/_local` the control plane, which is not logged."""
    app = web.Application(middlewares=[_recorded(context, None), _admission(context)])
    app.add_routes(control.routes(context))
    app.add_routes(entra.routes(context))
    app.add_routes(arm.routes(context))
    app.add_routes(graph.routes(context))
    return app


def vault_app(vault: Vault, context: Context) -> web.Application:
    """The data plane of one vault."""
    app = web.Application(middlewares=[_recorded(context, vault), _vault_admission(vault, context)])
    app.add_routes(keyvault.routes(vault, context))
    return app


def _is_arm(path: str) -> bool:
    return path.lower().startswith(("/subscriptions", "/providers"))


def _is_graph(path: str) -> bool:
    return path.startswith("/graph/")


def _recorded(context: Context, vault: Vault | None) -> Middleware:
    def host_of(request: web.Request) -> HostKind:
        if vault is not None:
            return "vault"
        if _is_graph(request.path):
            return "graph"
        return "arm" if _is_arm(request.path) or request.path.startswith("/metadata") else "entra"

    @web.middleware
    async def recorded(request: web.Request, handler: _Handler) -> web.StreamResponse:
        if vault is None and request.path.startswith("/_local/"):
            return await _answer(request, handler)
        entry = context.log.open(
            request, host=host_of(request), vault=vault.name if vault else None, time=context.clock()
        )
        request[ENTRY] = entry
        try:
            await request.read()
            response = await _answer(request, handler)
        except ClientGone:
            context.log.record(entry, "abandoned")
            return web.Response(status=499)
        entry.status = response.status
        response.headers["x-ms-request-id"] = str(uuid.uuid4())
        if (hold := request.get(HELD_AFTER)) is not None:
            context.log.record(entry, "held")
            try:
                await hold.wait(request)
            except ClientGone:
                _log.debug("the client of held request %d left", entry.n)
        context.log.record(entry, "done")
        return response

    return recorded


async def _answer(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except AzureError as error:
        return error.response()
    except web.HTTPException as error:
        if request.match_info.http_exception is None:
            return AzureError(error.status, "BadRequest", error.reason).response()
        return AzureError(
            501, "NotImplemented", f"The local Azure does not serve {request.method} {request.path}."
        ).response()
    except ClientGone:
        raise
    except Exception:
        _log.exception("%s %s failed", request.method, request.path)
        return AzureError(
            500, "InternalServerError", "The local Azure failed on this request; its log has the traceback."
        ).response()


def _admission(context: Context) -> Middleware:
    @web.middleware
    async def admitted(request: web.Request, handler: _Handler) -> web.StreamResponse:
        if _is_arm(request.path):
            if not _ARM_API_VERSION.fullmatch(request.query.get("api-version", "")):
                raise AzureError(
                    400,
                    "MissingApiVersionParameter",
                    "The api-version query parameter (?api-version=) is required for all requests.",
                )
            _authenticate_to_arm(context, request)
        if _is_graph(request.path):
            _authenticate_to_graph(context, request)
        if not request.path.startswith("/_local/"):
            _run_into_faults(context, request)
        return await handler(request)

    return admitted


def _authenticate_to_arm(context: Context, request: web.Request) -> None:
    challenge = {"WWW-Authenticate": f'Bearer authorization_uri="{context.origin}/{context.tenant_id}"'}
    token = _bearer(request)
    if token is None:
        raise AzureError(
            401,
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing or invalid.",
            headers=challenge,
        )
    try:
        principal = context.tokens.caller(token, arm.audiences(context))
    except TokenRefused as refused:
        codes = {"expired": "ExpiredAuthenticationToken", "audience": "InvalidAuthenticationTokenAudience"}
        raise AzureError(
            401, codes.get(refused.reason, "InvalidAuthenticationToken"), str(refused), headers=challenge
        ) from refused
    request[PRINCIPAL] = principal
    request[ENTRY].principal = principal.name


def _authenticate_to_graph(context: Context, request: web.Request) -> None:
    token = _bearer(request)
    if token is None:
        raise GraphError(401, "InvalidAuthenticationToken", "Access token is empty.")
    try:
        principal = context.tokens.caller(token, (arm.graph_audience(context),))
    except TokenRefused as refused:
        messages = {"expired": "Lifetime validation failed, the token is expired.", "audience": "Invalid audience."}
        message = messages.get(refused.reason, f"Access token validation failure. {refused}")
        raise GraphError(401, "InvalidAuthenticationToken", message) from refused
    request[PRINCIPAL] = principal
    request[ENTRY].principal = principal.name


def _vault_admission(vault: Vault, context: Context) -> Middleware:
    key_creations = _Limit()
    transactions = _Limit()

    @web.middleware
    async def admitted(request: web.Request, handler: _Handler) -> web.StreamResponse:
        _authenticate_to_vault(vault, context, request)
        _pass_firewall(vault, context, request)
        if _CREATES_A_KEY.fullmatch(request.path):
            key_creations.count(context.clock(), context.dials.key_creations_per_10s)
        else:
            transactions.count(context.clock(), context.dials.transactions_per_10s)
        _run_into_faults(context, request)
        if "api-version" not in request.query:
            raise AzureError(400, "BadParameter", "api-version must be specified")
        return await handler(request)

    return admitted


def _authenticate_to_vault(vault: Vault, context: Context, request: web.Request) -> None:
    challenge = f'Bearer authorization="{context.origin}/{vault.tenant_id}", resource="{VAULT_AUDIENCE}"'
    token = _bearer(request)
    if token is None:
        raise AzureError(
            401,
            "Unauthorized",
            "AKV10000: Request is missing a Bearer or PoP token.",
            headers={"WWW-Authenticate": challenge},
        )
    try:
        principal = context.tokens.caller(token, (VAULT_AUDIENCE,))
    except TokenRefused as refused:
        codes = {"audience": "AKV10022: Invalid audience.", "expired": "AKV10046: Token validation failed."}
        message = f"{codes.get(refused.reason, 'AKV10041: Token validation failed.')} {refused}"
        raise AzureError(
            401, "Unauthorized", message, headers={"WWW-Authenticate": f'{challenge}, error="invalid_token"'}
        ) from refused
    request[PRINCIPAL] = principal
    request[ENTRY].principal = principal.name


def _pass_firewall(vault: Vault, context: Context, request: web.Request) -> None:
    caller = f"Caller: {request[PRINCIPAL].words}\r\nVault: {vault.name};location={vault.location}"
    if not vault.public_access:
        raise AzureError(
            403,
            "Forbidden",
            "Public network access is disabled and request is not from a trusted service nor via an approved private "
            f"link.\r\n{caller}",
            inner_code="ForbiddenByConnection",
        )
    address = request.remote or "unknown"
    if not vault.admits(address):
        raise AzureError(
            403,
            "Forbidden",
            "Client address is not authorized and caller is not a trusted service.\r\n"
            f"Client address: {address}\r\n{caller}",
            inner_code="ForbiddenByFirewall",
        )


class _Limit:
    """At most so many in any ten seconds; 429 beyond."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def count(self, now: float, most: int | None) -> None:
        while self._times and self._times[0] <= now - _LIMIT_WINDOW_SECONDS:
            self._times.popleft()
        if most is not None and len(self._times) >= most:
            wait = max(1, round(self._times[-most] + _LIMIT_WINDOW_SECONDS - now))
            raise AzureError(
                429,
                "Throttled",
                "Request was not processed because too many requests were received. "
                "Reason: VaultRequestTypeLimitReached",
                headers={"Retry-After": str(wait)},
            )
        self._times.append(now)


def _run_into_faults(context: Context, request: web.Request) -> None:
    fault, context.dials = context.dials.faulted(request.method, request.path)
    if fault is None:
        return
    headers = {} if fault.retry_after_seconds is None else {"Retry-After": str(fault.retry_after_seconds)}
    codes = {429: "TooManyRequests", 500: "InternalServerError", 503: "ServiceUnavailable"}
    raise AzureError(fault.status, codes[fault.status], "A fault that was dialled in.", headers=headers)


def _bearer(request: web.Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
