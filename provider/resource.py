"""What the engine asks of a resource, and what the answers have in common.

The place of what lies in a vault is the vault's address and the name: another place is another resource. Decisions
about change are made from the state alone, so that a preview needs no right beyond reading the stack.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final, Protocol

from pulumi.provider.experimental.provider import (
    CheckFailure,
    CheckRequest,
    CheckResponse,
    CreateRequest,
    CreateResponse,
    DeleteRequest,
    DiffRequest,
    DiffResponse,
    PropertyDiff,
    PropertyDiffKind,
    ReadRequest,
    ReadResponse,
    UpdateRequest,
    UpdateResponse,
)
from pydantic_core import ErrorDetails

from plugin import UNKNOWN, property_of, property_path

AT_ONCE: Final = 0.0
"""How long a refresh or an import waits for a permission, in seconds: whoever looks can look again."""

PLACE: Final = ("vaultUri", "name")


class Resource(Protocol):
    """One type of resource, from the first preview to the end."""

    async def check(self, request: CheckRequest) -> CheckResponse: ...

    async def diff(self, request: DiffRequest) -> DiffResponse: ...

    async def create(self, request: CreateRequest) -> CreateResponse: ...

    async def update(self, request: UpdateRequest) -> UpdateResponse: ...

    async def read(self, request: ReadRequest) -> ReadResponse: ...

    async def delete(self, request: DeleteRequest) -> None: ...


def type_of(urn: str) -> str:
    """Return the type token of a URN (`urn:pulumi:STACK::PROJECT::PARENTS$TYPE::NAME`)."""
    return urn.split("::")[2].rpartition("$")[2]


def failures(problems: Sequence[ErrorDetails]) -> list[CheckFailure]:
    """Return what is wrong with inputs as the engine shows it: where it stands, and why."""
    return [CheckFailure(property=property_path(problem["loc"]), reason=problem["msg"]) for problem in problems]


def in_its_vault(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return the new inputs with the vault's address, where a preview does not know it and the vault is the same.

    A vault's address never changes, whatever else of it does.
    """
    if new.get("vaultId") == old.get("vaultId") and new.get("vaultUri") == UNKNOWN:
        return {**new, "vaultUri": old["vaultUri"]}
    return new


def moved(changes: dict[str, PropertyDiff], place: Collection[str] = PLACE) -> list[str]:
    """Return which changes are of the place, and mark them as replacing.

    The vault's ID is no part of the place: Azure changes its spelling, and what is created in the same vault under the
    same name is what would then be deleted.
    """
    replaces = [path for path in changes if path in place]
    for path in replaces:
        changes[path] = PropertyDiff(PropertyDiffKind.UPDATE_REPLACE, input_diff=True)
    return replaces


def diff_response(
    changes: dict[str, PropertyDiff], replaces: list[str], place: Collection[str] = PLACE
) -> DiffResponse:
    """Return the answer that these changes make."""
    return DiffResponse(
        changes=bool(changes),
        replaces=replaces,
        diffs=sorted({property_of(path) for path in changes}),
        detailed_diff=changes,
        stables=[*place],
    )
