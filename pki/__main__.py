"""`python -m pki check FILE…`: certificates made elsewhere, judged by the rules that ours are issued under.

Exit status: 0 nothing is wrong, 1 something was found, 2 a file could not be opened or the question makes no sense.
"""

import json
import sys
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from getpass import GetPassWarning
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from pki.held import Held
from pki.reading import Contents, PasswordNeeded, read
from pki.report import Kind, Question, Report, as_json, as_lines, paired, report
from pki.rules import table

_STANDARD_INPUT = "-"
_PLAIN_WIDTH = 120
_CUT_AFTER = 4 * 1024 * 1024


class _CannotRead(click.ClickException):
    exit_code = 2


@click.group()
def main() -> None:
    """Certificates, and what Temporal and Temporal Cloud accept."""


@main.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@click.option(
    "--as",
    "kind",
    type=click.Choice(["client", "ca-bundle", "auto"]),
    default="auto",
    show_default=True,
    help="What each file is to be: auto goes by its first certificate.",
)
@click.option("--ca", metavar="FILE", help="The CA bundle that a client's certificate must chain to.")
@click.option("--filters", is_flag=True, help="Certificate filters are set, so a public authority is allowed.")
@click.option(
    "--at",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]),
    metavar="DATE",
    help="Judge whether they are valid then (UTC). Without it, that is not judged.",
)
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="The password of PKCS#12 files, in its first line. [default: asked for]",
)
@click.option("--json", "wants_json", is_flag=True, help="For programs; docs/certificates.md has the format.")
def check(
    files: tuple[str, ...],
    kind: str,
    ca: str | None,
    filters: bool,
    at: datetime | None,
    password_file: Path | None,
    wants_json: bool,
) -> None:
    """Check certificates in PEM, DER or PKCS#12 by Temporal's rules; - is the standard input.

    A client's file holds its certificate, then the authorities above it; its private key may be there, or in a FILE of
    its own. Nothing of a private key is ever printed.
    """
    if [*files, ca].count(_STANDARD_INPUT) > 1:
        raise click.UsageError("The standard input can be read only once: give - once.")
    password = _first_line(password_file) if password_file else None
    question = Question(
        kind=None if kind == "auto" else Kind(kind),
        accepted=_authorities(ca, password) if ca else None,
        filters=filters,
        at=at.replace(tzinfo=UTC) if at else None,
    )
    read_in = [(file, *_opened(file, password)) for file in files]
    reports = [report(file, contents, question, size_bytes=size) for file, contents, size in read_in]
    reports = paired(reports, [contents.private_keys for _, contents, _ in read_in])
    if wants_json:
        click.echo(json.dumps(as_json(reports), indent=2))
    else:
        _show(reports)
    sys.exit(1 if any(each.findings for each in reports) else 0)


@main.command()
def rules() -> None:
    """Print the rules as the Markdown table of docs/certificates.md."""
    click.echo("\n".join(table()))


def _opened(file: str, password: bytes | None) -> tuple[Contents, int | None]:
    """Return what is in a file and, if that is PEM, its size."""
    data = _bytes(file)
    name = "the standard input" if file == _STANDARD_INPUT else file
    try:
        contents = read(data, file=file, password=password)
    except PasswordNeeded:
        if password is not None:
            raise _CannotRead(f"{name} is PKCS#12, and does not open with the password given.") from None
        try:
            with warnings.catch_warnings():
                # Where it would be shown, or taken from what is no terminal.
                warnings.simplefilter("error", GetPassWarning)
                asked: str = click.prompt(f"Password of {name}", hide_input=True, err=True)
            contents = read(data, file=file, password=asked.encode())
        except (click.Abort, GetPassWarning):
            raise _CannotRead(f"{name} is PKCS#12 and needs a password: give it in a --password-file.") from None
        except PasswordNeeded:
            raise _CannotRead(f"{name} is PKCS#12, and does not open with that password.") from None
    return contents, len(data) if b"-----BEGIN " in data else None


def _bytes(file: str) -> bytes:
    if file != _STANDARD_INPUT:
        return _file_bytes(Path(file))
    return _not_too_large(file, sys.stdin.buffer.read(_CUT_AFTER))


def _file_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return _not_too_large(str(path), stream.read(_CUT_AFTER))
    except OSError as error:
        raise _CannotRead(f"{path} cannot be read: {error.strerror}.") from error


def _not_too_large(name: str, data: bytes) -> bytes:
    if len(data) == _CUT_AFTER:
        raise _CannotRead(f"{name} is larger than {_CUT_AFTER >> 20} MB, as no file of certificates is.")
    return data


def _first_line(path: Path) -> bytes:
    return _file_bytes(path).partition(b"\n")[0].removesuffix(b"\r")


def _authorities(file: str, password: bytes | None) -> Sequence[Held]:
    contents, _ = _opened(file, password)
    if contents.findings or not contents.certificates:
        raise _CannotRead(
            f"{file} (--ca) {contents.findings[0].what if contents.findings else 'holds no certificate'}, so nothing "
            f"can be checked by it. Check it first: --as ca-bundle."
        )
    return contents.certificates


def _show(reports: Sequence[Report]) -> None:
    console = Console()
    console = console if console.is_terminal else Console(width=_PLAIN_WIDTH)
    for number, each in enumerate(reports):
        if number:
            console.print()
        for line in as_lines(each):
            console.print(Text(line), soft_wrap=not console.is_terminal)


if __name__ == "__main__":
    main(prog_name="python -m pki")
