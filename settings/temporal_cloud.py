"""What a person writes about Temporal Cloud: which certificates each namespace there admits, and how it tells them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, StrictBool, StrictInt, model_validator

from pki import CertificateFilter
from pki.filters import MOST_FILTERS, FilterFault, filter_faults, list_faults, value_fault
from settings.models import Model, setting
from settings.problems import Wrong, quoted
from settings.values import Names, form


def _namespace_id(text: str) -> str:
    name, _, account = text.partition(".")
    if not re.fullmatch(r"(?=.{2,39}\Z)[a-z](?:-?[a-z0-9])+", name) or not re.fullmatch(r"[a-z0-9]+", account):
        raise Wrong(
            f"{quoted(text)} is not the id of a Cloud namespace",
            "Write <name>.<account> as tcld namespace list prints it, like payments.a1b2c, all in lower case.",
        )
    return text


def _refuse(faults: Iterable[FilterFault], *, placed: bool = False) -> None:
    """Raise Wrong for the first fault; `placed` says where it is, for want of a place of its own."""
    for fault in faults:
        what = f"{fault.where} {fault.what}" if placed and fault.index is not None else fault.what
        raise Wrong(what, fault.fix, fault.consequence)


def _filter_value(text: str) -> str:
    if fault := value_fault(text):
        _refuse([fault])
    return text


def _filters(entries: tuple[WrittenFilter, ...]) -> tuple[WrittenFilter, ...]:
    _refuse(list_faults([entry.certificate_filter for entry in entries]), placed=True)
    return entries


CloudNamespaceId = Annotated[str, AfterValidator(_namespace_id), form("<name>.<account>")]
FilterValue = Annotated[
    str, AfterValidator(_filter_value), form("text, with a `*` at the start, at the end or nowhere")
]

_NOT_AS_MEANT = "Temporal Cloud would refuse the filter, or match other certificates than you mean."


class WrittenFilter(Model):
    """A certificate filter: every field that is given has to match, without regard to case."""

    common_name: FilterValue | None = setting(None, "The common name (CN) that a certificate must have.", _NOT_AS_MEANT)
    organization: FilterValue | None = setting(
        None, "The organization (O) that a certificate must have.", _NOT_AS_MEANT
    )
    organizational_unit: FilterValue | None = setting(
        None, "The organizational unit (OU) that a certificate must have.", _NOT_AS_MEANT
    )
    subject_alternative_name: FilterValue | None = setting(
        None,
        "A DNS name, IP address, URI or e-mail address that a certificate must vouch for.",
        _NOT_AS_MEANT,
    )

    @model_validator(mode="after")
    def _says_something(self) -> WrittenFilter:
        _refuse(filter_faults(self.certificate_filter))
        return self

    @property
    def certificate_filter(self) -> CertificateFilter:
        """The filter itself."""
        return CertificateFilter(**self.model_dump())


class WrittenCloudNamespace(Model):
    """Who may connect to a namespace in Temporal Cloud."""

    authorities: Names = setting(
        (),
        "The authorities whose trusted generations are its CA bundle.",
        "Temporal Cloud would refuse the namespace's clients.",
        derived="those that issue its certificates",
    )
    certificates: Names = setting(
        (), "The certificates that may connect to it, by their names.", "Nobody could connect to the namespace."
    )
    filters: Annotated[tuple[WrittenFilter, ...], AfterValidator(_filters)] = setting(
        (),
        "What tells its certificates from others under the same authorities. A certificate needs to match one.",
        "Temporal Cloud would refuse the filters.",
        derived="one for each certificate, by its common name and organization",
        max_length=MOST_FILTERS,
    )
    shared: StrictBool = setting(
        False,
        "Whether certificates that are not its own may match its filters.",
        "Strangers could connect to the namespace, or the program would stop you from letting them.",
    )
    apply: StrictBool = setting(
        False,
        "Whether `up` itself sets its CA bundle and filters. Turned off again, what `up` set is taken away.",
        "Its clients would be let in, or shut out, against your will.",
    )
    exclusive: StrictBool = setting(
        False,
        "With `apply`: whether CA certificates and filters that somebody else added are taken away.",
        "Somebody else's clients would be shut out, or stay let in, against your will.",
    )
    timeout_seconds: StrictInt | None = setting(
        None,
        "With `apply`: how long Temporal Cloud may take for a change.",
        "`up` would give up too early, or too late.",
        derived="`600`",
        ge=1,
    )


class WrittenTemporalCloud(Model):
    """What Temporal Cloud is told about this stack's certificates."""

    namespaces: dict[CloudNamespaceId, WrittenCloudNamespace] = setting(
        {},
        "Namespaces in Temporal Cloud, by their ids, each with who may connect to it.",
        "There would be no CA bundle and no filters for it.",
    )
