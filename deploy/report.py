"""What a person reads: tables in the width of their terminal, and lines that stay whole, so that they can be copied."""

from collections.abc import Iterable
from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.findings import Level, Loaded
from deploy.listeners import Outcome
from deploy.status import CertificateStatus, ClientSecretStatus, ConsumerStatus, ListenerStatus, Status
from pki import Role
from pki.held import printable

_STYLES = {Level.BROKEN: "bold red", Level.ENDING: "bold yellow", Level.DUE: "yellow", Level.OPEN: "dim"}
_OUTCOMES = {
    Outcome.NO_TLS: "no TLS",
    Outcome.FAILED: "no handshake",
    Outcome.UNREACHABLE: "not reached",
}
_LOADED = {Loaded.CURRENT: "the stack's", Loaded.OLDER: "an older one", Loaded.FOREIGN: "not the stack's"}


def line(console: Console, text: str = "", style: str = "") -> None:
    """Print a line that a terminal may wrap, and that this does not break."""
    console.print(_as_it_is(text), style=style, soft_wrap=True, highlight=False)


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    """Return a table without rules. What is too wide goes on in the next line, and nothing of it is left out."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", highlight=False)
    for head in heads:
        made.add_column(head, overflow="fold")
    for row in rows:
        made.add_row(*map(_as_it_is, row))
    return made


def _as_it_is(text: str) -> Text:
    """What is in brackets is no markup, and nothing steers the terminal: names may be anybody's choice."""
    return Text(printable(text))


def ends(not_after: datetime, days_left: int) -> str:
    """When something ends, as a day and as how far that is off."""
    when = "ended" if days_left < 0 else f"in {days_left} {'day' if days_left == 1 else 'days'}"
    return f"{not_after:%Y-%m-%d}, {when}"


def show(status: Status, console: Console) -> None:
    """Print a status, and what to do last, where a person looks."""
    line(console, f"Stack {status.stack} at {status.at:%Y-%m-%d %H:%M} UTC, files in {status.directory}", "bold")
    line(console)
    heads: tuple[str, ...] = ("Certificate", "Role", "Issued by", "Ends", "Left", "Renewed", "Files")
    console.print(table(heads, map(_certificate, status.certificates)))
    if status.client_secrets:
        line(console)
        console.print(table(("Client secret", "Ends", "Left", "Renewed", "Files"), map(_secret, status.client_secrets)))
    line(console)
    console.print(table(("Consumer", "Files", "Certificate ends", "Trusts"), map(_consumer, status.consumers)))
    if status.listeners:
        line(console)
        heads = ("Listener", "Presents", "Ends", "Left", "Trusted", "Admits CLI")
        console.print(table(heads, map(_listener, status.listeners)))
    line(console)
    if status.unknown:
        line(console, "Not known", "bold")
        for each in status.unknown:
            line(console, f"  {each}")
        line(console)
    line(console, "What to do" if status.findings else "Nothing to do.", "bold")
    for found in status.findings:
        line(console, f"  {found.level:7} {found.about}: {found.text}", _STYLES[found.level])


def _certificate(one: CertificateStatus) -> tuple[str, ...]:
    renewed = f"{one.renews_on}" if one.renews_on else "by hand" if one.role is Role.AUTHORITY else "cannot be"
    return one.name, one.role, one.issuer, *_end(one.not_after, one.days_left), renewed, one.delivered or ""


def _secret(one: ClientSecretStatus) -> tuple[str, ...]:
    return one.consumer, *_end(one.not_after, one.days_left), f"{one.renews_on}", one.delivered or "not known"


def _consumer(one: ConsumerStatus) -> tuple[str, ...]:
    certificate = ""
    if one.certificate:
        distrusted = "" if one.certificate.trusted else ", distrusted"
        certificate = f"{one.certificate.not_after:%Y-%m-%d}{distrusted}"
    trust = [", ".join(one.trusts)]
    trust += [f"lacks {', '.join(one.lacks)}"] if one.lacks else []
    trust += [f"must lose {', '.join(one.keeps)}"] if one.keeps else []
    return one.name, one.state, certificate, "; ".join(filter(None, trust))


def _listener(one: ListenerStatus) -> tuple[str, ...]:
    where = f"{one.address}={one.server_name}"
    if one.not_after is None or one.days_left is None:
        return where, f"{_OUTCOMES[one.outcome]}: {one.detail}", "", "", "", ""
    trusted = "no" if not one.verifies else "yes" if one.name_fits else "other name"
    admitted = {True: "yes", False: "no", None: "not known"}[one.admitted]
    return where, _LOADED[one.loaded], *_end(one.not_after, one.days_left), trusted, admitted


def _end(not_after: datetime, days_left: int) -> tuple[str, str]:
    return f"{not_after:%Y-%m-%d}", "ended" if days_left < 0 else f"{days_left} d"
