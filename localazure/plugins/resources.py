"""What the stand-ins' resources have in common: by what a type's spec is found, and how a change is told that replaces.

What replaces is each plugin's own.
"""

from collections.abc import Mapping
from typing import Final, TypeVar

from pulumi.provider.experimental.provider import PropertyDiff, PropertyDiffKind

from plugin import PluginError

Spec = TypeVar("Spec")

REPLACEMENTS: Final = {
    PropertyDiffKind.ADD: PropertyDiffKind.ADD_REPLACE,
    PropertyDiffKind.DELETE: PropertyDiffKind.DELETE_REPLACE,
    PropertyDiffKind.UPDATE: PropertyDiffKind.UPDATE_REPLACE,
}
"""The kind of a change that replaces the resource, by what it would be if it did not."""


def spec_of(token: str, specs: Mapping[str, Spec], plugin: str) -> Spec:
    """Return the spec of a type as the engine names it, which may be qualified by its parents' types.

    Raises:
        PluginError: if the stand-in for `plugin` does not serve the type.
    """
    spec = specs.get(token.rpartition("$")[2])
    if spec is None:
        raise PluginError(
            f"Resource type {token} not found: the stand-in for {plugin} serves {', '.join(specs)}. "
            "Nothing was done. Add it to the stand-in, or use the official plugin."
        )
    return spec


def replaced_by(changes: Mapping[str, PropertyDiff]) -> list[str]:
    """Return the paths of the changes that replace the resource."""
    return [path for path, change in changes.items() if change.kind in REPLACEMENTS.values()]
