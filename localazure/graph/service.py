"""What the services of Graph have in common: the caller and its permissions, bodies, references, answers.

Permissions are application permissions ("Microsoft Graph permissions reference"). A user has none.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from localazure import arm
from localazure.access import Principal
from localazure.context import PRINCIPAL, Context
from localazure.entra import directory
from localazure.entra.firstparty import graph_permissions
from localazure.graph.errors import bad_request, denied
from localazure.graph.replica import Replica
from localazure.store import Document

READ_APPLICATIONS = (
    "Application.Read.All",
    "Application.ReadWrite.OwnedBy",
    "Application.ReadWrite.All",
    "Directory.Read.All",
)
WRITE_ALL_APPLICATIONS = "Application.ReadWrite.All"
WRITE_OWN_APPLICATIONS = "Application.ReadWrite.OwnedBy"
ROOT = "/graph/{version:v1[.]0|beta}"
"""Of every route."""

_REFERENCE = re.compile(r".*/(?:directoryObjects|servicePrincipals|users|groups)/([0-9a-fA-F-]{36})/?")


@dataclass(frozen=True, slots=True)
class Graph:
    """Microsoft Graph for all its services."""

    context: Context
    replica: Replica

    @property
    def base(self) -> str:
        """The address of Graph, without a slash at the end."""
        return arm.graph_audience(self.context).rstrip("/")

    async def require(self, request: web.Request, *alternatives: str) -> Principal:
        """The caller, who has one of the permissions; 403 otherwise. A write is counted, and held if asked for."""
        caller = request[PRINCIPAL]
        if not self.has(caller, *alternatives):
            raise denied()
        await self.context.let_in(request)
        return caller

    async def require_ownership(self, request: web.Request, owners: Collection[str]) -> Principal:
        """The caller, who may change every application, or its own of which this is one."""
        caller = request[PRINCIPAL]
        if not self.has(caller, WRITE_ALL_APPLICATIONS) and not (
            self.has(caller, WRITE_OWN_APPLICATIONS) and caller.object_id in owners
        ):
            raise denied()
        await self.context.let_in(request)
        return caller

    def has(self, caller: Principal, *alternatives: str) -> bool:
        return not graph_permissions(self.context.store, caller.object_id).isdisjoint(alternatives)

    def principal(self, tenant_id: str, object_id: str, kind: directory.Kind | None = None) -> Document | None:
        """The principal of the tenant, as every replica has it."""
        found = self.replica.replicated(directory.PRINCIPALS, object_id.lower())
        if found is None or found["tenantId"] != tenant_id or kind not in (None, found["kind"]):
            return None
        return found

    def entity(self, request: web.Request, kind: str, document: Document, status: int = 200) -> web.Response:
        return web.json_response(
            {"@odata.context": f"{self.version_base(request)}/$metadata#{kind}/$entity", **document}, status=status
        )

    def version_base(self, request: web.Request) -> str:
        return f"{self.base}/{request.match_info['version']}"


async def body_of(request: web.Request) -> dict[str, Any]:
    """The JSON object in the request's body."""
    try:
        body = json.loads(await request.text() or "{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise bad_request(
            "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid "
            "JSON format.",
            code="BadRequest",
        )
    return body


def referenced(body: dict[str, Any]) -> str:
    """The object id that the body's `@odata.id` refers to."""
    return object_id_in(body.get("@odata.id"))


def object_id_in(reference: object) -> str:
    found = _REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
    if found is None:
        raise bad_request(f"Invalid URL format specified in @odata.id: '{reference}'.")
    return found[1].lower()
