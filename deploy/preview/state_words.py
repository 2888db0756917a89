"""Certificates whose keys are in the state, in the words of those in a vault: three resources make one of them.

A leaf is a key, a request and what was signed, an authority a key and its certificate: one line tells all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deploy.preview import types
from deploy.preview.comparison import Comparison
from deploy.preview.document import Preview, Step
from deploy.preview.record_words import recorded
from deploy.preview.words import because, code, codes, day, moved

_NAMES = ("dnsNames", "ipAddresses", "uris")
_LEAF_CHANGES = {
    "validityPeriodHours": "another validity",
    "earlyRenewalHours": "another renewal window",
    "allowedUses": "another policy",
    "setSubjectKeyId": "another policy",
}
_AUTHORITY_CHANGES = {"renewal": "its `renewal` was counted up", "policy": "another policy"}


class StateWords:
    """Says what happens to certificates and keys in the state."""

    def __init__(self, preview: Preview, comparison: Comparison) -> None:
        self._comparison = comparison
        self._steps = {(step.type, step.name): step for step in preview.steps}

    def leaf(self, step: Step) -> Iterator[str]:
        """Yield what happens to a leaf that changes, and to its record."""
        yield from self._leaf(step)
        standing = self._steps.get((types.STANDING_IN_STATE, step.name))
        if standing and step.operation in ("update", "replace"):
            yield from recorded(standing, stays=False)

    def _leaf(self, step: Step) -> Iterator[str]:
        name, request = code(step.name), self._steps.get((types.CERTIFICATE_REQUEST, step.name))
        if step.operation == "create":
            names = _names_of(request.after) if request else []
            issuer = self._comparison.issuer_after(step.name)
            parts = [f"for {_days(step.after.get('validityPeriodHours'))} days", f"by {code(issuer)}"]
            yield f"{name} is **issued**: {', '.join(parts + ([f'names {codes(names)}'] if names else []))}."
        elif step.operation == "delete":
            yield f"{name} is **deleted**{self._with_its_key(step)}."
        elif types.is_renewal(step):
            yield f"{name} is **renewed**; the one in use ends on {code(day(step.outputs.get('validityEndTime')))}."
        elif step.operation == "update":
            yield f"{name} gets {', '.join(_reasons(step, _LEAF_CHANGES)) or 'other inputs'}, and is not issued anew."
        else:
            yield f"{name} is **issued anew**{because([*self._leaf_reasons(step, request)])}."

    def authority(self, step: Step) -> Iterator[str]:
        """Yield what happens to an authority's certificate."""
        name = f"authority {code(step.name)}"
        if step.operation == "delete":
            yield f"{name} is **deleted**{self._with_its_key(step)}."
        elif step.name in self._comparison.made_anew:
            return  # the key's line says it
        elif step.operation == "create":
            yield f"{name} is **issued**: for {step.after.get('policy', {}).get('validityDays')} days."
        else:
            yield f"{name} is **issued anew**, with its key{because([*_reasons(step, _AUTHORITY_CHANGES)])}."

    def key(self, step: Step) -> Iterator[str]:
        """Yield what happens to an authority's key; a leaf's, and its request, are told with its certificate."""
        if types.makes_authority_key(step) and step.name in self._comparison.made_anew:
            yield f"authority {code(step.name)} is **replaced**, with another key."

    def record(self, step: Step) -> Iterator[str]:
        """Yield what becomes of the records beside a leaf that stays: its standing tells it, or its step if alone."""
        others = {types.LEAF_IN_STATE, types.STANDING_IN_STATE} - {step.type}
        if step.operation == "delete" or any((other, step.name) in self._steps for other in others):
            return
        is_handed_out = "certificatePem" in step.changed_properties
        if is_handed_out and self._comparison.issuer_after(step.name) in self._comparison.touched:
            yield f"{code(step.name)} gets its authority's renewed certificate, and is not issued anew."
        elif is_handed_out:
            yield f"{code(step.name)} was issued by an `up` that ended too early, and is **handed out**."
        yield from recorded(step, stays=not is_handed_out)

    def _with_its_key(self, step: Step) -> str:
        key = self._steps.get((types.PRIVATE_KEY, step.name))
        return ", with its private key" if key and key.operation == "delete" else ""

    def _leaf_reasons(self, step: Step, request: Step | None) -> Iterator[str]:
        before, after = self._comparison.issuer_before(step.name), self._comparison.issuer_after(step.name)
        if before != after:
            yield f"by {code(after)} instead of {code(before)}"
        elif "caPrivateKeyPem" in step.changed_properties:
            yield f"by {code(after)} as it is now"
        if key := self._steps.get((types.PRIVATE_KEY, step.name)):
            yield "another type of key" if key.changed else "another private key"
        if request and "subject" in request.changed_properties:
            yield "another subject"
        if request and (names := moved(_names_of(request.before), _names_of(request.after))):
            yield f"other names: {names}"
        yield from _reasons(step, _LEAF_CHANGES)


def _reasons(step: Step, reasons: Mapping[str, str]) -> Iterator[str]:
    yield from dict.fromkeys(reason for name, reason in reasons.items() if name in step.changed_properties)


def _names_of(request: Mapping[str, Any]) -> list[str]:
    return [str(name) for kind in _NAMES for name in request.get(kind) or ()]


def _days(hours: Any) -> object:
    return hours // 24 if isinstance(hours, int) else hours
