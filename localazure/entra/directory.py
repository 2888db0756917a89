"""The directory's documents: principals, applications, app role assignments and delegated grants, of every tenant.

A principal is under its object id: `name`, `kind`, `objectId`, `tenantId` and `memberOf` (group object ids).

- A service principal also has `clientId`. A workload identity, which is seeded or made through the control plane, has
  a `clientSecret`, `federatedCredentials` (`issuer`, `subject`, `audiences`, `jwks`: Entra would fetch the issuer's
  keys; they are given here, since the local Azure asks nobody) and `graphRoles`, its permissions at Microsoft Graph.
  One made through Graph has `applicationObjectId` and `servicePrincipal`, what Graph shows beyond ids and name; its
  credentials are the application's.
- A user has `displayName`, `userPrincipalName`, `mail`, `userType` and `password`; a group `displayName`.

An application is under its object id as Graph shows it, plus what Graph never shows, marked by an underscore:
`_tenantId`, `_secrets` (by key id), `_owners` and `_federatedIdentityCredentials`.
"""

import secrets
import uuid
from typing import Any, Literal, get_args

from localazure.store import Document, Store

PRINCIPALS = "principals"
APPLICATIONS = "applications"
APP_ROLE_ASSIGNMENTS = "app-role-assignments"
PERMISSION_GRANTS = "permission-grants"
DOMAIN = "contoso.example"
Kind = Literal["ServicePrincipal", "Group", "User"]
KINDS = get_args(Kind)


def create(store: Store, name: str, kind: Kind, tenant_id: str, **fields: Any) -> Document:
    """A new identity with ids and what its kind has: a secret, a password, names. `fields` come on top."""
    principal: Document = {
        "name": name,
        "kind": kind,
        "objectId": str(uuid.uuid4()),
        "tenantId": tenant_id,
        "identity": True,
        "memberOf": [],
    }
    if kind == "ServicePrincipal":
        principal |= {
            "clientId": str(uuid.uuid4()),
            "clientSecret": secrets.token_urlsafe(30),
            "federatedCredentials": [],
            "graphRoles": [],
        }
    elif kind == "Group":
        principal |= {"displayName": name}
    else:
        address = f"{name}@{DOMAIN}"
        principal |= {
            "displayName": name,
            "userPrincipalName": address,
            "mail": address,
            "userType": "Member",
            "password": secrets.token_urlsafe(16),
        }
    principal |= fields
    store.put(PRINCIPALS, principal["objectId"], principal)
    return principal


def principals(store: Store, tenant_id: str | None = None) -> list[Document]:
    """Those of the tenant, or all."""
    return [each for _, each in store.items(PRINCIPALS) if tenant_id in (None, each.get("tenantId"))]


def identities(store: Store) -> list[Document]:
    """Those that tests and tools know by name: not what was made through Graph, and nothing of Microsoft's."""
    return [each for each in principals(store) if each.get("identity", True)]


def by_object_id(store: Store, object_id: str) -> Document | None:
    return store.get(PRINCIPALS, object_id.lower())


def by_client_id(store: Store, client_id: str, tenant_id: str | None = None) -> Document | None:
    """The service principal of the application; in the tenant, if one is given."""
    wanted = client_id.lower()
    return next((each for each in principals(store, tenant_id) if each.get("clientId") == wanted), None)


def by_name(store: Store, name: str) -> Document | None:
    """The identity of that name."""
    return next((each for each in identities(store) if each["name"] == name), None)


def application_by_client_id(store: Store, client_id: str) -> Document | None:
    """The application, of whichever tenant."""
    wanted = client_id.lower()
    return next((each for _, each in store.items(APPLICATIONS) if each["appId"] == wanted), None)
