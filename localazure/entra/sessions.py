"""Single sign-on: who is signed in to a tenant in this browser, by a cookie, and signing out again.

The cookie's path is the tenant's: cookies know no ports, so that without it every program on this host, the Temporal UI
among them, would be sent it.
"""

from dataclasses import dataclass

from aiohttp import web
from yarl import URL

from localazure.context import Context
from localazure.entra import applications, pages
from localazure.entra.callers import tenant_id
from localazure.entra.codes import Codes
from localazure.entra.errors import Refusal
from localazure.store import Document

_COOKIE = "ESTSAUTH"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    person_id: str
    shown: str
    """What clients may see of it (`session_state`)."""
    word: str
    """The cookie's value."""


class Sessions:
    """The sessions of one tenant."""

    def __init__(self, context: Context, tenant_id: str, request: web.Request) -> None:
        self._codes = Codes(context.store)
        self._tenant_id = tenant_id
        self._path = f"/{request.match_info['tenant']}/"
        self._word = request.cookies.get(_COOKIE, "")

    def current(self) -> Session | None:
        """The session of the browser that asks."""
        return self._session(self._word)

    def start(self, person: Document) -> Session:
        """A session of that person, for `keep`."""
        session = self._session(self._codes.start_session(self._tenant_id, person["objectId"]))
        assert session is not None, "it has just been started"
        return session

    def keep(self, session: Session | None, response: web.StreamResponse) -> None:
        """Let the browser have the session until it is closed."""
        if session is not None:
            response.set_cookie(_COOKIE, session.word, path=self._path, secure=True, httponly=True, samesite="Lax")

    def end(self, response: web.StreamResponse) -> None:
        self._codes.end_session(self._word)
        response.del_cookie(_COOKIE, path=self._path, secure=True, httponly=True, samesite="Lax")

    def _session(self, word: str) -> Session | None:
        known = self._codes.session(word, self._tenant_id)
        return None if known is None else Session(person_id=known["personId"], shown=known["id"], word=word)


def routes(context: Context) -> list[web.RouteDef]:
    async def log_out(request: web.Request) -> web.StreamResponse:
        """OpenID Connect's end session, which sends people on to redirect URIs of the tenant's applications only."""
        try:
            tenant = tenant_id(context, request.match_info["tenant"])
        except Refusal as refusal:
            return pages.refused(refusal, context.origin)
        address = request.query.get("post_logout_redirect_uri", "")
        client_id = request.query.get("client_id")
        known = any(
            each.platform_of(address) is not None
            for each in applications.of_tenant(context.store, tenant)
            if client_id in (None, each.client_id)
        )
        response = _redirect(address, request.query.get("state")) if known else pages.signed_out()
        Sessions(context, tenant, request).end(response)
        return response

    address = "/{tenant}/oauth2/v2.0/logout"
    return [web.get(address, log_out), web.post(address, log_out)]


def _redirect(address: str, state: str | None) -> web.Response:
    if state is not None:
        address = str(URL(address).update_query(state=state))
    return web.Response(status=302, headers={"Location": address, "Cache-Control": "no-store"})
