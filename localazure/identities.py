"""The identities that a fresh local Azure has, with their roles, and the file that tells tests and tools about them.

The workloads have roles at the subscription and permissions at Microsoft Graph; the people and groups are whom sign-on
may let in; the stranger is of another tenant, and has there whatever a token of this one must not give.
"""

import json
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from localazure.access import ROLE_ASSIGNMENTS, assignment_key, role_named
from localazure.entra import directory, firstparty
from localazure.entra.directory import APP_ROLE_ASSIGNMENTS, APPLICATIONS, DOMAIN, PRINCIPALS
from localazure.files import write_atomically
from localazure.store import Document, Store
from localazure.vaults import timestamp


@dataclass(frozen=True, slots=True)
class _Workload:
    name: str
    roles: tuple[str, ...] = ()
    """At the subscription."""
    graph_roles: tuple[str, ...] = ()


_DEPLOYS = (
    ("Contributor", "Role Based Access Control Administrator"),
    (
        "Application.ReadWrite.OwnedBy",
        "AppRoleAssignment.ReadWrite.All",
        "Directory.Read.All",
        "DelegatedPermissionGrant.ReadWrite.All",
    ),
)
_WORKLOADS = (
    _Workload("deployer", *_DEPLOYS),
    _Workload("deployer2", *_DEPLOYS),
    _Workload("previewer", ("Reader", "Key Vault Reader"), ("Directory.Read.All",)),
    _Workload("nobody", ("Reader",), ("Directory.Read.All",)),
    _Workload("reader-server"),
    _Workload("reader-ui"),
    _Workload("reader-cli"),
    _Workload("reader-worker"),
)
_GROUPS = ("Temporal Operators", "Temporal Readers")
_PEOPLE: dict[str, dict[str, Any]] = {
    "ada": {"displayName": "Ada Lovelace"},
    "bob": {"displayName": "Bob Bell"},
    "eve": {"displayName": "Eve Unassigned"},
    "guest": {
        "displayName": "Grace Guest",
        "userPrincipalName": f"grace_partner.example#EXT#@{DOMAIN}",
        "mail": "grace@partner.example",
        "userType": "Guest",
    },
}
_MEMBERS = {"bob": "Temporal Operators"}
_SHOWN = ("tenantId", "objectId", "kind", "clientId", "clientSecret", "userPrincipalName", "mail", "password")
_STRANGER = "stranger"
_STRANGERS_ROLE = "temporal-system:admin"


def seed(store: Store, tenant_id: str, other_tenant_id: str, subscription_id: str) -> None:
    """Create the identities with what they may do; what a state directory has of them already stays."""
    with store.transaction():
        for principal in directory.principals(store):
            if "tenantId" not in principal:
                store.put(PRINCIPALS, principal["objectId"], principal | {"tenantId": tenant_id})
        firstparty.seed(store, tenant_id)
        for workload in _WORKLOADS:
            _seed_workload(store, workload, tenant_id, subscription_id)
        for name in _GROUPS:
            _once(store, name, "Group", tenant_id)
        for name, fields in _PEOPLE.items():
            groups = [_once(store, _MEMBERS[name], "Group", tenant_id)["objectId"]] if name in _MEMBERS else []
            _once(store, name, "User", tenant_id, memberOf=groups, **fields)
        if directory.by_name(store, _STRANGER) is None:
            _seed_stranger(store, other_tenant_id)


def write(store: Store, path: Path) -> None:
    """`{name: {tenantId, objectId, kind, clientId, clientSecret, userPrincipalName, mail, password}}`, each as far as
    the kind has it. Mode 0600.
    """
    identities = {
        principal["name"]: {key: principal[key] for key in _SHOWN if key in principal}
        for principal in directory.identities(store)
    }
    write_atomically(path, json.dumps(identities, indent=2).encode(), mode=0o600)


def _once(store: Store, name: str, kind: directory.Kind, tenant_id: str, **fields: Any) -> Document:
    return directory.by_name(store, name) or directory.create(store, name, kind, tenant_id, **fields)


def _seed_workload(store: Store, workload: _Workload, tenant_id: str, subscription_id: str) -> None:
    known = directory.by_name(store, workload.name)
    if known is not None:
        store.put(PRINCIPALS, known["objectId"], {"graphRoles": list(workload.graph_roles)} | known)
        return
    principal = directory.create(
        store, workload.name, "ServicePrincipal", tenant_id, graphRoles=list(workload.graph_roles)
    )
    for role in workload.roles:
        _assign(store, principal["objectId"], role, f"/subscriptions/{subscription_id}")


def _seed_stranger(store: Store, tenant_id: str) -> None:
    """An application of the other tenant that holds its own role, whose value is one that the main tenant's
    applications use, too.
    """
    principal = directory.create(store, _STRANGER, "ServicePrincipal", tenant_id)
    application_id, role_id, assignment_id = (str(uuid.uuid4()) for _ in range(3))
    role = {
        "id": role_id,
        "value": _STRANGERS_ROLE,
        "displayName": _STRANGERS_ROLE,
        "description": _STRANGERS_ROLE,
        "allowedMemberTypes": ["User", "Application"],
        "isEnabled": True,
        "origin": "Application",
    }
    application = {
        "id": application_id,
        "appId": principal["clientId"],
        "displayName": _STRANGER,
        "signInAudience": "AzureADMyOrg",
        "identifierUris": [f"api://{principal['clientId']}"],
        "api": {
            "requestedAccessTokenVersion": 2,
            "oauth2PermissionScopes": [],
            "preAuthorizedApplications": [],
            "knownClientApplications": [],
        },
        "appRoles": [role],
        "web": {"redirectUris": []},
        "spa": {"redirectUris": []},
        "publicClient": {"redirectUris": []},
        "passwordCredentials": [],
        "keyCredentials": [],
        "requiredResourceAccess": [],
        "tags": [],
        "_tenantId": tenant_id,
        "_secrets": {},
        "_owners": [],
        "_federatedIdentityCredentials": [],
    }
    store.put(APPLICATIONS, application_id, application)
    store.put(PRINCIPALS, principal["objectId"], principal | {"applicationObjectId": application_id})
    store.put(
        APP_ROLE_ASSIGNMENTS,
        f"{principal['objectId']}/{assignment_id}",
        {
            "id": assignment_id,
            "appRoleId": role_id,
            "principalId": principal["objectId"],
            "principalType": "ServicePrincipal",
            "principalDisplayName": _STRANGER,
            "resourceId": principal["objectId"],
            "resourceDisplayName": _STRANGER,
            "createdDateTime": timestamp(datetime.now(UTC)),
        },
    )


def _assign(store: Store, principal_id: str, role_name: str, scope: str) -> None:
    name = str(uuid.uuid4())
    definitions = f"{scope}/providers/Microsoft.Authorization/roleDefinitions"
    now = time.time()
    instant = timestamp(datetime.fromtimestamp(now, UTC))
    store.put(
        ROLE_ASSIGNMENTS,
        assignment_key(principal_id, scope, name),
        {
            "id": f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}",
            "name": name,
            "scope": scope,
            "roleDefinitionId": f"{definitions}/{role_named(role_name).id}",
            "principalId": principal_id,
            "principalType": "ServicePrincipal",
            "description": None,
            "createdOn": instant,
            "updatedOn": instant,
            "createdBy": principal_id,
            "updatedBy": principal_id,
            "assignedAt": now,
        },
    )
