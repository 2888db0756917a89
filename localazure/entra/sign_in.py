"""The authorize endpoint: a person signs in, consents where that is needed, and the client gets a code.

One address for all steps: the client's request stays in the query, and each page posts its answer back to it. So every
step checks the whole request again, and nothing of it is kept in between but the person's session, which is a cookie
that other sites' forms do not carry (SameSite=Lax). What is wrong with the request before its redirect URI is known to
be the client's is never sent there; of what is wrong later, Entra shows some to the person and sends some back.
"""

from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import uuid4

from aiohttp import web

from localazure.context import ENTRY, Context
from localazure.entra import delegation, directory, pages, people
from localazure.entra.applications import PLATFORMS, Application
from localazure.entra.callers import client_of, tenant_id
from localazure.entra.codes import Code, Codes
from localazure.entra.delegation import Asked, Wish
from localazure.entra.directory import PERMISSION_GRANTS
from localazure.entra.errors import Refusal, missing_parameter, not_consented
from localazure.entra.sessions import Sessions
from localazure.store import Document

_SENT_BACK = frozenset({500011, 50058, 650053, 65004, 70011, 700051, 501491, 50149})
_RESPONSE_MODES = ("query", "fragment", "form_post")
_CHALLENGE_METHODS = ("plain", "S256")
_CHALLENGE_LENGTH = range(43, 129)


def routes(context: Context) -> list[web.RouteDef]:
    async def authorize(request: web.Request) -> web.StreamResponse:
        form = await request.post()
        try:
            wanted = _wanted(context, request)
            step = _Step(context, request, wanted, {name: str(value) for name, value in form.items()})
        except Refusal as refusal:
            return pages.refused(refusal, context.origin)
        return step.taken()

    address = "/{tenant}/oauth2/v2.0/authorize"
    return [web.get(address, authorize), web.post(address, authorize)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A client's request, whose redirect URI is its own."""

    tenant_id: str
    client: Application
    redirect_uri: str
    platform: str
    response_mode: str
    response_type: str
    scope: str
    state: str | None
    nonce: str | None
    prompt: str
    login_hint: str
    code_challenge: str | None
    code_challenge_method: str | None

    def sent_back(self, **fields: str) -> web.Response:
        """The person's browser on its way back to the client."""
        if self.state is not None:
            fields["state"] = self.state
        if self.response_mode == "form_post":
            return pages.form_post(self.redirect_uri, fields)
        joint = "#" if self.response_mode == "fragment" else "&" if "?" in self.redirect_uri else "?"
        location = f"{self.redirect_uri}{joint}{urlencode(fields)}"
        return web.Response(status=302, headers={"Location": location, "Cache-Control": "no-store"})


def _wanted(context: Context, request: web.Request) -> _Wanted:
    query = request.query
    client_id = query.get("client_id", "")
    tenant = tenant_id(context, request.match_info["tenant"], client_id)
    for name in ("client_id", "response_type", "scope"):
        if not query.get(name):
            raise missing_parameter(name)
    client = client_of(context, tenant, client_id)
    registered = [uri for platform in PLATFORMS for uri in client.redirect_uris(platform)]
    redirect_uri = query.get("redirect_uri") or next(iter(registered), None)
    if redirect_uri is None:
        raise Refusal("invalid_request", 500113, "No reply address is registered for the application.")
    platform = client.platform_of(redirect_uri)
    if platform is None:
        raise Refusal(
            "invalid_request",
            50011,
            f"The redirect URI '{redirect_uri}' specified in the request does not match the redirect URIs configured "
            f"for the application '{client.client_id}'. Make sure the redirect URI sent in the request matches one "
            "added to your application in the Azure portal. Navigate to https://aka.ms/redirectUriMismatchError to "
            "learn more about how to troubleshoot this error.",
        )
    response_mode = query.get("response_mode", "query")
    if response_mode not in _RESPONSE_MODES:
        raise Refusal(
            "invalid_request", 70007, f"'{response_mode}' is not a supported value of 'response_mode' for this request."
        )
    challenge = query.get("code_challenge")
    return _Wanted(
        tenant_id=tenant,
        client=client,
        redirect_uri=redirect_uri,
        platform=platform,
        response_mode=response_mode,
        response_type=query["response_type"],
        scope=query["scope"],
        state=query.get("state"),
        nonce=query.get("nonce"),
        prompt=query.get("prompt", ""),
        login_hint=query.get("login_hint", ""),
        code_challenge=challenge,
        code_challenge_method=None if challenge is None else query.get("code_challenge_method", "plain"),
    )


class _Step:
    """One request on the way to a code, and what comes of it. `form` is the answer to the page before, if any."""

    def __init__(self, context: Context, request: web.Request, wanted: _Wanted, form: dict[str, str]) -> None:
        self._context = context
        self._request = request
        self._wanted = wanted
        self._form = form
        self._action = form.get("action", "")
        self._sessions = Sessions(context, wanted.tenant_id, request)
        self._session = self._sessions.current()

    def taken(self) -> web.StreamResponse:
        """The next page, or the way back to the client."""
        try:
            response = self._next()
        except Refusal as refusal:
            if self._wanted.prompt == "none" or refusal.code in _SENT_BACK:
                told = refusal.body(self._context.origin)
                fields = ("error", "error_description", "error_uri")
                response = self._wanted.sent_back(**{name: told[name] for name in fields})
            else:
                response = pages.refused(refusal, self._context.origin)
        self._sessions.keep(self._session, response)
        return response

    def _next(self) -> web.Response:
        context, wanted, client = self._context, self._wanted, self._wanted.client
        asked = self._asked()
        if self._action == "sign-in":
            try:
                self._sign_in()
            except Refusal as refusal:
                return pages.sign_in(client.name, self._form.get("login", ""), refusal)
        if self._action == "cancel":
            raise Refusal("access_denied", 65004, "User declined to consent to access the app.")
        person = self._person()
        if person is None:
            if wanted.prompt == "none":
                raise Refusal("login_required", 50058, "A silent sign-in request was sent but no user is signed in.")
            return pages.sign_in(client.name, wanted.login_hint, None)
        self._request[ENTRY].principal = person["name"]
        if wanted.prompt == "select_account" and not self._action:
            return pages.choose_account(client.name, person["userPrincipalName"])
        people.require_enabled(person)
        delegation.require_assignment(context.store, person, client, asked)
        missing = delegation.unconsented(context.store, client, person, asked)
        if missing or (wanted.prompt == "consent" and self._action != "accept"):
            page = self._consent(person, asked, missing)
            if page is not None:
                return page
        return self._code(person)

    def _asked(self) -> Asked:
        wanted = self._wanted
        if wanted.response_type != "code":
            raise Refusal(
                "unsupported_response_type",
                700051,
                f"response_type '{wanted.response_type}' is not enabled for the application.",
            )
        if wanted.code_challenge is not None:
            if wanted.code_challenge_method not in _CHALLENGE_METHODS:
                raise Refusal("invalid_request", 50149, "Invalid Code_Challenge_method parameter.")
            if len(wanted.code_challenge) not in _CHALLENGE_LENGTH:
                raise Refusal("invalid_request", 501491, "Invalid size of Code_Challenge parameter.")
        asked = delegation.asked(self._context, wanted.tenant_id, wanted.scope)
        delegation.require_wellformed(asked)
        unknown = delegation.unknown_scope(asked)
        if unknown is not None:
            api, value = unknown
            raise Refusal(
                "invalid_client",
                650053,
                f"The application '{wanted.client.name}' asked for scope '{value}' that doesn't exist on the resource "
                f"'{api.client_id}'. Contact the app vendor.",
            )
        return asked

    def _sign_in(self) -> None:
        login, password = self._form.get("login", ""), self._form.get("password", "")
        person = people.sign_in(self._context.store, self._wanted.tenant_id, login, password)
        self._session = self._sessions.start(person)

    def _person(self) -> Document | None:
        """Who is signed in, unless the client, or the person, wants a sign-in anew."""
        wanted = self._wanted
        if self._session is None or self._action == "other" or (wanted.prompt == "login" and not self._action):
            return None
        person = directory.by_object_id(self._context.store, self._session.person_id)
        if person is None:
            return None
        names = {str(person[name]).lower() for name in ("userPrincipalName", "mail")}
        if wanted.login_hint and wanted.login_hint.lower() not in names and not self._action:
            return None
        return person

    def _consent(self, person: Document, asked: Asked, missing: tuple[Wish, ...]) -> web.Response | None:
        """The page that asks; None once the person has accepted."""
        context, client = self._context, self._wanted.client
        if self._wanted.prompt == "none":
            refusal = not_consented(client.client_id, client.name)
            raise Refusal("interaction_required", refusal.code, refusal.message)
        if not delegation.may_consent(context, client, missing):
            raise Refusal(
                "access_denied",
                90094,
                f"{client.name} needs permission to access resources in your organization that only an admin can grant."
                " Please ask an admin to grant permission to this app before you can use it. Not granted: "
                f"{', '.join(_permissions(missing))}.",
            )
        if self._action == "accept":
            for wish in missing:
                _grant(context, client, person, wish)
            return None
        shown = missing or (*asked.wishes, Wish(resource=asked.graph, values=asked.openid))
        return pages.consent(client.name, person["userPrincipalName"], _permissions(shown))

    def _code(self, person: Document) -> web.Response:
        context, wanted = self._context, self._wanted
        assert self._session is not None, "who is signed in has a session"
        code = Codes(context.store).issue_code(
            Code(
                tenant_id=wanted.tenant_id,
                client_id=wanted.client.client_id,
                person_id=person["objectId"],
                scope=wanted.scope,
                confidential=wanted.platform == "web",
                issued_at=context.clock(),
                redirect_uri=wanted.redirect_uri,
                nonce=wanted.nonce,
                code_challenge=wanted.code_challenge,
                code_challenge_method=wanted.code_challenge_method,
            )
        )
        return wanted.sent_back(code=code, session_state=self._session.shown)


def _permissions(wishes: tuple[Wish, ...]) -> list[str]:
    """As a person reads them: the API's own words, and which API it is."""
    return [_words(wish, value) for wish in wishes for value in wish.values]


def _words(wish: Wish, value: str) -> str:
    api = wish.resource.api
    if api is None:
        return f"{value} ({wish.resource.spelling})"
    scope = api.scopes.get(value, {})
    words = scope.get("userConsentDisplayName") or scope.get("adminConsentDisplayName") or value
    return f"{words} ({api.name})" if words == value else f"{words} ({api.name}: {value})"


def _grant(context: Context, client: Application, person: Document, wish: Wish) -> None:
    """Keep the person's own consent, together with what they have granted of the same API before."""
    assert wish.resource.api is not None, "nobody consents to the others"
    store, api_id = context.store, wish.resource.api.object_id
    mine = (client.object_id, api_id, person["objectId"])
    for key, grant in store.items(PERMISSION_GRANTS):
        if (grant["clientId"], grant["resourceId"], grant.get("principalId")) == mine:
            scope = " ".join(sorted({*grant["scope"].split(), *wish.values}))
            store.put(PERMISSION_GRANTS, key, grant | {"scope": scope})
            return
    grant_id = str(uuid4())
    store.put(
        PERMISSION_GRANTS,
        grant_id,
        {
            "id": grant_id,
            "clientId": client.object_id,
            "consentType": "Principal",
            "principalId": person["objectId"],
            "resourceId": api_id,
            "scope": " ".join(wish.values),
        },
    )
