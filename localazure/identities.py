"""The identities that a fresh local Azure has, with their roles, and the file that tells tests and tools about them."""

import json
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

from localazure.access import ROLE_ASSIGNMENTS, assignment_key, role_named
from localazure.entra import directory
from localazure.files import write_atomically
from localazure.store import Store
from localazure.vaults import timestamp

_DEPLOYER = ("Contributor", "Role Based Access Control Administrator")
_ROLES_AT_SUBSCRIPTION: dict[str, tuple[str, ...]] = {
    "deployer": _DEPLOYER,
    "deployer2": _DEPLOYER,
    "previewer": ("Reader", "Key Vault Reader"),
    "nobody": ("Reader",),
    "reader-server": (),
    "reader-ui": (),
    "reader-cli": (),
    "reader-worker": (),
}


def seed(store: Store, subscription_id: str) -> None:
    """Create the identities and their role assignments, once for a state directory."""
    if directory.principals(store):
        return
    with store.transaction():
        for name, roles in _ROLES_AT_SUBSCRIPTION.items():
            principal = directory.create(store, name, "ServicePrincipal")
            for role in roles:
                _assign(store, principal["objectId"], role, f"/subscriptions/{subscription_id}")


def write(store: Store, tenant_id: str, path: Path) -> None:
    """`{name: {tenantId, objectId, kind, clientId, clientSecret}}`, the last two for service principals only. Mode
    0600.
    """
    shown = ("objectId", "kind", "clientId", "clientSecret")
    identities = {
        principal["name"]: {"tenantId": tenant_id, **{key: principal[key] for key in shown if key in principal}}
        for principal in directory.principals(store)
    }
    write_atomically(path, json.dumps(identities, indent=2).encode(), mode=0o600)


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
