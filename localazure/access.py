"""Who may do what: built-in roles, and role assignments evaluated over a scope.

The table holds each role as Azure publishes it (learn.microsoft.com, "Azure built-in roles"), as far as the actions
concern what is served here. Only the data plane has propagation: ARM honours an assignment at once, which is the kinder
of what Azure does.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from localazure.store import Document, Store

ROLE_ASSIGNMENTS = "roleAssignments"


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller, as its token and the directory describe it. `issued_at` is the token's `iat`, in seconds since the
    epoch.
    """

    name: str
    object_id: str
    client_id: str
    tenant_id: str
    issuer: str
    issued_at: int
    groups: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The caller as Key Vault's refusals put it."""
        return f"appid={self.client_id};oid={self.object_id};iss={self.issuer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    id: str
    name: str
    description: str
    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Propagation:
    """How long the data plane ignores a new assignment, and how much longer for a token older than it. Seconds."""

    seconds: float = 0
    stale_token_seconds: float = 0


_SUPPORT = ("Microsoft.Support/*",)
_VAULT_MANAGEMENT = (
    "Microsoft.Authorization/*/read",
    "Microsoft.Insights/alertRules/*",
    "Microsoft.Resources/deployments/*",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
    "Microsoft.Support/*",
    "Microsoft.KeyVault/checkNameAvailability/read",
    "Microsoft.KeyVault/deletedVaults/read",
    "Microsoft.KeyVault/locations/*/read",
    "Microsoft.KeyVault/vaults/*/read",
    "Microsoft.KeyVault/operations/read",
)

ROLES = (
    Role(
        id="8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
        name="Owner",
        description="Everything, role assignments included.",
        actions=("*",),
    ),
    Role(
        id="b24988ac-6180-42a0-ab88-20f7382dd24c",
        name="Contributor",
        description="Every resource, but no role assignments.",
        actions=("*",),
        not_actions=(
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
            "Microsoft.Blueprint/blueprintAssignments/write",
            "Microsoft.Blueprint/blueprintAssignments/delete",
            "Microsoft.Compute/galleries/share/action",
            "Microsoft.Purview/consents/write",
            "Microsoft.Purview/consents/delete",
            "Microsoft.Resources/deploymentStacks/manageDenySetting/action",
            "Microsoft.Subscription/cancel/action",
            "Microsoft.Subscription/enable/action",
        ),
    ),
    Role(
        id="acdd72a7-3385-48ef-bd42-f606fba81ae7",
        name="Reader",
        description="See every resource, change none.",
        actions=("*/read",),
    ),
    Role(
        id="18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
        name="User Access Administrator",
        description="Manage who has access.",
        actions=("*/read", "Microsoft.Authorization/*", *_SUPPORT),
    ),
    Role(
        id="f58310d9-a9f6-439a-9e8d-f62e7b41a168",
        name="Role Based Access Control Administrator",
        description="Assign roles, and nothing else that gives access.",
        actions=(
            "Microsoft.Authorization/roleAssignments/write",
            "Microsoft.Authorization/roleAssignments/delete",
            "*/read",
            *_SUPPORT,
        ),
    ),
    Role(
        id="f25e0fa2-a7c8-4377-a976-54943a77a395",
        name="Key Vault Contributor",
        description="Manage vaults, not what is in them.",
        actions=(
            "Microsoft.Authorization/*/read",
            "Microsoft.Insights/alertRules/*",
            "Microsoft.KeyVault/*",
            "Microsoft.Resources/deployments/*",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
            *_SUPPORT,
        ),
        not_actions=(
            "Microsoft.KeyVault/locations/deletedVaults/purge/action",
            "Microsoft.KeyVault/hsmPools/*",
            "Microsoft.KeyVault/managedHsms/*",
        ),
    ),
    Role(
        id="00482a5a-887f-4fb3-b363-3b7fe8e74483",
        name="Key Vault Administrator",
        description="Everything in a vault.",
        actions=_VAULT_MANAGEMENT,
        data_actions=("Microsoft.KeyVault/vaults/*",),
    ),
    Role(
        id="21090545-7ca7-4776-b22c-e363652d74d2",
        name="Key Vault Reader",
        description="Metadata of what is in a vault; no secret values, no key operations.",
        actions=_VAULT_MANAGEMENT,
        data_actions=("Microsoft.KeyVault/vaults/*/read", "Microsoft.KeyVault/vaults/secrets/readMetadata/action"),
    ),
    Role(
        id="a4417e6f-fecd-4de8-b567-7b0420556985",
        name="Key Vault Certificates Officer",
        description="Everything about certificates, except permissions.",
        actions=_VAULT_MANAGEMENT,
        data_actions=(
            "Microsoft.KeyVault/vaults/certificatecas/*",
            "Microsoft.KeyVault/vaults/certificates/*",
            "Microsoft.KeyVault/vaults/certificatecontacts/write",
        ),
    ),
    Role(
        id="db79e9a7-68ee-4b58-9aeb-b90e7c24fcba",
        name="Key Vault Certificate User",
        description="Read certificates with their keys.",
        data_actions=(
            "Microsoft.KeyVault/vaults/certificates/read",
            "Microsoft.KeyVault/vaults/secrets/getSecret/action",
            "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
            "Microsoft.KeyVault/vaults/keys/read",
        ),
    ),
    Role(
        id="14b46e9e-c2b7-41b4-b07b-48a6ebf60603",
        name="Key Vault Crypto Officer",
        description="Everything about keys, except permissions.",
        actions=_VAULT_MANAGEMENT,
        data_actions=("Microsoft.KeyVault/vaults/keys/*", "Microsoft.KeyVault/vaults/keyrotationpolicies/*"),
    ),
    Role(
        id="12338af0-0e69-4776-bea7-57ae8d297424",
        name="Key Vault Crypto User",
        description="Use keys: sign, verify, encrypt, decrypt, wrap, unwrap.",
        data_actions=(
            "Microsoft.KeyVault/vaults/keys/read",
            "Microsoft.KeyVault/vaults/keys/update/action",
            "Microsoft.KeyVault/vaults/keys/backup/action",
            "Microsoft.KeyVault/vaults/keys/encrypt/action",
            "Microsoft.KeyVault/vaults/keys/decrypt/action",
            "Microsoft.KeyVault/vaults/keys/wrap/action",
            "Microsoft.KeyVault/vaults/keys/unwrap/action",
            "Microsoft.KeyVault/vaults/keys/sign/action",
            "Microsoft.KeyVault/vaults/keys/verify/action",
        ),
    ),
    Role(
        id="b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
        name="Key Vault Secrets Officer",
        description="Everything about secrets, except permissions.",
        actions=_VAULT_MANAGEMENT,
        data_actions=("Microsoft.KeyVault/vaults/secrets/*",),
    ),
    Role(
        id="4633458b-17de-408a-b874-0445c86b69e6",
        name="Key Vault Secrets User",
        description="Read secret values.",
        data_actions=(
            "Microsoft.KeyVault/vaults/secrets/getSecret/action",
            "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
        ),
    ),
)

_ROLES_BY_ID = {role.id: role for role in ROLES}


def role(role_definition_id: str) -> Role | None:
    """The role that a role definition id, full or the bare GUID, names."""
    return _ROLES_BY_ID.get(role_definition_id.rsplit("/", 1)[-1].lower())


def role_named(name: str) -> Role:
    """The built-in role of that name; LookupError if it is not in the table."""
    for candidate in ROLES:
        if candidate.name == name:
            return candidate
    raise LookupError(f"no built-in role is named {name!r}")


def assignment_key(principal_id: str, scope: str, name: str) -> str:
    """The store key of a role assignment: by principal first, because that is what every request asks for."""
    return f"{principal_id}{scope}/{name}".lower()


def covers(assigned_scope: str, scope: str) -> bool:
    """Whether an assignment at `assigned_scope` is inherited by `scope`."""
    parent, child = assigned_scope.rstrip("/").lower(), scope.rstrip("/").lower()
    return child == parent or child.startswith(parent + "/")


def permits(store: Store, principal: Principal, scope: str, action: str) -> bool:
    """Whether a management action is allowed at the scope."""
    return any(
        _matches(role.actions, action) and not _matches(role.not_actions, action)
        for role, _ in _held(store, principal, scope)
    )


def permits_data(
    store: Store, principal: Principal, scope: str, data_action: str, *, now: float, propagation: Propagation
) -> bool:
    """Whether a data action is allowed at the scope, by assignments that have reached the data plane at `now`."""
    for held, assignment in _held(store, principal, scope):
        assigned_at = float(assignment["assignedAt"])
        stale = principal.issued_at < int(assigned_at)
        wait = propagation.seconds + (propagation.stale_token_seconds if stale else 0)
        if now >= assigned_at + wait and _matches(held.data_actions, data_action):
            return True
    return False


def _held(store: Store, principal: Principal, scope: str) -> Iterable[tuple[Role, Document]]:
    for holder in (principal.object_id, *principal.groups):
        for _, assignment in store.items(ROLE_ASSIGNMENTS, f"{holder}/"):
            held = role(assignment["roleDefinitionId"])
            if held is not None and covers(assignment["scope"], scope):
                yield held, assignment


def _matches(patterns: Iterable[str], action: str) -> bool:
    return any(_pattern(pattern).fullmatch(action) for pattern in patterns)


@cache
def _pattern(wildcard: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in wildcard.split("*")), re.IGNORECASE)
