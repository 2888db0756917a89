"""What tokens say. Pure: who, for what and how long is decided by the callers, the signature is put by tokens.py.

"Access token claims reference" and "ID token claims reference" (learn.microsoft.com) name the claims. `sub` is
pairwise: two applications that compare it learn nothing about a person, where `oid` is the same for all of the tenant.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from localazure.entra.applications import Application
from localazure.entra.resources import Resource
from localazure.store import Document

Claims = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Who issues a token and when, in seconds since the epoch."""

    issuer: str
    tenant_id: str
    now: int
    lifetime_seconds: int


def of_application(frame: Frame, client: Application, resource: Resource, *, roles: list[str], proof: str) -> Claims:
    """An access token for the application itself. `proof` is how it authenticated: 1 by secret, 2 by assertion."""
    claims = _common(frame, resource.audience) | {"oid": client.object_id, "sub": client.object_id}
    if roles:
        claims["roles"] = roles
    if resource.version == 2:
        return claims | {"azp": client.client_id, "azpacr": proof, "ver": "2.0"}
    return claims | {
        "appid": client.client_id,
        "appidacr": proof,
        "idp": frame.issuer,
        "idtyp": "app",
        "ver": "1.0",
    }


def of_person(
    frame: Frame,
    client: Application,
    person: Document,
    resource: Resource,
    *,
    scopes: tuple[str, ...],
    roles: list[str],
    proof: str,
) -> Claims:
    """An access token for a person, for whom the client acts. `proof` is 0 for a public client."""
    claims = _common(frame, resource.audience) | {
        "oid": person["objectId"],
        "sub": _pairwise(person, resource.id),
        "name": person["displayName"],
        "scp": " ".join(scopes),
    }
    if roles:
        claims["roles"] = roles
    if resource.version == 2:
        name = {"preferred_username": person["userPrincipalName"]}
        return claims | name | {"azp": client.client_id, "azpacr": proof, "ver": "2.0"}
    return claims | {
        "acr": "1",
        "amr": ["pwd"],
        "appid": client.client_id,
        "appidacr": proof,
        "unique_name": person["userPrincipalName"],
        "upn": person["userPrincipalName"],
        "ver": "1.0",
    }


def of_identity(
    frame: Frame, client: Application, person: Document, *, scopes: tuple[str, ...], roles: list[str], nonce: str | None
) -> Claims:
    """An id token, always of version 2. `roles` are those of the client."""
    claims = _common(frame, client.client_id) | {
        "oid": person["objectId"],
        "sub": _pairwise(person, client.client_id),
        "ver": "2.0",
    }
    if "profile" in scopes:
        claims |= {"name": person["displayName"], "preferred_username": person["userPrincipalName"]}
    if "email" in scopes and person.get("mail"):
        claims["email"] = person["mail"]
    if nonce is not None:
        claims["nonce"] = nonce
    if roles:
        claims["roles"] = roles
    return claims


def of_user_info(person: Document, client_id: str, scopes: list[str]) -> Claims:
    """What the userinfo endpoint tells the client of a person; `sub` is the id token's."""
    claims = {"sub": _pairwise(person, client_id)}
    if "profile" in scopes:
        given, _, family = person["displayName"].partition(" ")
        claims |= {"name": person["displayName"], "given_name": given, "family_name": family}
    if "email" in scopes and person.get("mail"):
        claims["email"] = person["mail"]
    return claims


def _common(frame: Frame, audience: str) -> Claims:
    return {
        "aud": audience,
        "iss": frame.issuer,
        "iat": frame.now,
        "nbf": frame.now,
        "exp": frame.now + frame.lifetime_seconds,
        "tid": frame.tenant_id,
        "uti": secrets.token_urlsafe(16),
        "rh": f"1.{secrets.token_urlsafe(32)}.",
    }


def _pairwise(person: Document, application: str) -> str:
    digest = hashlib.sha256(f"{person['tenantId']} {person['objectId']} {application}".encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
