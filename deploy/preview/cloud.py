"""Whom a namespace of Temporal Cloud admits before and after a change, as far as this stack says it there.

A client comes in with a certificate that one of the namespace's authorities issued and, where it has filters, one of
them matches. What `up` set is in the inputs until now; the authorities afterwards follow from the settings, since a new
one's certificate is not known to a preview. What somebody else added is known as of the last `up` or refresh.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from cryptography import x509
from pydantic import TypeAdapter

from deploy.preview import types
from deploy.preview.comparison import Comparison
from deploy.preview.document import Issued, Preview, Step
from deploy.preview.words import code, codes
from pki import CertificateFilter, CertificateNames, Role, load_certificate
from pki.cloud_access import admitted_words, fingerprint

_FILTERS = TypeAdapter(tuple[CertificateFilter, ...])


class Admission:
    """What one step makes of a namespace. Authorities are by name, with fingerprints as tcld shows them, if known."""

    def __init__(self, step: Step, comparison: Comparison) -> None:
        self.step = step
        self.namespace = step.name
        self.is_taken_away = step.operation in ("delete", "replace")
        self._comparison = comparison
        self._before, self._after = self._told(step.before), self._told(step.after)
        self.filters_before, self.filters_after = _filters(step.before), _filters(step.after)
        wanted = comparison.trusted_in_cloud(step.name)
        self.added = wanted - self._before.keys()
        self.removed = self._before.keys() - wanted
        self.made_anew = self._before.keys() & wanted & comparison.made_anew
        self.renewed = {name for name in self._before.keys() & wanted - self.made_anew if self._is_renewed(name)}

    @classmethod
    def each(cls, preview: Preview, comparison: Comparison) -> Iterator[Admission]:
        """Yield what becomes of each namespace that changes."""
        return (cls(step, comparison) for step in preview.steps if step.type == types.NAMESPACE_ACCESS)

    @cached_property
    def evicted(self) -> tuple[str, ...]:
        """What somebody else added and `up` takes away, in the provider's words."""
        if self.step.operation != "update" or not self.step.after.get("exclusive"):
            return ()
        wanted = admitted_words(self._after.values(), self.filters_after)
        return tuple(each for each in self.step.outputs.get("unmanaged") or () if each not in wanted)

    def _shown(self, authority: str) -> str:
        """Return an authority's name, with the fingerprint of what the namespace has, or gets, if that is known."""
        found = self._before.get(authority) or self._after.get(authority)
        return f"{code(authority)} ({code(found)})" if found else code(authority)

    def admitted(self) -> Iterator[str]:
        """Yield the leaves in use that come in until now."""
        for leaf, facts in self._comparison.leaves_before.items():
            known = self._comparison.issuer_before(leaf) in self._before
            if facts.role is Role.CLIENT and known and _matches(self.filters_before, facts):
                yield leaf

    def by_authority(self) -> dict[str, list[str]]:
        """Return whom the namespace trusts no more, each with the leaves in use that come in by it until now."""
        found: dict[str, list[str]] = {}
        for leaf in self.admitted():
            issuer = self._comparison.issuer_before(leaf)
            if issuer in self.removed | self.made_anew:
                found.setdefault(issuer, []).append(leaf)
        return found

    def by_filter(self) -> list[str]:
        """Return the leaves in use whose authority stays trusted, and that no filter matches any more."""
        leaves, gone = self._comparison.leaves_before, self.removed | self.made_anew
        return [
            leaf
            for leaf in self.admitted()
            if self._comparison.issuer_before(leaf) not in gone and not _matches(self.filters_after, leaves[leaf])
        ]

    def words(self) -> Iterator[str]:
        """Yield a line (Markdown) for everything that changes."""
        what, after = f"namespace {code(self.namespace)}:", self.step.after
        if self.is_taken_away:
            again = ", and set again" if self.step.operation == "replace" else ""
            yield f"{what} what `up` set there is **taken away**{again}."
        for authorities, verb in (
            (self.added, "**added**"),
            (self.removed, "**removed**"),
            (self.renewed, "**renewed**"),
            (self.made_anew, "**replaced**, by one with another key"),
        ):
            for name in sorted(authorities):
                yield f"{what} the CA certificate of {self._shown(name)} is {verb}."
        for each in _missing(self.filters_before, self.filters_after):
            yield f"{what} the filter {code(each)} is **removed**."
        for each in _missing(self.filters_after, self.filters_before):
            yield f"{what} the filter {code(each)} is **added**."
        if self.filters_before and not self.filters_after and not self.is_taken_away:
            yield f"{what} **no filter is left**: every certificate of its authorities comes in."
        if self.evicted:
            yield f"{what} what somebody else added is **taken away**: {codes(self.evicted)}."
        elif "exclusive" in self.step.changed and self.step.operation == "update":
            then = "is taken away" if after.get("exclusive") else "stays"
            yield f"{what} what somebody else adds {then} from now on."
        if "enabled" in self.step.changed:
            yield f"{what} mutual TLS, which somebody turned off, is **turned on** again."
        if "timeoutSeconds" in self.step.changed:
            yield f"{what} `up` waits for a change for {code(after.get('timeoutSeconds') or 'the default')} seconds."

    def _told(self, inputs: Mapping[str, Any]) -> dict[str, str]:
        """Return the authorities that inputs name, with their fingerprints; none where they are not yet known."""
        pems = inputs.get("certificateAuthoritiesPem")
        certificates = [load_certificate(pem) for pem in pems] if isinstance(pems, list) else []
        return {self._name(each): fingerprint(each) for each in certificates}

    def _name(self, certificate: x509.Certificate) -> str:
        """Return the name of an authority of this stack, or the subject of somebody else's."""
        subject = certificate.subject.rfc4514_string()
        return self._comparison.authority_called(subject) or subject

    def _is_renewed(self, authority: str) -> bool:
        if authority in self._after:
            return self._after[authority] != self._before[authority]
        return authority in self._comparison.touched


def _filters(inputs: Mapping[str, Any]) -> tuple[CertificateFilter, ...]:
    return _FILTERS.validate_python(inputs.get("filters") or ())


def _matches(filters: tuple[CertificateFilter, ...], facts: Issued) -> bool:
    names = facts.subject_alternative_names
    texts = (*names.dns_names, *names.ip_addresses, *names.uris, *names.emails)
    told = CertificateNames.within(x509.Name.from_rfc4514_string(facts.subject), texts)
    return not filters or any(each.matches(told) for each in filters)


def _missing(these: tuple[CertificateFilter, ...], those: tuple[CertificateFilter, ...]) -> list[CertificateFilter]:
    """Return those of the first that are not among the second."""
    return [each for each in these if each not in those]
