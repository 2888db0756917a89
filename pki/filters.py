"""Temporal Cloud's certificate filters: what they may say, and which certificates they let in.

A Cloud namespace admits a client certificate that one of its authorities issued and, where it has filters, that one of
them matches. A filter looks at names alone, so it is judged on `CertificateNames`: those of a certificate that exists,
or those that a policy will give to one. That is what lets a leak between two namespaces be found before anything is
issued.

Sources: "Manage certificate filters" (docs.temporal.io/cloud/certificates), and tcld's app/cafilters.go for the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from cryptography import x509
from cryptography.x509.oid import NameOID
from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from pki.policy import IssuancePolicy

MOST_FILTERS = 25
"""Filters of a namespace (docs.temporal.io/cloud/certificates)."""

FIELDS = ("commonName", "organization", "organizationalUnit", "subjectAlternativeName")
"""The fields of a filter, as tcld's file calls them."""

WILDCARD = "*"
_TEXT_KINDS = (x509.DNSName, x509.IPAddress, x509.UniformResourceIdentifier, x509.RFC822Name)
_WILDCARD_FIX = 'Keep one "*", at the start or at the end, as in "*.example.com" or "Example Code*".'
_REFUSED = "Temporal Cloud refuses it."


class FilterRule(StrEnum):
    """The rules for the filters of a namespace."""

    NO_FIELD = "no field"
    BLANK_VALUE = "blank value"
    WILDCARD_ALONE = "wildcard alone"
    WILDCARD_TWICE = "wildcard twice"
    WILDCARD_INSIDE = "wildcard inside"
    DUPLICATE = "duplicate"
    TOO_MANY = "too many"


@dataclass(frozen=True, kw_only=True)
class FilterFault:
    """A rule that is broken, and where: `what` follows the place, `consequence` and `fix` are sentences."""

    rule: FilterRule
    what: str
    consequence: str
    fix: str
    index: int | None = None
    field: str | None = None

    @property
    def where(self) -> str:
        """The place in tcld's file."""
        entry = "filters" if self.index is None else f"filters[{self.index}]"
        return f"{entry}.{self.field}" if self.field else entry

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.consequence} {self.fix}"


@dataclass(frozen=True, kw_only=True)
class CertificateNames:
    """The names that a filter looks at. Of each kind there may be several, of which one has to match."""

    common_names: tuple[str, ...] = ()
    organizations: tuple[str, ...] = ()
    organizational_units: tuple[str, ...] = ()
    subject_alternative_names: tuple[str, ...] = ()

    @classmethod
    def of(cls, certificate: x509.Certificate | IssuancePolicy) -> CertificateNames:
        """Return those of a certificate, or of one that will be issued; addresses, URIs and the like as text.

        Raises ValueError if a certificate's extensions cannot be read.
        """
        if isinstance(certificate, IssuancePolicy):
            subject = certificate.subject.name()
            alternatives = certificate.subject_alternative_names.general_names()
        else:
            subject = certificate.subject
            extensions = (item.value for item in certificate.extensions)
            alternatives = [
                name for value in extensions if isinstance(value, x509.SubjectAlternativeName) for name in value
            ]

        return cls.within(subject, [str(name.value) for name in alternatives if isinstance(name, _TEXT_KINDS)])

    @classmethod
    def within(cls, subject: x509.Name, subject_alternative_names: Iterable[str]) -> CertificateNames:
        """Return those of a certificate of which its subject is known, and its alternative names as text."""

        def texts(oid: x509.ObjectIdentifier) -> tuple[str, ...]:
            return tuple(str(attribute.value) for attribute in subject.get_attributes_for_oid(oid))

        return cls(
            common_names=texts(NameOID.COMMON_NAME),
            organizations=texts(NameOID.ORGANIZATION_NAME),
            organizational_units=texts(NameOID.ORGANIZATIONAL_UNIT_NAME),
            subject_alternative_names=tuple(subject_alternative_names),
        )

    def under(self, field: str) -> tuple[str, ...]:
        """Return the names that one of the `FIELDS` is compared with."""
        names = (
            self.common_names,
            self.organizations,
            self.organizational_units,
            self.subject_alternative_names,
        )
        return dict(zip(FIELDS, names, strict=True))[field]


@dataclass(frozen=True, kw_only=True)
class CertificateFilter:
    """One filter: each field that is given has to match, the others match anything. `faults` says if it may be so.

    A pydantic model that holds it reads it from what tcld's file has, and knows no other fields.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)

    common_name: str | None = None
    organization: str | None = None
    organizational_unit: str | None = None
    subject_alternative_name: str | None = None

    @property
    def given(self) -> dict[str, str]:
        """The fields that are given, as tcld's file has them."""
        values = (self.common_name, self.organization, self.organizational_unit, self.subject_alternative_name)
        return {field: value for field, value in zip(FIELDS, values, strict=True) if value is not None}

    def mismatches(self, names: CertificateNames) -> tuple[str, ...]:
        """Return the fields that keep a certificate out. For a filter without faults."""
        return tuple(
            field
            for field, wanted in self.given.items()
            if not any(_matches(wanted, name) for name in names.under(field))
        )

    def matches(self, names: CertificateNames) -> bool:
        """Tell whether it lets a certificate in. For a filter without faults."""
        return not self.mismatches(names)

    def __str__(self) -> str:
        """For messages."""
        return ", ".join(f"{field} {json.dumps(value, ensure_ascii=False)}" for field, value in self.given.items())


def tcld_filters(filters: Iterable[CertificateFilter]) -> dict[str, list[dict[str, str]]]:
    """Return what `tcld namespace certificate-filters import` reads, as JSON's data."""
    return {"filters": [entry.given for entry in filters]}


def value_fault(value: str) -> FilterFault | None:
    """Return the rule that the value of a field breaks, or None."""
    shown = json.dumps(value, ensure_ascii=False)
    if not value.strip():
        return FilterFault(
            rule=FilterRule.BLANK_VALUE,
            what=f"{shown} is blank",
            consequence="It counts as left out, and the filter matches more than it says.",
            fix="Write what certificates have there, or leave the field out.",
        )
    if value.strip() == WILDCARD:
        return FilterFault(
            rule=FilterRule.WILDCARD_ALONE,
            what=f"{shown} is a wildcard by itself",
            consequence=_REFUSED,
            fix="Leave the field out: then anything matches.",
        )
    if value.count(WILDCARD) > 1:
        return FilterFault(
            rule=FilterRule.WILDCARD_TWICE,
            what=f"{shown} has more than one wildcard",
            consequence=_REFUSED,
            fix=_WILDCARD_FIX,
        )
    if WILDCARD in value[1:-1]:
        return FilterFault(
            rule=FilterRule.WILDCARD_INSIDE,
            what=f"{shown} has a wildcard inside",
            consequence=_REFUSED,
            fix=_WILDCARD_FIX,
        )
    return None


def filter_faults(entry: CertificateFilter) -> Iterator[FilterFault]:
    """Find the rules that a filter breaks by itself."""
    if not entry.given:
        yield FilterFault(
            rule=FilterRule.NO_FIELD,
            what="has no field",
            consequence="It would say nothing about a certificate, and Temporal Cloud refuses it.",
            fix=f"Give at least one of: {', '.join(FIELDS)}.",
        )
    for field, value in entry.given.items():
        if fault := value_fault(value):
            yield replace(fault, field=field)


def list_faults(filters: Sequence[CertificateFilter]) -> Iterator[FilterFault]:
    """Find the rules that filters break together."""
    if len(filters) > MOST_FILTERS:
        yield FilterFault(
            rule=FilterRule.TOO_MANY,
            what=f"there are {len(filters)}",
            consequence=f"Temporal Cloud takes at most {MOST_FILTERS} for a namespace.",
            fix="Use one with a wildcard, or a common organizationalUnit, for certificates that belong together.",
        )
    for index, entry in enumerate(filters):
        if (first := filters.index(entry)) < index:
            yield FilterFault(
                rule=FilterRule.DUPLICATE,
                what=f"is equal to filters[{first}]",
                consequence="tcld refuses filters of which two are equal.",
                fix="Keep one of them.",
                index=index,
            )


def faults(filters: Sequence[CertificateFilter]) -> list[FilterFault]:
    """Return everything that Temporal Cloud, or tcld, would refuse about the filters of a namespace."""
    single = [replace(fault, index=index) for index, entry in enumerate(filters) for fault in filter_faults(entry)]
    return [*single, *list_faults(filters)]


def _matches(wanted: str, name: str) -> bool:
    wanted, name = _without_case(wanted), _without_case(name)
    if wanted.startswith(WILDCARD):
        return name.endswith(wanted.removeprefix(WILDCARD))
    if wanted.endswith(WILDCARD):
        return name.startswith(wanted.removesuffix(WILDCARD))
    return name == wanted


def _without_case(text: str) -> str:
    """Return a text for comparison, letter by letter: to Go's strings.EqualFold, too, a ß is not two letters."""
    return "".join(folded if len(folded := letter.casefold()) == 1 else letter for letter in text)
