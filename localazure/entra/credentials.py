"""How a client proves that it is itself: a secret, in the form or as HTTP basic, a federated assertion, or nothing.

A workload identity carries its credentials itself; of an application made through Graph they are the application's.
Entra would fetch the keys of a federated credential's issuer. The local Azure asks nobody: the control plane gives
them, with the credential or for the issuer.
"""

import base64
import binascii
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

import jwt

from localazure.entra.applications import Application
from localazure.entra.errors import Refusal
from localazure.store import Document, Store

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_CLOCK_SKEW_SECONDS = 300
_KIND, _ISSUER = "entra", "issuer/"

PUBLIC, BY_SECRET, BY_ASSERTION = "0", "1", "2"
"""How a client authenticated, in the words of the claims appidacr and azpacr."""


def with_basic(form: Mapping[str, str], authorization: str) -> dict[str, str]:
    """The form with client id and secret from the header of HTTP basic, if there is one (RFC 6749 2.3.1)."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return dict(form)
    try:
        client_id, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = ""
    if not colon:
        raise Refusal("invalid_request", 900144, "The Authorization header is not one of HTTP basic.")
    return {**form, "client_id": unquote_plus(client_id), "client_secret": unquote_plus(secret)}


def trust_issuer(store: Store, issuer: str, jwks: dict[str, Any]) -> None:
    """The keys that the issuer of federated assertions publishes."""
    store.put(_KIND, _ISSUER + issuer, {"jwks": jwks})


def proof(store: Store, client: Application, form: Mapping[str, str], now: float) -> str:
    """BY_SECRET or BY_ASSERTION, once the client has proved to be itself, or PUBLIC if it presents nothing.

    Refusal when what it presents is not its own. Whether PUBLIC is enough is for the caller to say.
    """
    if "client_assertion" in form:
        _check_assertion(store, client, form)
        return BY_ASSERTION
    if "client_secret" in form:
        _check_secret(client, form["client_secret"], now)
        return BY_SECRET
    return PUBLIC


def require_proof(proof: str) -> None:
    if proof == PUBLIC:
        raise Refusal(
            "invalid_client",
            7000218,
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        )


def is_secret_of(principal: Document, presented: str) -> bool:
    """Whether that is the workload identity's own secret."""
    return _are_same(principal.get("clientSecret", ""), presented)


def _check_secret(client: Application, presented: str, now: float) -> None:
    if is_secret_of(client.principal, presented):
        return
    known = client.registration.get("_secrets") or {}
    for credential in client.registration.get("passwordCredentials") or ():
        if not _are_same(known.get(credential["keyId"], ""), presented):
            continue
        if _has_ended(credential.get("endDateTime"), now):
            raise Refusal(
                "invalid_client",
                7000222,
                f"The provided client secret keys for app '{client.client_id}' are expired. Visit the Azure portal to "
                "create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate "
                "credentials for added security: https://aka.ms/certCreds.",
            )
        return
    raise Refusal(
        "invalid_client",
        7000215,
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
        f"value, not the client secret ID, for a secret added to app '{client.client_id}'.",
    )


def _check_assertion(store: Store, client: Application, form: Mapping[str, str]) -> None:
    malformed = Refusal("invalid_client", 50027, "JWT token is invalid or malformed.")
    if form.get("client_assertion_type") != _ASSERTION_TYPE:
        raise malformed
    try:
        header = jwt.get_unverified_header(form["client_assertion"])
        claims: dict[str, Any] = jwt.decode(form["client_assertion"], options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise malformed from error
    credentials = [
        *client.principal.get("federatedCredentials", ()),
        *client.registration.get("_federatedIdentityCredentials", ()),
    ]
    credential = next((each for each in credentials if _names(each, claims)), None)
    if credential is None:
        raise Refusal(
            "invalid_client",
            700213,
            "No matching federated identity record found for presented assertion subject "
            f"'{claims.get('sub')}'. Assertion issuer '{claims.get('iss')}', audience '{claims.get('aud')}'. Check "
            "your federated identity credential Subject, Audience and Issuer against the presented assertion.",
        )
    issuer = store.get(_KIND, _ISSUER + credential["issuer"]) or {}
    jwks = credential.get("jwks") or issuer.get("jwks")
    if jwks is None:
        raise Refusal(
            "invalid_client",
            501661,
            f"Request to External OIDC endpoint failed: the local Azure has not been told the keys of "
            f"'{credential['issuer']}' (PUT /_local/issuers).",
        )
    try:
        keys = jwt.PyJWKSet.from_dict(jwks)
        jwt.decode(
            form["client_assertion"],
            keys[header.get("kid", "")],
            algorithms=["RS256"],
            audience=credential["audiences"],
            leeway=_CLOCK_SKEW_SECONDS,
            options={"require": ["exp"]},
        )
    except (jwt.InvalidTokenError, jwt.PyJWKSetError, KeyError) as error:
        raise Refusal(
            "invalid_client", 700027, f"The assertion failed signature validation or has expired: {error}."
        ) from error


def _names(credential: Document, claims: dict[str, Any]) -> bool:
    """Whether the federated credential is for this issuer, subject and audience, compared exactly, as Entra does."""
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    return (
        credential["issuer"] == claims.get("iss")
        and credential["subject"] == claims.get("sub")
        and any(each in credential["audiences"] for each in audiences)
    )


def _are_same(known: str, presented: str) -> bool:
    return bool(known) and secrets.compare_digest(known.encode(), presented.encode())


def _has_ended(instant: str | None, now: float) -> bool:
    return instant is not None and datetime.fromisoformat(instant).timestamp() <= now
