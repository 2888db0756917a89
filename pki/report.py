"""What is said of each file that was checked: for programs as JSON, for people as lines.

The JSON, whose names and identifiers do not change without a new `version`:

    {"version": 1,
     "passed": false,                                   no file has findings
     "files": [{
       "file": "orders.pem",                            as it was named; "-" is the standard input
       "checkedAs": "client",                           "client", "ca-bundle", "private-key"; null: nothing to check
       "certificates": [{
         "position": 1,                                 in its file, from 1
         "subject": "CN=orders,O=Contoso",              RFC 4514
         "issuer": "CN=clients 1,O=Contoso",
         "serial": "1f",                                hex, in lower case, without leading zeros
         "notBefore": "2026-03-28T23:00:00+00:00",
         "notAfter": "2026-06-27T00:00:00+00:00"}],
       "findings": [{
         "rule": "digital-signature",                   docs/certificates.md has all of them
         "certificate": {"file": "orders.pem", "position": 1, "subject": "CN=orders,O=Contoso", "serial": "1f"},
                                                        null where it is the file; in a chain, maybe of --ca's file
         "what": "has no key usage",
         "requirement": "has digitalSignature in its key usage",
         "consequence": "…", "fix": "…"}],              sentences
       "notes": ["…"]}]}                                sentences; worth knowing, and nothing is wrong
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from cryptography import x509

from pki import rules
from pki.held import Held, printable
from pki.reading import Contents, PrivateKey
from pki.requirements import bundle_findings, client_findings
from pki.rules import Finding


class Kind(StrEnum):
    """What a file is checked as."""

    CLIENT = "client"
    CA_BUNDLE = "ca-bundle"
    PRIVATE_KEY = "private-key"


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of every file; `kind` None lets each file's first certificate say what it is."""

    kind: Kind | None = None
    accepted: Sequence[Held] | None = None
    filters: bool = False
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Report:
    """The findings on one file."""

    file: str
    kind: Kind | None
    certificates: Sequence[Held]
    findings: Sequence[Finding]
    notes: Sequence[str] = field(default=())


def report(file: str, contents: Contents, question: Question, *, size_bytes: int | None = None) -> Report:
    """Judge one file. `size_bytes` is that of PEM; other formats are measured as the PEM that they would become.

    A file with a private key alone is judged by `paired`.
    """
    found, notes = [*contents.findings], [*_key_notes(contents.private_keys)]
    held = contents.certificates
    if not held:
        kind = Kind.PRIVATE_KEY if contents.private_keys else None
        return Report(file=file, kind=kind, certificates=(), findings=found, notes=notes)
    kind = question.kind or kind_of(held)
    if kind is Kind.CA_BUNDLE:
        if contents.private_keys:
            found.append(Finding(rule=rules.NO_PRIVATE_KEY, what="holds a private key"))
        found += bundle_findings(held, filters=question.filters, at=question.at, size_bytes=size_bytes)
    else:
        found += _key_findings(contents.private_keys, held[0])
        found += client_findings(held, question.accepted, question.at)
        if question.accepted is None:
            notes.append("Whether Temporal trusts who issued it was not checked: give the CA bundle with --ca.")
    if question.at is None:
        notes.append("Whether it is valid in time was not checked: give a day with --at.")
    return Report(file=file, kind=kind, certificates=held, findings=found, notes=notes)


def kind_of(held: Sequence[Held]) -> Kind:
    """Tell a CA bundle from a client's file, whose own certificate comes first."""
    constraints = held[0].extension(x509.BasicConstraints)
    if constraints is not None:
        return Kind.CA_BUNDLE if constraints.ca else Kind.CLIENT
    return Kind.CA_BUNDLE if held[0].name == held[0].issuer_name else Kind.CLIENT


def paired(reports: Sequence[Report], keys: Sequence[Sequence[PrivateKey]]) -> list[Report]:
    """Judge the files that are a private key and nothing else by the clients' certificates in the other files."""
    clients = [each.certificates[0] for each in reports if each.kind is Kind.CLIENT]
    return [
        replace(each, findings=[*each.findings, *_lone_key_findings(own, clients)])
        if each.kind is Kind.PRIVATE_KEY
        else each
        for each, own in zip(reports, keys, strict=True)
    ]


def _key_notes(keys: Sequence[PrivateKey]) -> Iterator[str]:
    if keys:
        yield f"There {'is a private key' if len(keys) == 1 else 'are private keys'} in it, not shown here."


def _key_findings(keys: Sequence[PrivateKey], own: Held) -> Iterator[Finding]:
    for key in keys:
        if key.has_passphrase:
            yield Finding(rule=rules.KEY_WITHOUT_PASSPHRASE, what="holds a private key with a passphrase")
        elif key.public_key is None:
            yield Finding(rule=rules.KEY_MATCHES, what="holds a private key that cannot be read")
        elif key.belongs_to(own) is False:
            yield Finding(rule=rules.KEY_MATCHES, place=own.place, what="is not for the private key beside it")


def _lone_key_findings(keys: Sequence[PrivateKey], clients: Sequence[Held]) -> Iterator[Finding]:
    for key in keys:
        if not any(key.belongs_to(client) for client in clients):
            if key.has_passphrase:
                yield Finding(rule=rules.KEY_WITHOUT_PASSPHRASE, what="holds a private key with a passphrase")
            elif key.public_key is None:
                yield Finding(rule=rules.KEY_MATCHES, what="holds a private key that cannot be read")
            elif clients:
                yield Finding(rule=rules.KEY_MATCHES, what="holds the private key of none of the certificates given")
            else:
                yield Finding(rule=rules.CERTIFICATE_PRESENT, what="holds a private key and no certificate")


def as_json(reports: Sequence[Report]) -> dict[str, Any]:
    """Return the reports as the module's docstring describes."""
    return {
        "version": 1,
        "passed": not any(each.findings for each in reports),
        "files": [
            {
                "file": each.file,
                "checkedAs": each.kind,
                "certificates": [_certificate(held) for held in each.certificates],
                "findings": [_finding(finding) for finding in each.findings],
                "notes": [*each.notes],
            }
            for each in reports
        ],
    }


def _certificate(held: Held) -> dict[str, Any]:
    return {
        "position": held.place.position,
        "subject": held.place.subject,
        "issuer": held.issuer,
        "serial": held.place.serial,
        "notBefore": held.certificate.not_valid_before_utc.isoformat(),
        "notAfter": held.certificate.not_valid_after_utc.isoformat(),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    place, rule = finding.place, finding.rule
    return {
        "rule": rule.identifier,
        "certificate": None
        if place is None
        else {
            "file": place.file,
            "position": place.position,
            "subject": place.subject or None,
            "serial": place.serial or None,
        },
        "what": finding.what,
        "requirement": rule.requirement,
        "consequence": rule.consequence,
        "fix": rule.fix,
    }


_CHECKED_AS = {
    Kind.CLIENT: "checked as a client's certificate",
    Kind.CA_BUNDLE: "checked as a CA bundle",
    Kind.PRIVATE_KEY: "a private key",
    None: "nothing to check",
}


def as_lines(each: Report) -> Iterator[str]:
    """Return a report for people: what the file holds, what is wrong with it, and the verdict last."""
    return map(printable, _lines(each))  # Names of files, too, are somebody else's choice.


def _lines(each: Report) -> Iterator[str]:
    yield f"{each.file}: {_CHECKED_AS[each.kind]}"
    for held in each.certificates:
        own = held.certificate
        yield (
            f"  {held.place.position}. {held.subject}, serial {held.place.serial}, "
            f"valid {own.not_valid_before_utc:%Y-%m-%d} to {own.not_valid_after_utc:%Y-%m-%d}"
        )
    for finding in each.findings:
        yield ""
        yield f"  {finding.rule.identifier}: {finding.place or 'the file'}"
        yield f"    {finding.what[:1].upper()}{finding.what[1:]}."
        yield f"    {finding.rule.consequence}"
        yield f"    To do: {finding.rule.fix}"
    yield ""
    for note in each.notes:
        yield f"  Note: {note}"
    count = len(each.findings)
    yield "  Nothing is wrong." if not count else f"  {count} finding{'s' if count > 1 else ''}."
