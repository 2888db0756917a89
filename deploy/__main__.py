"""`python -m deploy`: the command line, which puts the room's modules together."""

import asyncio
import logging
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

import click
from cryptography import x509
from rich.console import Console

from deploy import directory, envfile
from deploy.checks import problems, untold_secrets, warnings
from deploy.composition import compose
from deploy.delivered import delivered
from deploy.deliveries import WORKERS, deliveries
from deploy.durations import duration
from deploy.effects import effect
from deploy.findings import Seen
from deploy.held_in_state import keys_in_state
from deploy.listeners import Listener, Pair, handshakes
from deploy.outputs import Outputs
from deploy.problem import DeployError, Problem, UntoldError
from deploy.report import show
from deploy.stack import read_outputs, read_outputs_file, read_readable_outputs
from deploy.status import judge
from deploy.summary import summarise
from deploy.watch import undisturbed
from deploy.watch import watch as watch_
from environment import CLI
from pki import to_pem
from provider import clock

if TYPE_CHECKING:
    from deploy.secret import Keys

_PLAIN_WIDTH = 120

_STACK = re.compile(r"([A-Za-z0-9_.-]+/){0,2}(?!\.{1,2}$)[A-Za-z0-9_.-]+")


def _stack_name(_: click.Context, __: click.Parameter, text: str) -> str:
    if not _STACK.fullmatch(text):
        raise click.BadParameter(
            f"{text!r} names no stack, and a directory is named after it. Nothing was asked or changed. Give NAME or "
            f"ORGANIZATION/PROJECT/NAME, each of letters, digits, `_`, `.` and `-`; `pulumi stack ls` has them."
        )
    return text


_stack = click.option("--stack", required=True, callback=_stack_name, metavar="NAME", help="The Pulumi stack.")
_directory = click.option(
    "--directory",
    "deploy_directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".deploy"),
    show_default=True,
    metavar="PATH",
    help="Where the stacks' directories are.",
)


@click.group()
def main() -> None:
    """Files for Temporal's server, UI, CLI and workers, from a stack's outputs and the keys in Key Vault or the state.

    Run it in the project's folder.
    """
    # What the Azure SDKs log as a warning is in the message that follows.
    logging.getLogger("azure").addHandler(logging.NullHandler())


@main.command()
@_stack
@click.option(
    "--root",
    metavar="PATH",
    help="Where the consumers see the stack's directory, such as a mount point in their containers. "
    "[default: where it is written]",
)
@click.option("--only", multiple=True, metavar="CONSUMER", help="server, ui, cli or workers/NAME; repeatable.")
@click.option("--inline", is_flag=True, help="Put certificates and keys into the variables, for want of mounts.")
@click.option(
    "--wait",
    "wait_seconds",
    type=click.FloatRange(min=0),
    default=0,
    metavar="SECONDS",
    help="How long to wait for a role on a secret: a new one takes minutes to arrive.",
)
@click.option(
    "--config-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="The stack's file, which may say how to sign in. [default: Pulumi.NAME.yaml]",
)
@click.option(
    "--https-trust",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="PATH",
    help="PEM of the authorities that consumers trust for HTTPS to Entra ID, where a proxy has its own. "
    "[default: their system's]",
)
@click.option(
    "--outputs",
    "outputs_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="The stack's outputs as `pulumi stack output --json` prints them, where the stack's state is out of reach.",
)
@click.option("--watch", is_flag=True, help="Go on: write what is new, and say who must restart, until a signal.")
@click.option(
    "--interval",
    "interval_seconds",
    type=click.FloatRange(min=1),
    default=900,
    show_default=True,
    metavar="SECONDS",
    help="How often --watch looks.",
)
@_directory
def write(
    stack: str,
    root: str | None,
    only: tuple[str, ...],
    inline: bool,
    wait_seconds: float,
    config_file: Path | None,
    https_trust: Path | None,
    outputs_file: Path | None,
    watch: bool,
    interval_seconds: float,
    deploy_directory: Path,
) -> None:
    """Write the consumers' directories, after everything in them has been checked."""
    if inline and https_trust:
        raise click.BadParameter(
            "is a file that consumers read, and --inline is for want of mounts.", param_hint="--https-trust"
        )
    base = _base(deploy_directory, stack)
    order = _Order(
        stack=stack,
        base=base,
        seen_at=_seen_at(root, base),
        only=only,
        inline=inline,
        wait_seconds=wait_seconds,
        config_file=config_file or Path(f"Pulumi.{base.name}.yaml"),
        https_trust=_authorities(https_trust) if https_trust else None,
        outputs_file=outputs_file,
    )
    if not watch:
        _deliver(order)
        return
    known: set[str] = set()
    _tell(f"Watching the stack {stack}, every {interval_seconds:.0f} s or so.")
    watch_(lambda: _deliver(order, known), interval_seconds, _tell)


@dataclass(frozen=True, kw_only=True)
class _Order:
    """What is to be written, for whom, and where to. `base` is the stack's directory, `seen_at` what consumers see."""

    stack: str
    base: Path
    seen_at: str
    only: tuple[str, ...]
    inline: bool
    wait_seconds: float
    config_file: Path
    https_trust: bytes | None
    outputs_file: Path | None


def _deliver(order: _Order, known: set[str] | None = None) -> None:
    """Write what is ordered and tell it; with `known`, the warnings that were told before, tell only what is new."""
    base, only = order.base, order.only
    with directory.locked(base, lambda: _tell(f"Waiting for another `deploy write` to {base}.")):
        if order.outputs_file:
            outputs = read_outputs_file(order.outputs_file, order.stack)
        else:
            outputs = read_outputs(order.stack, Path(), show_secrets=True)
        consumers = _chosen(outputs, only)
        pairs = delivered(base, outputs, consumers)
        unread = [name for name in consumers if outputs.startups[name].consumer.certificate not in pairs]
        unreadable: Sequence[Problem] = ()
        if unread:
            if outputs.private_keys:
                keys = keys_in_state(outputs, unread)
            else:
                keys = asyncio.run(_keys(outputs, unread, order.config_file, order.wait_seconds))
            pairs, unreadable = {**pairs, **keys.found}, keys.problems
        now = _now()
        if found := [*unreadable, *untold_secrets(outputs, consumers), *problems(outputs, pairs, consumers, now)]:
            raise _refusal(found, consumers, base)
        files = compose(
            outputs, pairs, order.seen_at, consumers=consumers, inline=order.inline, https_trust=order.https_trust
        )
        before = {name: directory.read(base, name) for name in consumers}
        # Who is told to restart has to hear it, so a signal waits until it is told.
        with undisturbed():
            changed = directory.write(base, files)
            removed = set() if only else directory.prune(base, WORKERS, keep=outputs.worker_envs)
            for name in consumers if known is None else sorted(changed):
                click.echo(f"{'written' if name in changed else 'unchanged':9}  {base / name}")
            for name in sorted(removed):
                click.echo(f"{'removed':9}  {base / 'workers' / name}")
            for name in consumers:
                if name in changed and (old := before[name]) is not None:
                    click.echo(str(effect(name, outputs.startups[name], old, files[name], now)))
    if order.inline and "server" in consumers and (known is None or "server" in changed):
        _tell(
            f"The server needs two files even so, which hold no secret: mount {base / 'server'} for server.yaml and "
            f"dynamicconfig.yaml."
        )
    if order.inline and (known is None or changed):
        _tell("What is in a variable is read once: restart a process whenever its environment file was written anew.")
    told = warnings(outputs, now)
    for warning in told:
        if warning not in (known or ()):
            _tell(f"Warning: {warning}")
    if known is not None:
        known.clear()
        known.update(told)


@main.command()
@_stack
@_directory
def remove(stack: str, deploy_directory: Path) -> None:
    """Remove what was written for a stack, private keys and all. What else lies there stays."""
    base = _base(deploy_directory, stack)
    if not base.exists():
        return
    with directory.locked(base, lambda: _tell(f"Waiting for another `deploy write` to {base}.")):
        workers = directory.prune(base, WORKERS, keep=())
        removed = {f"{WORKERS}/{name}" for name in workers} | directory.prune(base, ".", keep=())
    for name in sorted(removed):
        click.echo(f"{'removed':9}  {base / name}")


@main.command()
@_stack
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option(
    "--token-command",
    metavar="COMMAND",
    help="What prints a person's access token for sign-on. [default: the Azure CLI's command]",
)
@_directory
def summary(stack: str, as_json: bool, token_command: str | None, deploy_directory: Path) -> None:
    """Tell where the files are, which certificate ends when, and what to do next."""
    outputs = read_readable_outputs(stack, Path())
    base = _base(deploy_directory, stack)
    found = summarise(outputs, stack, base, _now(), token_command=token_command)
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    found.print(_console())


def _duration(_: click.Context, __: click.Parameter, text: str | None) -> timedelta:
    try:
        return timedelta() if text is None else duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@main.command()
@_stack
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option(
    "--fail-within",
    callback=_duration,
    metavar="DURATION",
    help="Fail for what ends within this time too, such as 30d or 12h. [default: for what has ended]",
)
@click.option(
    "--listener",
    "named",
    multiple=True,
    metavar="HOST:PORT[=NAME]",
    help="A listener to ask for its certificate, by NAME; repeatable. [default: the frontend, as the CLI finds it]",
)
@_directory
def status(stack: str, as_json: bool, fail_within: timedelta, named: tuple[str, ...], deploy_directory: Path) -> None:
    """Tell what is issued, delivered and loaded, and what to do.

    Exits with 0 if all is well, 1 if something is broken, has ended or ends within --fail-within, and 2 if that could
    not be told.
    """
    try:
        outputs, now = read_readable_outputs(stack, Path()), _now()
        base = _base(deploy_directory, stack)
        listeners = _listeners(outputs, named)
        pair = Pair.below(base / CLI.directory, CLI.certificate)
        seen = Seen(
            outputs=outputs,
            stack=stack,
            directory=os.path.relpath(base),
            deliveries=deliveries(base, outputs),
            answers=handshakes(listeners, outputs.trusted_by(CLI.directory), pair),
            pair_shown=pair is not None,
            now=now,
            within=fail_within,
        )
    except DeployError as error:
        raise UntoldError(error.message) from error
    found = judge(seen)
    if as_json:
        click.echo(found.model_dump_json(indent=2))
    else:
        show(found, _console())
    sys.exit(found.failing)


def _now() -> datetime:
    try:
        return clock.now()
    except ValueError as error:
        raise DeployError(f"{clock.VARIABLE} is no instant: {error}. Unset it.") from None


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_PLAIN_WIDTH)


def _listeners(outputs: Outputs, named: Sequence[str]) -> list[Listener]:
    frontend = Listener.frontend(outputs.cli_env)
    if not named:
        return [frontend] if frontend else []
    try:
        return [Listener.parse(text, frontend.server_name if frontend else "") for text in named]
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--listener") from None


@main.command("preview-summary")
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--only-renewals", is_flag=True, help="Fail when there is more than the clock asks for.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def preview_summary(file: BinaryIO, only_renewals: bool, as_json: bool) -> None:
    """Summarise what `pulumi preview --json` printed, in FILE or standard input, for whoever reviews it.

    Exit status 1: a change breaks clients that run and is not acknowledged in the stack's settings, or there is more
    than renewals where nothing else may be. Exit status 2: it cannot be used, for example because the preview failed.
    """
    from deploy import preview

    found = preview.summarise(preview.read(_text(file)), only_renewals=only_renewals)
    click.echo(found.model_dump_json(indent=2) if as_json else found.markdown(), nl=as_json)
    if not found.passes:
        raise click.exceptions.Exit(1)


@main.command()
@click.argument("file", type=click.File("rb"), default="-")
def drift(file: BinaryIO) -> None:
    """Tell what was changed by hand, from what `pulumi refresh --preview-only --json` printed.

    What is only due for renewal is no drift. Exit status 1: something was changed. Exit status 2: it cannot be used.
    """
    from deploy import preview

    found = preview.drift(preview.read(_text(file)))
    for line in found:
        click.echo(f"- {line}")
    if found:
        click.echo("\n`pulumi refresh` and then `pulumi up` put it back; `pulumi preview` says how.")
        raise click.exceptions.Exit(1)
    click.echo("Everything is as the last `up` left it.")


def _text(file: BinaryIO) -> str:
    return file.read().decode("utf-8", errors="replace")


def _base(deploy_directory: Path, stack: str) -> Path:
    """Return the stack's own directory; a stack may be named with its organization and project before it."""
    return deploy_directory / stack.rpartition("/")[2]


def _seen_at(root: str | None, base: Path) -> str:
    """Return where consumers see the stack's directory, which goes into their variables."""
    if root is not None and not PurePosixPath(root).is_absolute():
        raise click.BadParameter("must be absolute: consumers start in different folders.", param_hint="--root")
    seen_at = root or str(base.absolute())
    if what := envfile.misread(seen_at):
        fix = (
            "Choose one without" if root else "Write to another place, or say with --root where consumers see this one"
        )
        raise click.BadParameter(
            f"{seen_at!r} has {what} in it: docker, systemd and the shell would each look for the files somewhere "
            f"else. Nothing was written. {fix}.",
            param_hint="--root" if root else "--directory",
        )
    return seen_at


def _authorities(file: Path) -> bytes:
    """Return the certificates in a file and nothing else: a proxy's own may have its key beside."""
    try:
        found = x509.load_pem_x509_certificates(file.read_bytes())
    except ValueError:
        raise click.BadParameter(f"{file} holds no certificates in PEM.", param_hint="--https-trust") from None
    return "".join(map(to_pem, found)).encode("ascii")


def _chosen(outputs: Outputs, only: Sequence[str]) -> list[str]:
    existing = list(outputs.startups)
    if unknown := [name for name in only if name not in existing]:
        raise click.BadParameter(
            f"the stack has no consumer {' or '.join(unknown)}. It has {', '.join(existing)}.", param_hint="--only"
        )
    return [name for name in existing if not only or name in only]


async def _keys(outputs: Outputs, consumers: Iterable[str], config_file: Path, wait_seconds: float) -> "Keys":
    # The Azure SDKs take a second to import, which `summary` does without.
    from deploy.keys import read_keys, sign_in

    async with await sign_in(os.environ, config_file) as session:
        return await read_keys(session, outputs, consumers, wait_seconds=wait_seconds, waiting=_tell)


def _refusal(found: Sequence[Problem], consumers: Iterable[str], base: Path) -> DeployError:
    count = "One problem" if len(found) == 1 else f"{len(found)} problems"
    message = "\n\n".join([f"{count}; nothing in {base} was changed.", *(f"  {problem}" for problem in found)])
    wrong = {problem.consumer for problem in found}
    if sound := [name for name in consumers if name not in wrong]:
        message += f"\n\nWhat can be written without the rest: {' '.join(f'--only {name}' for name in sound)}"
    return DeployError(message)


def _tell(message: str) -> None:
    click.echo(message, err=True)


if __name__ == "__main__":
    main(prog_name="python -m deploy")
