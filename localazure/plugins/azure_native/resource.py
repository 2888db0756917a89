"""What the official azure-native plugin decides about one resource, as pure functions on plain data.

Which inputs are wrong, which changes replace, what is sent to ARM, and what refresh and import make of an answer.
The rules are those of the official plugin, odd as some of them look.
"""

from collections.abc import Mapping
from functools import cache
from re import search
from typing import Any, Self

from pulumi.provider.experimental.provider import PropertyDiff, PropertyDiffKind

from localazure.plugins.azure_native.shapes import LIMITS, as_inputs, from_body, previewed, shape_of, to_body
from localazure.plugins.azure_native.specs import SPECS, Spec
from localazure.plugins.resources import REPLACEMENTS, spec_of
from localazure.plugins.shapes import problems
from plugin import UNKNOWN, PluginError, difference, property_of

API_VERSION = "azureApiVersion"
_STABLE_OUTPUTS = ("name", "location")

Plain = Mapping[str, Any]


class Resource:
    """One resource type: its spec, its shape in the SDK, and the rules between inputs, outputs and ARM's bodies."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._shape = shape_of(spec)

    @classmethod
    @cache
    def of(cls, token: str) -> Self:
        """Return the resource for a type. Raises PluginError if the stand-in does not serve it."""
        return cls(spec_of(token, SPECS, "azure-native"))

    @property
    def has_location(self) -> bool:
        return "location" in self._shape.inputs.properties

    def problems(self, inputs: Plain) -> list[str]:
        """Return what is wrong with inputs that have their defaults."""
        found = list(problems(self._shape.inputs, inputs, LIMITS))
        for name in sorted(self.spec.required - inputs.keys()):
            hint = ". Either set it explicitly or configure it with 'pulumi config set azure-native:location <value>'."
            found.append(f"missing required property '{name}'{hint if name == 'location' else ''}")
        for name, pattern in self.spec.patterns.items():
            value = inputs.get(name)
            if isinstance(value, str) and value != UNKNOWN and not search(pattern, value):
                found.append(f"'{name}' does not match expression '{pattern}'")
        return found

    def changes(self, old_inputs: Plain, inputs: Plain, outputs: Plain) -> dict[str, PropertyDiff]:
        """Return what new inputs change, with the changes that replace the resource marked as such.

        Locations and names of resource groups differ neither by case nor, the former, by spaces. An input that was not
        given before and now says what the resource has anyway replaces nothing.
        """
        changes = difference(old_inputs, inputs)
        for path, change in list(changes.items()):
            name = property_of(path)
            if _same_to_azure(name, old_inputs.get(name), inputs.get(name)):
                del changes[path]
            elif name in self.spec.replacing or name in self.spec.path_parameters:
                added_as_it_is = change.kind is PropertyDiffKind.ADD and outputs.get(name) == inputs.get(name)
                if not added_as_it_is:
                    changes[path] = PropertyDiff(REPLACEMENTS[change.kind], change.input_diff)
        return changes

    def body(self, inputs: Plain) -> dict[str, Any]:
        """Return the body of the PUT for inputs."""
        return to_body(self._shape.inputs, self._without_path(inputs))

    def omits_shared_list(self, values: Plain) -> bool:
        """Tell whether inputs, or a body, leave the list alone that others may manage too."""
        return bool(self.spec.shared_list) and _get(values, self.spec.shared_list) is None

    def fill_shared_list(self, body: dict[str, Any], current: Plain) -> None:
        """Put the list that others may manage too into a body that omits it: as `current` has it, else empty."""
        *containers, name = self.spec.shared_list
        for container in containers:
            body = body.setdefault(container, {})
        body[name] = _get(current, self.spec.shared_list) or []

    def outputs(self, answer: Plain) -> dict[str, Any]:
        """Return the outputs for ARM's answer."""
        return from_body(self._shape.outputs, answer) | {API_VERSION: self.spec.api_version}

    def previewed(self, inputs: Plain, old_outputs: Plain) -> dict[str, Any]:
        """Return the outputs as far as they are known before anything is written. `old_outputs` is empty at create."""
        stable = {name: old_outputs[name] for name in _STABLE_OUTPUTS if name in old_outputs}
        return previewed(self._shape.outputs, inputs) | stable

    def refreshed(self, inputs: Plain, old_outputs: Plain, outputs: Plain) -> dict[str, Any]:
        """Return the inputs after a refresh: what changed in Azure is taken over, and nothing else.

        Inputs are not compared with outputs, because ARM adds defaults that nobody set.
        """
        before = as_inputs(self._shape.inputs, old_outputs)
        after = as_inputs(self._shape.inputs, outputs)
        if self.omits_shared_list(inputs):
            for side in (before, after):
                _remove(side, self.spec.shared_list)
        return _drifted(inputs, before, after)

    def imported(self, resource_id: str, answer: Plain) -> dict[str, Any]:
        """Return the inputs that would have made the resource that ARM answers; empty collections say nothing.

        Raises:
            PluginError: if the id is not one of this type.
        """
        path_inputs = self.spec.inputs_of(resource_id)
        if path_inputs is None:
            raise PluginError(f"failed to parse '{resource_id}' against the path '{self.spec.path}'")
        body_inputs = from_body(self._shape.inputs, {name: value for name, value in answer.items() if name != "id"})
        return {**_without_empty(body_inputs), **path_inputs}

    def _without_path(self, values: Plain) -> dict[str, Any]:
        return {name: value for name, value in values.items() if name not in self.spec.path_parameters}


def _same_to_azure(name: str, old: Any, new: Any) -> bool:
    if not isinstance(old, str) or not isinstance(new, str):
        return False
    if name == "location":
        return old.replace(" ", "").lower() == new.replace(" ", "").lower()
    return name == "resourceGroupName" and old.lower() == new.lower()


def _get(values: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        values = values.get(name) if isinstance(values, Mapping) else None
    return values


def _drifted(inputs: Plain, before: Plain, after: Plain) -> dict[str, Any]:
    result = {name: value for name, value in inputs.items() if name in after or name not in before}
    for name, new in after.items():
        if name not in before:
            result[name] = new
        elif before[name] != new:
            result[name] = _drifted_value(inputs.get(name), before[name], new)
    return result


def _drifted_value(given: Any, before: Any, after: Any) -> Any:
    if isinstance(given, Mapping) and isinstance(before, Mapping) and isinstance(after, Mapping):
        return _drifted(given, before, after)
    if isinstance(given, list) and isinstance(before, list) and isinstance(after, list):
        common = min(len(given), len(before))
        changed = [_drifted_value(*values) for values in zip(given, before, after, strict=False)]
        return changed + after[common:]
    return after


def _remove(values: dict[str, Any], path: tuple[str, ...]) -> None:
    *containers, name = path
    for container in containers:
        values = values.get(container, {})
    values.pop(name, None)


def _without_empty(value: Any) -> Any:
    if isinstance(value, Mapping):
        cleaned = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in cleaned.items() if item not in ({}, [])}
    if isinstance(value, list):
        return [item for item in map(_without_empty, value) if item not in ({}, [])]
    return value
