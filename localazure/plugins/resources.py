"""What the stand-ins have in common: by what they find what they know of a resource type."""

from collections.abc import Mapping
from typing import TypeVar

from plugin import PluginError

Spec = TypeVar("Spec")


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
