"""The principals of the one tenant: service principals, groups, users.

A document per principal under its object id: `name`, `kind`, `objectId`, `memberOf` (group object ids) and, for a
service principal, `clientId`, `clientSecret` and `federatedCredentials` (`issuer`, `subject`, `audiences`, `jwks`).
Entra would fetch the issuer's keys; they are given here, since the local Azure asks nobody.
"""

import secrets
import uuid
from typing import Literal, get_args

from localazure.store import Document, Store

PRINCIPALS = "principals"
Kind = Literal["ServicePrincipal", "Group", "User"]
KINDS = get_args(Kind)


def create(store: Store, name: str, kind: Kind) -> Document:
    """A new principal with ids and, for a service principal, a secret of its own."""
    principal: Document = {"name": name, "kind": kind, "objectId": str(uuid.uuid4()), "memberOf": []}
    if kind == "ServicePrincipal":
        principal |= {
            "clientId": str(uuid.uuid4()),
            "clientSecret": secrets.token_urlsafe(30),
            "federatedCredentials": [],
        }
    store.put(PRINCIPALS, principal["objectId"], principal)
    return principal


def principals(store: Store) -> list[Document]:
    return [principal for _, principal in store.items(PRINCIPALS)]


def by_object_id(store: Store, object_id: str) -> Document | None:
    return store.get(PRINCIPALS, object_id.lower())


def by_client_id(store: Store, client_id: str) -> Document | None:
    wanted = client_id.lower()
    return next((each for each in principals(store) if each.get("clientId") == wanted), None)


def by_name(store: Store, name: str) -> Document | None:
    return next((each for each in principals(store) if each["name"] == name), None)
