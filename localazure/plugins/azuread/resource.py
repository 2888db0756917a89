"""What the official azuread plugin decides about one resource, as pure functions on plain data.

What a resource should be follows from its inputs and, where an input may be left out without taking the value back,
from its state. What changes is the difference between that and the state, which refresh keeps up to date.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Self

from pulumi.provider.experimental.provider import PropertyDiff

from localazure.plugins.azuread.entitlements import entitlement_problems
from localazure.plugins.azuread.fields import Plain, comparable, problems, put, value_at, with_defaults
from localazure.plugins.azuread.spec import Spec
from localazure.plugins.azuread.specs import LIMITS, SPECS
from localazure.plugins.resources import REPLACEMENTS, spec_of
from localazure.plugins.shapes import problems as shape_problems
from plugin import UNKNOWN, difference, has_unknown, property_of

_FOLLOWING = {
    "appRoles": "appRoleIds",
    "api": "oauth2PermissionScopeIds",
    "tags": "featureTags",
    "featureTags": "tags",
}
"""Outputs that change with an input."""


class Resource:
    """One resource type, and the rules between its inputs and its state."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._input_names = tuple(dict.fromkeys(field.name.partition(".")[0] for field in spec.fields))

    @classmethod
    @cache
    def of(cls, token: str) -> Self:
        """Return the resource for a type. Raises PluginError if the stand-in does not serve it."""
        return cls(spec_of(token, SPECS, "azuread"))

    def checked(self, inputs: Plain) -> dict[str, Any]:
        """Return inputs with their defaults, and without what the official plugin notes among them for itself."""
        return with_defaults(self.spec.fields, _without_notes(inputs))

    def problems(self, name: str, inputs: Plain) -> list[str]:
        """Return what is wrong with inputs of the resource `name` that have their defaults."""
        found = list(shape_problems(self.spec.inputs, inputs, LIMITS))
        if found:
            return found
        given = [name for name in self.spec.conflicts if name in inputs and not has_unknown(inputs[name])]
        if len(given) > 1:
            found.append(f"Conflicting configuration arguments: {' and '.join(given)} cannot be given together")
        wrong = problems(self.spec.fields, inputs)
        found += [f"{reason}. Examine values at '{name}.{path}'." for path, reason in wrong]
        return [*found, *entitlement_problems(inputs)]

    def desired(self, inputs: Plain, outputs: Plain, ignored: Iterable[str] = ()) -> dict[str, Any]:
        """Return what the resource should be. `ignored` are paths at which it stays as it is."""
        result = {name: dict(value) if isinstance(value, Mapping) else value for name, value in inputs.items()}
        kept = [field.name for field in self.spec.fields if field.computed and value_at(inputs, field.name) is None]
        for name in (*kept, *(path.partition("[")[0] for path in ignored)):
            put(result, name, value_at(outputs, name))
        return result

    def changes(self, outputs: Plain, inputs: Plain, ignored: Iterable[str] = ()) -> dict[str, PropertyDiff]:
        """Return what inputs change of the state, with the changes that replace the resource marked as such."""
        fields = self.spec.fields
        found = difference(comparable(fields, outputs), comparable(fields, self.desired(inputs, outputs, ignored)))
        # Against the state, not against the inputs of the last run.
        return {
            path: PropertyDiff(
                REPLACEMENTS[change.kind] if property_of(path) in self.spec.replacing else change.kind,
                input_diff=False,
            )
            for path, change in found.items()
        }

    def previewed(self, inputs: Plain, outputs: Plain | None = None) -> dict[str, Any]:
        """Return the outputs as far as they are known before anything is written. There are none yet at a create."""
        names = {field.name.partition(".")[0] for field in self.spec.answered} | self.spec.computed | {"id"}
        names |= {field.name for field in self.spec.fields if field.computed}
        if outputs is None:
            return dict.fromkeys(sorted(names), UNKNOWN) | dict(inputs)
        changed = {property_of(path) for path in self.changes(outputs, inputs)}
        following = {_FOLLOWING[name] for name in changed & _FOLLOWING.keys()} & names
        stable = {name: value for name, value in outputs.items() if name in names}
        return stable | dict(inputs) | dict.fromkeys(sorted(following - inputs.keys()), UNKNOWN)

    def refreshed(self, inputs: Plain, outputs: Plain) -> dict[str, Any]:
        """Return the inputs after a refresh: those that were given, with what the state now says of them."""
        given, found = self._comparable(self.checked(inputs)), self._comparable(outputs)
        result = {}
        for name, value in _without_notes(inputs).items():
            if given.get(name) == found.get(name):
                result[name] = value
            elif name in outputs:
                result[name] = found.get(name, outputs[name])
        return result

    def imported(self, outputs: Plain) -> dict[str, Any]:
        """Return the inputs that would have made what the state says."""
        found = self._comparable(outputs)
        # They are the tags in other words, and not to be given with them.
        found.pop("featureTags", None)
        return {name: outputs[name] for name in self.spec.inputs.required if name in outputs} | found

    def _comparable(self, values: Plain) -> dict[str, Any]:
        found = comparable(self.spec.fields, values)
        return {name: found[name] for name in self._input_names if name in found}


def _without_notes(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_notes(item) for key, item in value.items() if item is not None and key != "__defaults"}
    if isinstance(value, list):
        return [_without_notes(item) for item in value]
    return value
