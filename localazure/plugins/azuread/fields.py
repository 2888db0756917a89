"""One property of a resource, in the program's words and in Graph's, and what follows from a table of them.

A resource's properties are listed once. From the list come the body of a request, the outputs for an answer, the
defaults, and the form in which inputs and outputs are compared: without what is empty or the default, and with sets in
one order, because the official plugin tells neither apart.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from plugin import UNKNOWN, has_unknown

Plain = Mapping[str, Any]
Rule = Callable[[str, Any], str | None]
"""Returns what is wrong with the value of a path, or None."""


class Kind(Enum):
    """How a value is written to Graph when there is none, and how its absence is read."""

    TEXT = auto()
    """A string; left out, it is sent as an empty one."""
    OPTIONAL_TEXT = auto()
    """A string; empty or left out, it is sent as null."""
    FLAG = auto()
    NUMBER = auto()
    LIST = auto()
    JOINED = auto()
    """A list of strings that Graph has as one string with commas."""
    MAP = auto()
    """A map of strings that Graph never sees."""


_ZEROS: Mapping[Kind, Any] = {
    Kind.TEXT: "",
    Kind.OPTIONAL_TEXT: "",
    Kind.FLAG: False,
    Kind.NUMBER: 0,
    Kind.LIST: [],
    Kind.JOINED: [],
    Kind.MAP: {},
}


@dataclass(frozen=True, kw_only=True)
class Field:
    """One property. Names are paths with dots, through objects that hold properties and nothing else."""

    name: str
    graph: str = ""
    """Where Graph has it. Empty when Graph does not have it, or it is written in a request of its own."""
    kind: Kind = Kind.TEXT
    default: Any = None
    items: "Sequence[Field]" = ()
    """The properties of each item of a list of objects."""
    ordered: bool = False
    """Whether a list is one to the official plugin. Most are sets there."""
    computed: bool = False
    """Whether it stays as it is when it is not given any more."""
    replaces: bool = False
    """Whether a change of it replaces the resource."""
    kept: bool = False
    """Whether only the state knows it: Graph does not answer it."""
    rules: Sequence[Rule] = ()
    """What is asked of its value, or of each item of a list of values."""
    at_most: int | None = None
    at_least: int = 0

    @property
    def zero(self) -> Any:
        return _ZEROS[self.kind]

    def significant(self, value: Any) -> bool:
        """Tell whether a value differs from what nothing at all would mean."""
        return bool(value not in (None, self.default if self.default is not None else self.zero))


def value_at(values: Any, name: str) -> Any:
    """Return the value at a path with dots; None if there is none, unknown if what should hold it is unknown."""
    for part in name.split("."):
        if values == UNKNOWN:
            return UNKNOWN
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def put(values: dict[str, Any], name: str, value: Any) -> None:
    """Put a value at a path with dots."""
    *containers, last = name.split(".")
    for container in containers:
        inner = values.get(container)
        values[container] = values = dict(inner) if isinstance(inner, Mapping) else {}
    values[last] = value


def encoded(fields: Sequence[Field], values: Plain) -> dict[str, Any]:
    """Return the body of a request for values: everything that Graph has, with its default where it is left out."""
    body: dict[str, Any] = {}
    for field in fields:
        if field.graph:
            put(body, field.graph, _encoded(field, value_at(values, field.name)))
    return body


def _encoded(field: Field, value: Any) -> Any:
    if value is None:
        value = field.zero if field.default is None else field.default
    if field.kind is Kind.OPTIONAL_TEXT:
        return value or None
    if field.kind is Kind.JOINED:
        return ",".join(value) or None
    return [encoded(field.items, item) for item in value] if field.items else value


def decoded(fields: Sequence[Field], answer: Plain) -> dict[str, Any]:
    """Return the outputs for an answer of Graph."""
    values: dict[str, Any] = {}
    for field in fields:
        if field.graph:
            put(values, field.name, _decoded(field, value_at(answer, field.graph)))
    return values


def _decoded(field: Field, value: Any) -> Any:
    if value is None:
        return field.zero if field.default is None else field.default
    if field.kind is Kind.JOINED:
        return [part.strip() for part in value.split(",")]
    return [decoded(field.items, item) for item in value] if field.items else value


def with_defaults(fields: Sequence[Field], values: Plain) -> dict[str, Any]:
    """Return inputs with their defaults, of objects only where these are given."""
    result = {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}
    for field in fields:
        container, _, _ = field.name.rpartition(".")
        value = value_at(values, field.name)
        held = not container or isinstance(value_at(values, container), Mapping)
        if value is None and field.default is not None and held:
            put(result, field.name, field.default)
        elif field.items and isinstance(value, list):
            items = [with_defaults(field.items, item) if isinstance(item, Mapping) else item for item in value]
            put(result, field.name, items)
    return result


def comparable(fields: Sequence[Field], values: Plain) -> dict[str, Any]:
    """Return what is significant of values, in one form for all values that are the same to the official plugin."""
    result: dict[str, Any] = {}
    for field in fields:
        value = value_at(values, field.name)
        if value == UNKNOWN:
            put(result, field.name, UNKNOWN)
            continue
        if isinstance(value, list):
            if field.items:
                value = [comparable(field.items, item) if isinstance(item, Mapping) else item for item in value]
            if not field.ordered:
                value = [json.loads(item) for item in sorted({json.dumps(item, sort_keys=True) for item in value})]
        if field.significant(value):
            put(result, field.name, value)
    return result


def problems(fields: Sequence[Field], values: Plain, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield what is wrong with values whose shapes are right, and where. A value not yet known is never wrong."""
    for field in fields:
        value, at = value_at(values, field.name), f"{path}{field.name}"
        if value is None or value == UNKNOWN:
            continue
        items = [(f"{at}[{index}]", item) for index, item in enumerate(value)] if isinstance(value, list) else []
        if isinstance(value, list) and not has_unknown(value):
            count = len(value)
            if field.at_most is not None and count > field.at_most:
                yield at, f"Attribute {at} supports {field.at_most} item maximum, but config has {count} declared"
            if count < field.at_least:
                yield at, f"Attribute {at} requires {field.at_least} item minimum, but config has only {count} declared"
        if field.items:
            for place, item in items:
                if isinstance(item, Mapping):
                    yield from problems(field.items, item, f"{place}.")
            continue
        for place, item in items if isinstance(value, list) else [(at, value)]:
            if item != UNKNOWN:
                yield from ((place, found) for rule in field.rules if (found := rule(place, item)))
