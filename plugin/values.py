"""Property values of the engine as plain Python data, and back.

The engine's wire values carry a secret mark and dependencies; a provider's decisions need neither, so they are made
on plain dictionaries, and what is secret is marked again in the answer. Two rules hold everywhere: what is not yet
known is the string `UNKNOWN`, and numbers go out as floats, the only ones that the protocol has.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import PropertyDiff, PropertyDiffKind
from pulumi.runtime import rpc

UNKNOWN: Final[str] = rpc.UNKNOWN
"""Stands for a value that the engine will know only once other resources exist (in previews)."""


def plain(value: PropertyValue | Mapping[str, PropertyValue]) -> Any:
    """Return a property value, or a map of them, as plain data; secret marks and dependencies are dropped.

    Integral numbers come back as `int`. Properties that begin with two underscores are the engine's own and are left
    out; further down, in a map of tags for one, such keys are the user's.
    """
    if not isinstance(value, PropertyValue):
        return {key: plain(item) for key, item in value.items() if not key.startswith("__")}
    inner = value.value
    if isinstance(inner, Mapping):
        return {key: plain(item) for key, item in inner.items()}
    if isinstance(inner, Sequence) and not isinstance(inner, str):
        return [plain(item) for item in inner]
    if isinstance(inner, float) and inner.is_integer():
        return int(inner)
    return inner


def property_value(value: Any) -> PropertyValue:
    """Return plain data as a property value."""
    if isinstance(value, Mapping):
        return PropertyValue({key: property_value(item) for key, item in value.items()})
    if isinstance(value, Sequence) and not isinstance(value, str):
        return PropertyValue([property_value(item) for item in value])
    if isinstance(value, int) and not isinstance(value, bool):
        return PropertyValue(float(value))
    return PropertyValue(value)


def property_values(values: Mapping[str, Any], *, secrets: Collection[str] = ()) -> dict[str, PropertyValue]:
    """Return a plain dictionary as the map of property values that a response takes; `secrets` are marked as such."""
    return {key: property_value(item).with_secret(key in secrets) for key, item in values.items()}


def has_unknown(value: Any) -> bool:
    """Tell whether plain data is, or holds at any depth, a value that is not yet known."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return any(has_unknown(item) for item in value)
    return bool(value == UNKNOWN)


def property_path(steps: Iterable[str | int]) -> str:
    """Return where a value stands as the engine writes it: `policy.keyType`, `names[0]`, `tags["cost.center"]`."""
    path = ""
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        elif re.fullmatch(r"[A-Za-z_$][\w$]*", step, re.ASCII):
            path += f".{step}" if path else step
        else:
            path += f"[{json.dumps(step, ensure_ascii=False)}]"
    return path


def property_of(path: str) -> str:
    """Return the property that a path begins with."""
    return re.split(r"[.\[]", path, maxsplit=1)[0]


def difference(old: Any, new: Any, at: tuple[str, ...] = ()) -> dict[str, PropertyDiff]:
    """Return what `new` changes of `old`, as the engine's detailed diff: paths (`property_path`) and kinds.

    A value that is not yet known counts as changed, because nobody can say that it is not.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        changes: dict[str, PropertyDiff] = {}
        for key in sorted(old.keys() | new.keys()):
            inner = property_path((*at, key))
            if key not in new:
                changes[inner] = PropertyDiff(PropertyDiffKind.DELETE, input_diff=True)
            elif key not in old:
                changes[inner] = PropertyDiff(PropertyDiffKind.ADD, input_diff=True)
            else:
                changes |= difference(old[key], new[key], (*at, key))
        return changes
    if old == new and not has_unknown(new):
        return {}
    return {property_path(at): PropertyDiff(PropertyDiffKind.UPDATE, input_diff=True)}
