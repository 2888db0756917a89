"""The shapes of azure-native's resources, and the conversions between values of them and ARM's bodies.

Only the packages of resources that are used are imported: all of `network` takes half a second.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from localazure.plugins.azure_native.specs import ENVELOPE, FLATTENED, REFERENCES, Spec
from localazure.plugins.shapes import Limits, Shape, Type
from plugin import UNKNOWN

LIMITS = Limits(REFERENCES, "is not known to the stand-in for azure-native: give an existing {shape}'s id")


@dataclass(frozen=True)
class ResourceShape:
    """The inputs and outputs of one resource type."""

    inputs: Shape
    outputs: Shape


def shape_of(spec: Spec) -> ResourceShape:
    """Return the shape of a resource type, importing its package of the SDK."""
    module = import_module(f"pulumi_azure_native.{spec.module}")
    return ResourceShape(Shape(getattr(module, f"{spec.class_name}Args")), Shape(getattr(module, spec.class_name)))


def to_body(shape: Shape, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a PUT for inputs. Those that are no property of the class are left out."""
    body: dict[str, Any] = {}
    for name, value in inputs.items():
        if name in shape.properties:
            container = body.setdefault("properties", {}) if _in_container(shape, name) else body
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


def _in_container(shape: Shape, name: str) -> bool:
    """Tell whether ARM has the property inside of `properties`, although the SDK does not."""
    return shape.name in FLATTENED and name not in ENVELOPE


def _converted(expected: Type, value: Any, convert: Callable[[Shape, Mapping[str, Any]], dict[str, Any]]) -> Any:
    if isinstance(value, Mapping) and expected.shape is not None:
        return convert(expected.shape, value)
    if isinstance(value, Mapping) and expected.item is not None:
        return {key: _converted(expected.item, item, convert) for key, item in value.items()}
    if isinstance(value, list) and expected.item is not None:
        return [_converted(expected.item, item, convert) for item in value]
    return value
