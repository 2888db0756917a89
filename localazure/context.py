"""What every handler has at hand: the store, the dials, the clock, and the two questions "may this caller do that?".

`authorize` and `authorize_data` are also where a write is counted and held for crash tests: handlers call one of them
first, before they read what they are going to change. Graph, which has permissions of its own, calls `let_in`.
"""

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from localazure import access
from localazure.access import Principal, Propagation
from localazure.dials import Dials
from localazure.entra.tokens import Tokens
from localazure.errors import AzureError
from localazure.requestlog import Entry, Hold, RequestLog, changes_state
from localazure.store import Store
from localazure.vaults import Vault

VAULT_AUDIENCE = "https://vault.azure.net"

PRINCIPAL = web.RequestKey("principal", Principal)
ENTRY = web.RequestKey("entry", Entry)
HELD_AFTER = web.RequestKey("held_after", Hold)


@dataclass(slots=True, kw_only=True)
class Context:
    """One per process. `origin` is `https://127.0.0.1:PORT`, where Entra and ARM are; ids are GUIDs in lower case."""

    state: Path
    """The state directory."""
    store: Store
    tokens: Tokens
    log: RequestLog
    dials: Dials
    origin: str
    tenant_id: str
    other_tenant_id: str
    """A tenant that has nothing to do with the subscription."""
    subscription_id: str
    open_vault: Callable[[Vault], Awaitable[None]]
    """Listen on the vault's port, with its data plane."""
    close_vault: Callable[[Vault], Awaitable[None]]
    allot_port: Callable[[], int]
    """A free loopback port for a new vault."""
    stop: Callable[[], None]
    hold: Hold | None = None
    clock: Callable[[], float] = time.time

    async def authorize(self, request: web.Request, scope: str, action: str) -> Principal:
        """The caller, who may do `action` at the scope; 403 AuthorizationFailed otherwise."""
        principal = request[PRINCIPAL]
        if not access.permits(self.store, principal, scope, action):
            raise AzureError(
                403,
                "AuthorizationFailed",
                f"The client '{principal.client_id}' with object id '{principal.object_id}' does not have "
                f"authorization to perform action '{action}' over scope '{scope}' or the scope is invalid. If access "
                "was recently granted, please refresh your credentials.",
            )
        await self.let_in(request)
        return principal

    async def authorize_data(self, request: web.Request, vault: Vault, path: str, data_action: str) -> Principal:
        """The caller, who may do `data_action` on `path` in the vault (`/secrets/ui`, `/keys`, or empty for the vault).

        403 Forbidden otherwise, innererror ForbiddenByRbac, or AccessDenied for a vault whose access policies decide:
        these are kept and returned by ARM, but grant nothing here.
        """
        principal = request[PRINCIPAL]
        where = f"{vault.name};location={vault.location}"
        if not vault.rbac:
            raise AzureError(
                403,
                "Forbidden",
                f"The user, group or application '{principal.words}' does not have permission for '{data_action}' on "
                f"key vault '{where}': access policies grant nothing in the local Azure, set enableRbacAuthorization.",
                inner_code="AccessDenied",
            )
        scope = f"{vault.resource_id}{path}"
        propagation = Propagation(self.dials.rbac_propagation_seconds, self.dials.stale_token_seconds)
        if not access.permits_data(
            self.store, principal, scope, data_action, now=self.clock(), propagation=propagation
        ):
            raise AzureError(
                403,
                "Forbidden",
                "Caller is not authorized to perform action on resource.\r\n"
                "If role assignments, deny assignments or role definitions were changed recently, please observe "
                "propagation time.\r\n"
                f"Caller: {principal.words}\r\nAction: '{data_action}'\r\nResource: '{scope.lower()}'\r\n"
                "Assignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: null \r\n"
                f"Vault: {where}\r\n",
                inner_code="ForbiddenByRbac",
            )
        await self.let_in(request)
        return principal

    async def let_in(self, request: web.Request) -> None:
        """Count the request if it is a write, and hold it if the hold says so."""
        entry = request[ENTRY]
        if entry.write or not changes_state(request.method, request.path):
            return
        entry.write = True
        hold = self.hold
        if hold is None or not hold.takes_next():
            return
        if hold.when == "after":
            request[HELD_AFTER] = hold
            return
        self.log.record(entry, "held")
        await hold.wait(request)


async def json_object(request: web.Request) -> dict[str, Any]:
    """The request's body; 400 in the service's own words if it is not a JSON object. An empty body is an empty
    object.
    """
    text = await request.text()
    try:
        body = json.loads(text) if text else {}
    except ValueError:
        body = None
    if isinstance(body, dict):
        return body
    if request[ENTRY].host == "vault":
        raise AzureError(400, "BadParameter", "The request body is not a JSON object.")
    raise AzureError(400, "InvalidRequestContent", "The request content was invalid and could not be deserialized.")
