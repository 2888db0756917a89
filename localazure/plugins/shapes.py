"""The shapes of inputs and outputs, read from an installed Pulumi SDK, and what is wrong with values of them.

Nothing is listed by hand: property names, nesting, types and what is required come from the SDK's classes, so that a
stand-in is exactly as strict as the SDK that the program was written against.
"""

import enum
import inspect
import re
import typing
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import UnionType
from typing import Any

import pulumi
from pulumi import _types as sdk

from plugin import UNKNOWN

_KINDS = {str: "string", bool: "boolean", int: "integer", float: "number"}


@dataclass(frozen=True)
class Type:
    """What one value may be. `kind` is OpenAPI's word for it, which the official messages use too."""

    kind: str
    item: "Type | None" = None
    shape: "Shape | None" = None
    choices: frozenset[str] = frozenset()


class Shape:
    """The properties of one SDK class, by their names on the wire."""

    def __init__(self, sdk_class: type) -> None:
        self._class = sdk_class
        self.name = sdk_class.__name__.removesuffix("Args").removesuffix("Response")

    @cached_property
    def properties(self) -> Mapping[str, Type]:
        if sdk.is_input_type(self._class):
            annotations = sdk.input_type_types(self._class)
        elif sdk.is_output_type(self._class):
            annotations = sdk.output_type_types(self._class)
        else:
            annotations = {"id": str, **sdk.resource_types(self._class)}
        return {name: type_of(annotation) for name, annotation in annotations.items()}

    @cached_property
    def required(self) -> frozenset[str]:
        """Properties that the SDK does not let a program leave out. Only for classes of inputs."""
        wire_names = sdk.input_type_py_to_pulumi_names(self._class)
        parameters = list(inspect.signature(self._class).parameters.values())
        return frozenset(
            wire_names[parameter.name] for parameter in parameters if parameter.default is inspect.Parameter.empty
        )


class Arguments(Shape):
    """The arguments of one SDK function that are sent, by their names on the wire."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.name = function.__name__
        self._parameters = {
            re.sub(r"_(\w)", lambda match: match[1].upper(), name): parameter
            for name, parameter in inspect.signature(function).parameters.items()
            if name != "opts"
        }

    @cached_property
    def properties(self) -> Mapping[str, Type]:
        return {name: type_of(parameter.annotation) for name, parameter in self._parameters.items()}

    @cached_property
    def required(self) -> frozenset[str]:
        return frozenset(
            name for name, parameter in self._parameters.items() if parameter.default is inspect.Parameter.empty
        )


@dataclass(frozen=True)
class Limits:
    """What a stand-in refuses although the SDK knows it."""

    allowed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """What may be given of a class of the SDK, by its name; of others, everything."""
    refusal: str = ""
    """Why the rest is refused and what to do, with the class's name for `{shape}`."""


def type_of(annotation: Any) -> Type:
    """Return what a value may be by its annotation in the SDK."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, UnionType):
        plain = [
            argument
            for argument in arguments
            if argument is not type(None) and typing.get_origin(argument) not in (Awaitable, pulumi.Output)
        ]
        # A string beside an enumeration is an open enumeration: every string is allowed.
        return type_of(str if str in plain else plain[0])
    if origin is not None and issubclass(origin, Mapping):
        return Type("object", item=type_of(arguments[1]))
    if origin is not None and issubclass(origin, Sequence):
        return Type("array", item=type_of(arguments[0]))
    if annotation in _KINDS:
        return Type(_KINDS[annotation])
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return Type("string", choices=frozenset(str(member.value) for member in annotation))
    if isinstance(annotation, type) and (sdk.is_input_type(annotation) or sdk.is_output_type(annotation)):
        return Type("object", shape=Shape(annotation))
    return Type("any")


def problems(shape: Shape, values: Mapping[str, Any], limits: Limits, path: str = "") -> Iterator[str]:
    """Yield what is wrong with inputs: missing, unknown or of another type. A value not yet known is never wrong."""
    prefix = f"{path}." if path else ""
    for name in sorted(shape.required - values.keys()):
        yield f"missing required property '{prefix}{name}'"
    for name, value in values.items():
        if name not in shape.properties:
            known = ", ".join(sorted(shape.properties))
            yield f"unknown property '{prefix}{name}': {shape.name} takes {known}"
        elif name not in limits.allowed.get(shape.name, shape.properties):
            yield f"'{prefix}{name}' {limits.refusal.format(shape=shape.name)}"
        else:
            yield from _value_problems(shape.properties[name], value, limits, prefix + name)


def _value_problems(expected: Type, value: Any, limits: Limits, path: str) -> Iterator[str]:
    if value == UNKNOWN or expected.kind == "any":
        return
    kind = _kind_of(value)
    if kind == "number" and expected.kind == "integer":
        yield f"'{path}' must be an integer but got {value}"
    elif kind != expected.kind and not (kind == "integer" and expected.kind == "number"):
        article = "an" if kind[0] in "aeiou" else "a"
        yield f"'{path}' should be of type '{expected.kind}' but got {article} {kind}"
    elif expected.choices and value not in expected.choices:
        yield f"'{path}' should be one of {', '.join(sorted(expected.choices))} but got '{value}'"
    elif expected.shape is not None:
        yield from problems(expected.shape, value, limits, path)
    elif isinstance(value, Mapping) and expected.item is not None:
        for key, item in value.items():
            yield from _value_problems(expected.item, item, limits, f"{path}.{key}")
    elif isinstance(value, list) and expected.item is not None:
        for index, item in enumerate(value):
            yield from _value_problems(expected.item, item, limits, f"{path}[{index}]")


def _kind_of(value: Any) -> str:
    if isinstance(value, Mapping):
        return "object"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "array"
    return _KINDS.get(type(value), "null")
