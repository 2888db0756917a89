"""Who may do what on a vault: Azure's built-in roles, assigned on exactly the scope that needs them.

An assignment's name is derived from scope, role and principal, so that a killed run finds its own again. Whoever runs
the first `up` is taken where nobody is named, and stays: a later run by somebody else changes nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import pulumi
from pulumi_azure_native import authorization

_FIRST_CALLER = "first-caller"
_NAMES = uuid.UUID("6f0fbb2c-6f3c-5f0e-9d0a-6d1f6f1d2a51")


class VaultRole(Enum):
    """Azure's built-in roles that this program assigns: title and role definition."""

    CERTIFICATES_OFFICER = ("Key Vault Certificates Officer", "a4417e6f-fecd-4de8-b567-7b0420556985")
    CRYPTO_USER = ("Key Vault Crypto User", "12338af0-0e69-4776-bea7-57ae8d297424")
    SECRETS_OFFICER = ("Key Vault Secrets Officer", "b86a8fe4-44ce-4948-aee5-eccb2c155cd7")
    SECRETS_USER = ("Key Vault Secrets User", "4633458b-17de-408a-b874-0445c86b69e6")

    @property
    def title(self) -> str:
        """The role's name as Azure shows it."""
        return self.value[0]

    @property
    def definition(self) -> str:
        """The role definition's GUID, the same in every tenant."""
        return self.value[1]


@dataclass(frozen=True)
class Principal:
    """Somebody or something in Entra ID: object ID, and `User`, `Group` or `ServicePrincipal`.

    `first_caller`: it is there because it ran the first `up`, and it stays whoever runs the next.
    """

    object_id: str
    kind: str
    first_caller: bool = False

    @property
    def key(self) -> str:
        """Tells it from others, in names that stay: its object ID, or `first-caller`."""
        return _FIRST_CALLER if self.first_caller else self.object_id


EVERY_LEAF = "*"
"""Stands for every leaf among those whose secrets somebody may read."""


class NamedPrincipal(Protocol):
    """Somebody by object ID and kind, as the stack names them."""

    @property
    def id(self) -> str: ...

    @property
    def kind(self) -> str: ...


class Caller(Protocol):
    """Who runs this."""

    @property
    def object_id(self) -> str: ...

    @property
    def kind(self) -> str: ...


class NamedAccess(Protocol):
    """Who may issue, and who may read which secret, as the stack names them."""

    @property
    def manage(self) -> bool: ...

    @property
    def deployers(self) -> Sequence[NamedPrincipal]: ...

    @property
    def readers(self) -> Mapping[str, Sequence[NamedPrincipal]]: ...


@dataclass(frozen=True)
class Access:
    """Who may issue certificates, and who may read the secrets of a leaf that they stand under, or of `EVERY_LEAF`.

    Without `manage` the deployers' roles are looked for, not assigned, and nobody is made a reader.
    """

    deployers: Sequence[Principal]
    readers: Mapping[str, Sequence[Principal]]
    manage: bool = True

    @classmethod
    def resolved(cls, named: NamedAccess, caller: Caller) -> Access:
        """Return it with the caller, as the first one, where nobody is named."""
        first_caller = [Principal(caller.object_id, caller.kind, first_caller=True)]

        def principals(items: Sequence[NamedPrincipal]) -> Sequence[Principal]:
            return [Principal(item.id, item.kind) for item in items] or first_caller

        readers = {name: principals(items) for name, items in (named.readers or {EVERY_LEAF: ()}).items()}
        return cls(principals(named.deployers), readers if named.manage else {}, named.manage)


def assign(
    name: str,
    role: VaultRole,
    scope: pulumi.Input[str],
    principals: Sequence[Principal],
    subscription_id: str,
    parent: pulumi.Resource,
) -> list[authorization.RoleAssignment]:
    """Declare `role` on `scope` for each principal; logical names begin with `name`.

    Who is named takes the first caller's place, and the other way round, before anybody else is assigned: the two may
    be the same, and Azure refuses a second equal assignment.
    """
    assignments: list[authorization.RoleAssignment] = []
    logical_name = f"{name}-{role.name.lower().replace('_', '-')}"
    # azure-native reads a scope back without its first slash: written so, an imported assignment is no other.
    scope = pulumi.Output.from_input(scope).apply(lambda path: path.lstrip("/"))
    for principal in principals:
        assignment_name = pulumi.Output.all(scope, role.definition, principal.key).apply(
            lambda parts: str(uuid.uuid5(_NAMES, "|".join(parts).lower()))
        )
        predecessor = principal.object_id if principal.first_caller else _FIRST_CALLER
        assignments.append(
            authorization.RoleAssignment(
                f"{logical_name}-{principal.key}",
                scope=scope,
                role_assignment_name=assignment_name,
                role_definition_id=(
                    f"/subscriptions/{subscription_id}/providers/Microsoft.Authorization/roleDefinitions/{role.definition}"
                ),
                principal_id=principal.object_id,
                principal_type=principal.kind,
                opts=pulumi.ResourceOptions(
                    parent=parent,
                    ignore_changes=["principalId", "principalType"] if principal.first_caller else None,
                    aliases=None if assignments else [pulumi.Alias(name=f"{logical_name}-{predecessor}")],
                    delete_before_replace=True,
                    depends_on=assignments[:1],
                ),
            )
        )
    return assignments
