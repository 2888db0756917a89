"""The token endpoint: authorization code, refresh token, client credentials, and user name with password.

Whatever brings a client here, what it may have is asked anew each time: that application and person are still there
and enabled, that the person is still assigned, and that consent still covers the scopes.
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from localazure.context import ENTRY, Context
from localazure.entra import credentials, delegation, directory, issuance, people
from localazure.entra.callers import client_of, tenant_id
from localazure.entra.codes import Code, Codes, Grant
from localazure.entra.delegation import Asked
from localazure.entra.errors import Refusal, missing_parameter
from localazure.entra.resources import require_role, resource
from localazure.store import Document

_Form = Mapping[str, str]
_DEFAULT = "/.default"


def routes(context: Context) -> list[web.RouteDef]:
    async def token(request: web.Request) -> web.Response:
        given = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        try:
            form = credentials.with_basic(given, request.headers.get("Authorization", ""))
            asking = _Asking(context, tenant_id(context, request.match_info["tenant"], form.get("client_id", "")), form)
            answer, principal = asking.answer()
        except Refusal as refusal:
            return web.json_response(refusal.body(context.origin), status=refusal.status)
        request[ENTRY].principal = principal["name"]
        return web.json_response(answer, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})

    return [web.post("/{tenant}/oauth2/v2.0/token", token)]


class _Asking:
    """One request."""

    def __init__(self, context: Context, tenant: str, form: _Form) -> None:
        self._context = context
        self._tenant = tenant
        self._form = form
        grants = {
            "authorization_code": self._authorization_code,
            "refresh_token": self._refresh_token,
            "client_credentials": self._client_credentials,
            "password": self._password,
        }
        wanted = self._required("grant_type")
        if wanted not in grants:
            raise Refusal("unsupported_grant_type", 70003, f"The grant type '{wanted}' is not supported.")
        self._grant = grants[wanted]
        self._client = client_of(context, tenant, self._required("client_id"))
        self._proof = credentials.proof(context.store, self._client, form, context.clock())

    def answer(self) -> tuple[dict[str, Any], Document]:
        """What the client is given, and the principal that the tokens are of."""
        return self._grant()

    def _client_credentials(self) -> tuple[dict[str, Any], Document]:
        """RFC 6749 4.4. A role is not needed, unless the API requires assignments."""
        client = self._client
        credentials.require_proof(self._proof)
        # MSAL for Java sends the scopes of OpenID Connect along, which mean nothing without a person.
        words = self._required("scope").split()
        scope = " ".join(word for word in words if word not in delegation.OPENID_SCOPES)
        if not scope.endswith(_DEFAULT):
            raise Refusal(
                "invalid_scope",
                1002012,
                f"The provided value for scope {scope} is not valid. Client credential flows must have a scope value "
                "with /.default suffixed to the resource identifier (application ID URI).",
            )
        wanted = resource(self._context, self._tenant, scope.removesuffix(_DEFAULT))
        require_role(self._context.store, client, wanted)
        answer = issuance.application_token(self._context, self._tenant, client, wanted, proof=self._proof)
        return answer, client.principal

    def _authorization_code(self) -> tuple[dict[str, Any], Document]:
        """RFC 6749 4.1.3, RFC 7636."""
        context, codes = self._context, Codes(self._context.store)
        presented = self._required("code")
        code = codes.code(presented, context.clock(), context.dials.authorization_code_lifetime_seconds)
        self._require_own(code)
        if code.confidential:
            credentials.require_proof(self._proof)
        elif self._proof != credentials.PUBLIC:
            raise Refusal(
                "invalid_client",
                700025,
                "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
            )
        if self._required("redirect_uri") != code.redirect_uri:
            raise Refusal(
                "invalid_grant",
                500112,
                f"The reply address '{self._form['redirect_uri']}' does not match the reply address "
                f"'{code.redirect_uri}' provided when requesting Authorization code.",
            )
        _check_verifier(code, self._form.get("code_verifier"))
        answer, person = self._for_person(code, self._form.get("scope") or code.scope, nonce=code.nonce)
        codes.redeem(presented)
        return answer, person

    def _refresh_token(self) -> tuple[dict[str, Any], Document]:
        """RFC 6749 6. The one presented stays good; another comes with the answer."""
        context = self._context
        grant = Codes(context.store).refresh_token(
            self._required("refresh_token"), context.clock(), context.dials.refresh_token_lifetime_seconds
        )
        self._require_own(grant)
        if grant.confidential:
            credentials.require_proof(self._proof)
        scope = self._form.get("scope") or grant.scope
        self._require_guid_for_itself(delegation.asked(context, self._tenant, scope))
        return self._for_person(grant, scope, nonce=None)

    def _password(self) -> tuple[dict[str, Any], Document]:
        """RFC 6749 4.3: for public clients, since people's passwords are no client's business."""
        context = self._context
        if not self._client.is_public:
            credentials.require_proof(self._proof)
        scope = self._required("scope")
        self._require_guid_for_itself(delegation.asked(context, self._tenant, scope))
        login, password = self._required("username"), self._required("password")
        person = people.sign_in(context.store, self._tenant, login, password)
        grant = Grant(
            tenant_id=self._tenant,
            client_id=self._client.client_id,
            person_id=person["objectId"],
            scope=scope,
            confidential=self._proof != credentials.PUBLIC,
            issued_at=context.clock(),
        )
        return self._for_person(grant, scope, nonce=None)

    def _for_person(self, grant: Grant, scope: str, *, nonce: str | None) -> tuple[dict[str, Any], Document]:
        context, client = self._context, self._client
        person = directory.by_object_id(context.store, grant.person_id)
        if person is None:
            raise Refusal("invalid_grant", 50034, f"The user account does not exist in the {self._tenant} directory.")
        people.require_enabled(person)
        asked = delegation.asked(context, self._tenant, scope)
        self._require_valid(asked)
        delegation.require_assignment(context.store, person, client, asked)
        delegation.require_consent(context.store, client, person, asked)
        answer = issuance.personal_tokens(
            context,
            self._tenant,
            client,
            person,
            asked,
            proof=self._proof,
            nonce=nonce,
            renewable="offline_access" in grant.scope.split(),
            confidential=grant.confidential,
        )
        if self._form.get("client_info") == "1":
            answer["client_info"] = issuance.client_info(self._tenant, person)
        return answer, person

    def _require_valid(self, asked: Asked) -> None:
        if len(asked.wishes) > 1:
            raise Refusal(
                "invalid_request",
                28000,
                "Provided value for the input parameter scope is not valid because it contains more than one resource. "
                f"Scope {asked.text} is not valid.",
            )
        delegation.require_wellformed(asked)
        if delegation.unknown_scope(asked) is not None:
            raise Refusal(
                "invalid_scope",
                70011,
                "The provided value for the input parameter 'scope' is not valid. The scope "
                f"'{asked.text}' does not exist.",
            )

    def _require_guid_for_itself(self, asked: Asked) -> None:
        """Outside of a sign-in a client that is its own API must name it by its client id."""
        client = self._client
        spelling = asked.resource.spelling
        if asked.resource.id == client.client_id and spelling.lower() != client.client_id:
            raise Refusal(
                "invalid_request",
                90009,
                f"Application '{client.client_id}'({client.name}) is requesting a token for itself. This scenario is "
                "supported only if resource is specified using the GUID based App Identifier.",
            )

    def _require_own(self, grant: Grant) -> None:
        if (grant.client_id, grant.tenant_id) != (self._client.client_id, self._tenant):
            raise Refusal("invalid_grant", 70000, "Provided grant is invalid or malformed.")

    def _required(self, name: str) -> str:
        value = self._form.get(name)
        if not value:
            raise missing_parameter(name)
        return value


def _check_verifier(code: Code, verifier: str | None) -> None:
    expected = code.code_challenge
    if expected is None and verifier is None:
        return
    presented = verifier or ""
    if code.code_challenge_method == "S256":
        presented = base64.urlsafe_b64encode(hashlib.sha256(presented.encode()).digest()).decode().rstrip("=")
    if expected is None or not secrets.compare_digest(presented.encode(), expected.encode()):
        raise Refusal(
            "invalid_grant",
            501481,
            "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
        )
