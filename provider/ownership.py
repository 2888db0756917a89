"""Whose a certificate or a secret in a vault is: tags with the project, the stack and the resource that made it.

A killed `up` leaves in a vault what no state knows of. The next one takes up what carries its own tags, and touches
nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

_LONGEST_VALUE = 256
_PREFIX = "pulumi-"
KEY_ONLY = "temporal-azure-key-only"
"""Marks the version that an authority's key was made with: it certifies nothing, and is disabled in the end."""


@dataclass(frozen=True)
class Owner:
    """The resource that owns something in a vault, by its URN (`urn:pulumi:STACK::PROJECT::TYPE::NAME`)."""

    urn: str

    @property
    def tags(self) -> dict[str, str]:
        """The tags that mark something as this resource's. A URN too long for a tag stands as its SHA-256."""
        stack, project, *_ = self.urn.removeprefix("urn:pulumi:").split("::")
        urn = self.urn
        if len(urn) > _LONGEST_VALUE:
            urn = f"sha256:{hashlib.sha256(urn.encode()).hexdigest()}"
        return {f"{_PREFIX}project": project, f"{_PREFIX}stack": stack, f"{_PREFIX}urn": urn}

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Tell whether what carries `tags` was made by this resource."""
        return tags.items() >= self.tags.items()

    def without(self, tags: Mapping[str, str], declared: Collection[str] = ()) -> dict[str, str]:
        """Return `tags` without those that mark the owner, whoever that is, but for names that are `declared` too."""
        return {name: value for name, value in tags.items() if name not in self.tags or name in declared}

    def adoption(self, type_token: str, resource_id: str) -> str:
        """Say how what exists becomes this resource's, and what else can be done, for a message."""
        name = self.urn.rpartition("::")[2]
        return (
            f"If it should belong to this stack, run `pulumi import {type_token} {name} {resource_id} --parent "
            f"parent=URN --provider provider=URN --protect=false --generate-code=false`, with the URNs that `pulumi "
            f"stack --show-urns` gives of its component and of the provider; else remove it, or raise "
            f"vaults.generation to begin with new vaults."
        )


def maker(tags: Mapping[str, str]) -> str:
    """Say who made what carries `tags`, for a message."""
    stack = tags.get(f"{_PREFIX}stack")
    if stack is None:
        return "made by hand or by another program"
    return f"made by the stack {stack} of the project {tags.get(f'{_PREFIX}project')}"
