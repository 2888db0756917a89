"""The control plane for tests and tools, under `/_local`: dials, the request log, the hold, identities, keys,
shutdown.

It is not Azure, needs no token and is not logged; it gives no secret away.
"""

from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from localazure import identities
from localazure.context import Context, json_object
from localazure.entra import credentials, directory
from localazure.entra.directory import Kind
from localazure.entra.firstparty import GRAPH_PERMISSIONS
from localazure.errors import AzureError
from localazure.requestlog import Hold


class _HoldRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    write: int = Field(ge=1)
    when: Literal["before", "after"]


class _FederatedCredential(BaseModel):
    model_config = ConfigDict(extra="forbid")

    issuer: str
    subject: str
    audiences: list[str] = ["api://AzureADTokenExchange"]
    jwks: dict[str, Any]


class _Issuer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    issuer: str
    jwks: dict[str, Any]


class _Rollover(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keep: int | None = Field(default=None, ge=0)


class _Identity(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Kind = "ServicePrincipal"
    member_of: list[str] = Field(default=[], alias="memberOf")
    federated_credentials: list[_FederatedCredential] = Field(default=[], alias="federatedCredentials")
    graph_roles: list[str] | None = Field(default=None, alias="graphRoles")


def routes(context: Context) -> list[web.RouteDef]:
    control = _Control(context)
    return [
        web.get("/_local/dials", control.dials),
        web.patch("/_local/dials", control.turn),
        web.get("/_local/requests", control.requests),
        web.put("/_local/hold", control.hold),
        web.delete("/_local/hold", control.release),
        web.put("/_local/identities/{name}", control.identity),
        web.put("/_local/issuers", control.issuer),
        web.post("/_local/keys/rollover", control.roll_over),
        web.post("/_local/shutdown", control.shutdown),
    ]


class _Control:
    def __init__(self, context: Context) -> None:
        self._context = context

    async def dials(self, request: web.Request) -> web.Response:
        return web.json_response(self._context.dials.model_dump(by_alias=True))

    async def turn(self, request: web.Request) -> web.Response:
        """Set the dials that the body names; the others stay."""
        try:
            self._context.dials = self._context.dials.changed(await json_object(request))
        except ValidationError as error:
            raise _wrong(error) from error
        return await self.dials(request)

    async def requests(self, request: web.Request) -> web.Response:
        """Those with a number above `after` and, if given, in the phase `phase`."""
        after = request.query.get("after", "0")
        if not after.isdigit():
            raise AzureError(400, "BadRequest", f"after={after} is not the number of a request.")
        phase = request.query.get("phase")
        entries = self._context.log.after(int(after))
        return web.json_response({"requests": [each for each in entries if phase in (None, each["phase"])]})

    async def hold(self, request: web.Request) -> web.Response:
        """Hold the write-th write from now on; a hold that was there is released."""
        try:
            wanted = _HoldRequest.model_validate(await json_object(request))
        except ValidationError as error:
            raise _wrong(error) from error
        self._release()
        self._context.hold = Hold(wanted.write, wanted.when)
        return web.Response(status=204)

    async def release(self, request: web.Request) -> web.Response:
        self._release()
        return web.Response(status=204)

    async def identity(self, request: web.Request) -> web.Response:
        """Create a principal of that name, or replace its groups (named) and federated credentials; and its permissions
        at Microsoft Graph, where some are given.
        """
        context, name = self._context, request.match_info["name"]
        try:
            wanted = _Identity.model_validate(await json_object(request))
        except ValidationError as error:
            raise _wrong(error) from error
        groups = [directory.by_name(context.store, group) for group in wanted.member_of]
        if any(group is None or group["kind"] != "Group" for group in groups):
            raise AzureError(400, "BadRequest", f"memberOf: {wanted.member_of} are not all names of groups.")
        if not set(wanted.graph_roles or ()) <= GRAPH_PERMISSIONS:
            raise AzureError(400, "BadRequest", f"graphRoles: {wanted.graph_roles} are not all known permissions.")
        with context.store.transaction():
            principal = directory.by_name(context.store, name) or directory.create(
                context.store, name, wanted.kind, context.tenant_id
            )
            principal["memberOf"] = [group["objectId"] for group in groups if group is not None]
            if principal["kind"] == "ServicePrincipal":
                principal["federatedCredentials"] = [each.model_dump() for each in wanted.federated_credentials]
                if wanted.graph_roles is not None:
                    principal["graphRoles"] = wanted.graph_roles
            context.store.put(directory.PRINCIPALS, principal["objectId"], principal)
        identities.write(context.store, context.state / "identities.json")
        return web.json_response({key: principal.get(key) for key in ("name", "kind", "objectId", "clientId")})

    async def issuer(self, request: web.Request) -> web.Response:
        """The keys that the issuer of federated assertions publishes, for credentials that are made through Graph."""
        try:
            wanted = _Issuer.model_validate(await json_object(request))
        except ValidationError as error:
            raise _wrong(error) from error
        credentials.trust_issuer(self._context.store, wanted.issuer, wanted.jwks)
        return web.Response(status=204)

    async def roll_over(self, request: web.Request) -> web.Response:
        """Sign with the next key; of the old ones the newest `keep` stay published, by default all."""
        try:
            wanted = _Rollover.model_validate(await json_object(request))
        except ValidationError as error:
            raise _wrong(error) from error
        self._context.tokens.keys.roll_over(wanted.keep)
        return web.Response(status=204)

    async def shutdown(self, request: web.Request) -> web.Response:
        self._context.stop()
        return web.Response(status=202)

    def _release(self) -> None:
        if self._context.hold is not None:
            self._context.hold.release()
            self._context.hold = None


def _wrong(error: ValidationError) -> AzureError:
    details = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
    return AzureError(400, "BadRequest", details)
