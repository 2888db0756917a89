"""Whom a namespace of Temporal Cloud admits by mutual TLS, and what a change makes of it.

Pure: specifications in, specifications out. A change starts from the specification that was read and touches nothing
but its mutual TLS, and of that only what is ours: authorities and filters of others stay, unless the access is
exclusive. Source: temporal/api/cloud/namespace/v1/message.proto; "Manage certificates", Temporal Cloud.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter
from temporalio.api.cloud.namespace.v1 import CertificateFilterSpec, NamespaceSpec

from pki import CertificateFilter, bundle_findings, held, load_certificates, to_pem
from pki.cloud_access import admitted_words, fingerprint
from pki.filters import faults
from provider.namespace_inputs import fingerprint_of

_FILTERS = TypeAdapter(tuple[CertificateFilter, ...])


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """Authorities, PEM by fingerprint, and filters of their certificates; both in their order."""

    authorities: Mapping[str, str] = field(default_factory=dict)
    filters: tuple[CertificateFilter, ...] = ()

    @classmethod
    def of(cls, inputs: Mapping[str, Any]) -> Admitted:
        """Return what inputs ask for, or what a state says that they did: that may have filters alone."""
        return cls(
            authorities={fingerprint_of(pem): pem for pem in inputs["certificateAuthoritiesPem"]},
            filters=_FILTERS.validate_python(inputs.get("filters") or ()),
        )

    @classmethod
    def by(cls, spec: NamespaceSpec) -> Admitted:
        """Return what a specification has. Raises ValueError if its bundle cannot be read."""
        bundle = spec.mtls_auth.accepted_client_ca.decode("ascii")
        certificates = load_certificates(bundle) if bundle.strip() else []
        filters = (
            CertificateFilter(
                common_name=each.common_name or None,
                organization=each.organization or None,
                organizational_unit=each.organizational_unit or None,
                subject_alternative_name=each.subject_alternative_name or None,
            )
            for each in spec.mtls_auth.certificate_filters
        )
        return cls(
            authorities={fingerprint(certificate): to_pem(certificate) for certificate in certificates},
            filters=tuple(dict.fromkeys(filters)),
        )

    def with_(self, other: Admitted) -> Admitted:
        """Return all of this, and what else the other has."""
        return Admitted(
            authorities={**self.authorities, **other.authorities},
            filters=tuple(dict.fromkeys((*self.filters, *other.filters))),
        )

    def without(self, other: Admitted) -> Admitted:
        """Return what the other does not have."""
        return Admitted(
            authorities={key: pem for key, pem in self.authorities.items() if key not in other.authorities},
            filters=tuple(each for each in self.filters if each not in other.filters),
        )

    def within(self, other: Admitted) -> Admitted:
        """Return what the other has, too."""
        return self.without(self.without(other))

    def words(self) -> list[str]:
        """Return what this is, for a person, one authority or filter an entry."""
        return admitted_words(self.authorities, self.filters)

    def __bool__(self) -> bool:
        return bool(self.authorities or self.filters)


def changed(spec: NamespaceSpec, wanted: Admitted, former: Admitted, *, exclusive: bool) -> NamespaceSpec:
    """Return a specification with what is wanted: `former`, what we had there before, gives way to it.

    Mutual TLS is on where we want an authority, and off where none is left. What fits already is returned as it is.
    Raises ValueError if the specification cannot be read.
    """
    held = Admitted.by(spec)
    kept = held.within(wanted) if exclusive else held.without(former.without(wanted))
    goal = kept.with_(wanted)
    result = NamespaceSpec()
    result.CopyFrom(spec)
    if goal.authorities.keys() != held.authorities.keys():
        result.mtls_auth.accepted_client_ca = "".join(goal.authorities.values()).encode("ascii")
    if set(goal.filters) != set(held.filters):
        del result.mtls_auth.certificate_filters[:]
        result.mtls_auth.certificate_filters.extend(_specified(each) for each in goal.filters)
    enabled = bool(goal.authorities) and (spec.mtls_auth.enabled or bool(wanted.authorities))
    if enabled != spec.mtls_auth.enabled:
        result.mtls_auth.enabled = enabled
    return result


def objection(before: NamespaceSpec, after: NamespaceSpec) -> str | None:
    """Say why a namespace must not become what it would be afterwards, or return None.

    What was wrong before, somebody else's authorities and filters included, was accepted by the service.
    """
    admitted = Admitted.by(after)
    former = _refusals(Admitted.by(before))
    if refusals := [said for broken, said in _refusals(admitted).items() if broken not in former]:
        return f"Temporal Cloud would refuse what it would accept then: {' '.join(refusals).removesuffix('.')}"
    if admitted.filters and not admitted.authorities:
        return (
            f"it would have filters and no certificate authority, so that no certificate could match: "
            f"{'; '.join(map(str, admitted.filters))}. Take these filters away first, or keep an authority"
        )
    if not after.mtls_auth.enabled and not after.api_key_auth.enabled:
        return (
            "it would be left with no way in: no certificate authority is accepted, and API keys are not either. "
            "Accept another authority first, or API keys: `tcld namespace auth-method set --auth-method "
            "api_key_or_mtls`"
        )
    return None


def side_effects(before: NamespaceSpec, after: NamespaceSpec, wanted: Admitted) -> list[str]:
    """Say what a change means for clients whose authorities are not ours."""
    old, new = Admitted.by(before), Admitted.by(after)
    others = ", ".join(new.without(wanted).within(old).authorities)
    if not others:
        return []
    if new.filters and not old.filters:
        return [f"Certificates of authorities that somebody else added must match a filter from now on, too: {others}."]
    if old.filters and not new.filters:
        return [f"No filter is left: any certificate of authorities that somebody else added is accepted: {others}."]
    return []


def _refusals(admitted: Admitted) -> dict[tuple[object, ...], str]:
    """Return what Temporal Cloud would refuse of a bundle and its filters: by the rule and whose it is, in words."""
    certificates = [load_certificates(pem)[0] for pem in admitted.authorities.values()]
    findings = bundle_findings(held(certificates), filters=bool(admitted.filters)) if certificates else []
    refusals: dict[tuple[object, ...], str] = {}
    for finding in findings:
        whose = (finding.place.subject, finding.place.serial) if finding.place else ()
        refusals[finding.rule.identifier, *whose] = str(finding)
    for fault in faults(admitted.filters):
        refusals[fault.rule, None if fault.index is None else admitted.filters[fault.index]] = str(fault)
    return refusals


def _specified(each: CertificateFilter) -> CertificateFilterSpec:
    return CertificateFilterSpec(**asdict(each))
