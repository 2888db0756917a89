"""What the official tls plugin decides about one resource, as pure functions on plain data and an instant.

Terraform plans: what a resource will be follows from its inputs, their defaults and, for what is computed, its state.
What changes is the difference between plan and state, and nearly everything that changes replaces. A certificate whose
time for renewal has come is replaced as well, whether or not its changes are ignored: the bridge looks at ignored
inputs, and this is none.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Self

from pulumi.provider.experimental.provider import PropertyDiff

from localazure.plugins.resources import REPLACEMENTS, spec_of
from localazure.plugins.shapes import problems as shape_problems
from localazure.plugins.tls.specs import SPECS, Spec
from plugin import UNKNOWN, difference, has_unknown, property_of

Plain = Mapping[str, Any]

READY = "readyForRenewal"


class Resource:
    """One resource type, and the rules between its inputs and its state."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    @classmethod
    @cache
    def of(cls, token: str) -> Self:
        """Return the resource for a type. Raises PluginError if the stand-in does not serve it."""
        return cls(spec_of(token, SPECS, "tls"))

    def problems(self, name: str, inputs: Plain) -> list[str]:
        """Return what is wrong with inputs of the resource `name`."""
        spec = self.spec
        if found := list(shape_problems(spec.inputs, inputs, spec.limits)):
            return found
        if spec.key and spec.key not in inputs:
            found.append(
                f"Missing Attribute Configuration. Exactly one of these attributes must be configured: {spec.key}"
            )
        for path, rule in spec.rules.items():
            value = inputs.get(path)
            items = [(f"{path}[{index}]", item) for index, item in enumerate(value)] if isinstance(value, list) else []
            for place, item in items or ([] if value is None or isinstance(value, list) else [(path, value)]):
                if item != UNKNOWN and (wrong := rule(place, item)):
                    found.append(f"{wrong}. Examine values at '{name}.{place}'.")
        return found

    def planned(self, inputs: Plain, state: Plain | None, now: datetime) -> dict[str, Any]:
        """Return what the resource will be: with its state, without one where it is about to be made."""
        spec = self.spec
        plan = dict(spec.defaults) | {name: value for name, value in inputs.items() if value is not None}
        if state is not None:
            plan |= {name: state[name] for name in (*spec.computed, "id") if name in state}
            plan |= {name: state[name] for name in spec.kept - inputs.keys() if name in state}
        else:
            plan |= dict.fromkeys((*spec.computed, "id"), UNKNOWN)
        if spec.is_certificate:
            plan[READY] = _always_ready(plan)
            if state is not None and is_due(plan, now):
                plan[READY] = UNKNOWN
        return plan

    def unless_ignored(self, inputs: Plain, state: Plain, ignored: Iterable[str]) -> dict[str, Any]:
        """Return inputs, those that are ignored as the state has them."""
        names = self.spec.inputs.properties.keys() & set(ignored)
        return {name: value for name, value in inputs.items() if name not in names} | {
            name: state[name] for name in names if name in state
        }

    def changes(self, state: Plain, inputs: Plain, now: datetime) -> dict[str, PropertyDiff]:
        """Return what inputs change of the state, with the changes that replace the resource marked as such."""
        plan = self.planned(inputs, state, now)
        before = {name: value for name, value in state.items() if value is not None}
        # Only that its time has come replaces a certificate, not that it has not come after all.
        updated = self.spec.updated | (set() if plan.get(READY) == UNKNOWN else {READY})
        return {
            path: PropertyDiff(
                change.kind if property_of(path) in updated else REPLACEMENTS[change.kind], change.input_diff
            )
            for path, change in difference(before, plan).items()
        }

    def refreshed(self, state: Plain, now: datetime) -> dict[str, Any]:
        """Return the state after a refresh: only what the clock says changes."""
        if self.spec.is_certificate and is_due(state, now):
            return {**state, READY: True}
        return dict(state)


def is_due(certificate: Plain, now: datetime) -> bool:
    """Tell whether the time for a certificate's renewal has come. What is not yet known has not."""
    ends, early_hours = certificate["validityEndTime"], certificate["earlyRenewalHours"]
    if has_unknown([ends, early_hours]):
        return False
    return datetime.fromisoformat(ends) - timedelta(hours=early_hours) <= now


def _always_ready(plan: Plain) -> bool:
    validity, early_hours = plan["validityPeriodHours"], plan["earlyRenewalHours"]
    return validity == 0 or (not has_unknown([validity, early_hours]) and early_hours >= validity)
