"""Tokens for what has been decided, with the lifetimes that are dialled."""

import base64
import json
from typing import Any

from localazure.context import Context
from localazure.entra import applications, claims
from localazure.entra.applications import Application
from localazure.entra.codes import Codes, Grant
from localazure.entra.delegation import Asked, Wish, granted
from localazure.entra.resources import Resource
from localazure.store import Document


def application_token(
    context: Context, tenant_id: str, client: Application, resource: Resource, *, proof: str
) -> dict[str, Any]:
    """The answer to a client that asks for itself."""
    roles = applications.roles(context.store, client.principal, resource.api) if resource.api else []
    frame = _frame(context, tenant_id, resource.version)
    says = claims.of_application(frame, client, resource, roles=roles, proof=proof)
    return _answer(frame, access_token=context.tokens.sign(says))


def personal_tokens(
    context: Context,
    tenant_id: str,
    client: Application,
    person: Document,
    asked: Asked,
    *,
    proof: str,
    nonce: str | None,
    renewable: bool,
    confidential: bool,
) -> dict[str, Any]:
    """The answer to a client that acts for a person: an access token for the first resource it asks for, an id token
    with `openid`, and a refresh token if it is `renewable`.
    """
    store, resource = context.store, asked.resource
    openid = tuple(scope for scope in asked.openid if scope != "offline_access")
    wish = asked.wishes[0] if asked.wishes else Wish(resource=resource, values=())
    values = granted(store, client, person, wish)
    is_graph = resource.id == asked.graph.id
    frame = _frame(context, tenant_id, resource.version)
    says = claims.of_person(
        frame,
        client,
        person,
        resource,
        scopes=(*values, *openid) if is_graph else values,
        roles=applications.roles(store, person, resource.api) if resource.api else [],
        proof=proof,
    )
    spelt = values if is_graph else [f"{resource.spelling}/{value}" for value in values]
    answer = _answer(frame, access_token=context.tokens.sign(says), scope=" ".join((*spelt, *openid)))
    if "openid" in openid:
        says = claims.of_identity(
            _frame(context, tenant_id, 2),
            client,
            person,
            scopes=openid,
            roles=applications.roles(store, person, client),
            nonce=nonce,
        )
        answer["id_token"] = context.tokens.sign(says)
    if renewable:
        answer["refresh_token"] = Codes(store).issue_refresh_token(
            Grant(
                tenant_id=tenant_id,
                client_id=client.client_id,
                person_id=person["objectId"],
                scope=asked.text,
                confidential=confidential,
                issued_at=context.clock(),
            )
        )
    return answer


def client_info(tenant_id: str, person: Document) -> str:
    """What MSAL asks for (`client_info=1`), to tell its cached accounts apart."""
    told = json.dumps({"uid": person["objectId"], "utid": tenant_id}).encode()
    return base64.urlsafe_b64encode(told).decode().rstrip("=")


def _frame(context: Context, tenant_id: str, version: int) -> claims.Frame:
    return claims.Frame(
        issuer=context.tokens.issuer(tenant_id, version),
        tenant_id=tenant_id,
        now=int(context.clock()),
        lifetime_seconds=context.dials.token_lifetime_seconds,
    )


def _answer(frame: claims.Frame, **tokens: str) -> dict[str, Any]:
    return {
        "token_type": "Bearer",
        "expires_in": frame.lifetime_seconds,
        "ext_expires_in": frame.lifetime_seconds,
        **tokens,
    }
