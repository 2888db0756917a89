"""The shapes of inputs and outputs, read from the installed SDK, and the conversions between them and ARM's bodies.

Nothing is listed by hand: property names, nesting, types and what is required come from the SDK's classes, so that the
stand-in is exactly as strict as the SDK that the program was written against. Only the packages of resources that are
used are imported: all of `network` takes half a second.
"""

import enum
import inspect
import typing
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from types import UnionType
from typing import Any

import pulumi
from pulumi import _types as sdk

from localazure.plugins.azure_native.specs import ENVELOPE, FLATTENED, REFERENCES, Spec
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
        return {name: _type_of(annotation) for name, annotation in annotations.items()}

    @cached_property
    def required(self) -> frozenset[str]:
        """Properties that the SDK does not let a program leave out. Only for classes of inputs."""
        wire_names = sdk.input_type_py_to_pulumi_names(self._class)
        parameters = list(inspect.signature(self._class).parameters.values())
        return frozenset(
            wire_names[parameter.name] for parameter in parameters if parameter.default is inspect.Parameter.empty
        )

    def container(self, name: str) -> bool:
        """Tell whether ARM has the property inside of `properties`, although the SDK does not."""
        return self.name in FLATTENED and name not in ENVELOPE


@dataclass(frozen=True)
class ResourceShape:
    """The inputs and outputs of one resource type."""

    inputs: Shape
    outputs: Shape


def shape_of(spec: Spec) -> ResourceShape:
    """Return the shape of a resource type, importing its package of the SDK."""
    module = import_module(f"pulumi_azure_native.{spec.module}")
    return ResourceShape(Shape(getattr(module, f"{spec.class_name}Args")), Shape(getattr(module, spec.class_name)))


def _type_of(annotation: Any) -> Type:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, UnionType):
        plain = [
            argument
            for argument in arguments
            if argument is not type(None) and typing.get_origin(argument) not in (Awaitable, pulumi.Output)
        ]
        # A string beside an enumeration is an open enumeration: every string is allowed.
        return _type_of(str if str in plain else plain[0])
    if origin is not None and issubclass(origin, Mapping):
        return Type("object", item=_type_of(arguments[1]))
    if origin is not None and issubclass(origin, Sequence):
        return Type("array", item=_type_of(arguments[0]))
    if annotation in _KINDS:
        return Type(_KINDS[annotation])
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return Type("string", choices=frozenset(str(member.value) for member in annotation))
    if isinstance(annotation, type) and (sdk.is_input_type(annotation) or sdk.is_output_type(annotation)):
        return Type("object", shape=Shape(annotation))
    return Type("any")


def problems(shape: Shape, values: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield what is wrong with inputs: missing, unknown or of another type. A value not yet known is never wrong."""
    prefix = f"{path}." if path else ""
    for name in sorted(shape.required - values.keys()):
        yield f"missing required property '{prefix}{name}'"
    for name, value in values.items():
        if name not in shape.properties:
            known = ", ".join(sorted(shape.properties))
            yield f"unknown property '{prefix}{name}': {shape.name} takes {known}"
        elif name not in REFERENCES.get(shape.name, shape.properties):
            yield f"'{prefix}{name}' is not known to the stand-in for azure-native: give an existing {shape.name}'s id"
        else:
            yield from _value_problems(shape.properties[name], value, prefix + name)


def _value_problems(expected: Type, value: Any, path: str) -> Iterator[str]:
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
        yield from problems(expected.shape, value, path)
    elif isinstance(value, Mapping) and expected.item is not None:
        for key, item in value.items():
            yield from _value_problems(expected.item, item, f"{path}.{key}")
    elif isinstance(value, list) and expected.item is not None:
        for index, item in enumerate(value):
            yield from _value_problems(expected.item, item, f"{path}[{index}]")


def _kind_of(value: Any) -> str:
    if isinstance(value, Mapping):
        return "object"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "array"
    return _KINDS.get(type(value), "null")


def to_body(shape: Shape, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a PUT for inputs. Those that are no property of the class are left out."""
    body: dict[str, Any] = {}
    for name, value in inputs.items():
        if name in shape.properties:
            container = body.setdefault("properties", {}) if shape.container(name) else body
            container[name] = _converted(shape.properties[name], value, to_body)
    return body


def from_body(shape: Shape, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the shape knows of an ARM body. Absent and null properties are left out."""
    inner = {} if "properties" in shape.properties else body.get("properties") or {}
    found = {name: body.get(name, inner.get(name)) for name in shape.properties}
    return {
        name: _converted(shape.properties[name], value, from_body) for name, value in found.items() if value is not None
    }


def as_inputs(shape: Shape, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of outputs that could also have been given as inputs."""
    return {
        name: _converted(shape.properties[name], value, as_inputs)
        for name, value in outputs.items()
        if name in shape.properties
    }


def previewed(shape: Shape, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the outputs that a create or update will have, as far as the inputs tell; the rest is `UNKNOWN`."""
    return {
        name: _converted(expected, inputs[name], previewed) if name in inputs else UNKNOWN
        for name, expected in shape.properties.items()
    }


def _converted(expected: Type, value: Any, convert: Callable[[Shape, Mapping[str, Any]], dict[str, Any]]) -> Any:
    if isinstance(value, Mapping) and expected.shape is not None:
        return convert(expected.shape, value)
    if isinstance(value, Mapping) and expected.item is not None:
        return {key: _converted(expected.item, item, convert) for key, item in value.items()}
    if isinstance(value, list) and expected.item is not None:
        return [_converted(expected.item, item, convert) for item in value]
    return value
