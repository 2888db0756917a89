"""`python -m tools`: what the Makefile calls.

Stack `local` is the real engine on local Azure, with everything in .local/. Any other stack is plain Pulumi on Azure,
in the person's own environment and with the engine's own questions.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from deploy.summary import azure_cli_command
from localazure.client import LocalAzure, LocalAzureError
from tools import REPOSITORY, ToolError, debian
from tools.attached import run_attached
from tools.checks import problems
from tools.environments import make_environment
from tools.hosted import exported_state, hosted_environment, require_stack
from tools.plugins import official_plugins
from tools.serve import Site, serving
from tools.sign_on import local_command, person_token
from tools.stack import LocalStack
from tools.toolchain import Toolchain
from tools.unfinished import take_up

LOCAL = "local"
_ROOT = REPOSITORY / ".local"
_AZURE_STATE = _ROOT / "azure"

_stack_option = click.option(
    "--stack", default=LOCAL, show_default=True, help="The stack; any but `local` is on Azure."
)
_identity_option = click.option("--identity", help="Who to be on local Azure (.local/azure/identities.json).")
_ROLE_WAIT_SECONDS = 900
_PROGRAMS = (
    *("engine", "temporal", "sql-tool", "ui", "cli", "actionlint", "compose"),
    *("postgresql", "busybox", "iproute2", "browser", "maven"),
)


@click.group()
def main() -> None:
    """Tools, the local stack, and checks of the work tree."""


@main.command()
@click.argument("programs", nargs=-1, required=True, type=click.Choice([*_PROGRAMS, "all"]))
def ensure(programs: tuple[str, ...]) -> None:
    """Find, build or install the programs that are needed, and say where they are."""
    toolchain = Toolchain()
    find = {
        "engine": lambda: toolchain.engine().executable,
        "temporal": toolchain.temporal_server,
        "sql-tool": toolchain.sql_tool,
        "ui": lambda: toolchain.ui_server().executable,
        "cli": toolchain.temporal_cli,
        "actionlint": toolchain.actionlint,
        "compose": toolchain.docker_compose,
        "postgresql": lambda: debian.found(debian.POSTGRESQL),
        "busybox": lambda: debian.found(debian.BUSYBOX),
        "iproute2": lambda: debian.found(debian.IPROUTE),
        "browser": lambda: debian.found(debian.CHROMIUM),
        "maven": toolchain.maven,
    }
    for program in _PROGRAMS if "all" in programs else programs:
        click.echo(f"{program}: {find[program]()}")


@main.command()
@_stack_option
@_identity_option
def up(stack: str, identity: str | None) -> None:
    """Provision the stack and write .deploy/."""
    target = _target(stack, identity)
    target.run("up")
    # The readers' roles may be minutes old, and as long on their way to the vault.
    trust = ("--https-trust", str(target.https_trust)) if target.https_trust else ()
    _deploy("write", stack, target, "--wait", str(_ROLE_WAIT_SECONDS), *trust)
    token = ("--token-command", target.token_command) if target.token_command else ()
    _deploy("summary", stack, target, *token)


@main.command()
@_stack_option
@_identity_option
def preview(stack: str, identity: str | None) -> None:
    """Show what `up` would do. Nothing is written to Azure."""
    _target(stack, identity).run("preview")


@main.command()
@_stack_option
@_identity_option
def refresh(stack: str, identity: str | None) -> None:
    """Read back what is in Azure into the stack's state."""
    _target(stack, identity).run("refresh")


@main.command()
@_stack_option
@_identity_option
def down(stack: str, identity: str | None) -> None:
    """Destroy the stack and remove its files from .deploy/; stop local Azure, which keeps its state."""
    if stack == LOCAL and not _ROOT.exists():
        click.echo("there is no local stack")
        return
    target = _target(stack, identity)
    target.run("destroy")
    _deploy("remove", stack, target)
    if stack == LOCAL:
        try:
            LocalAzure.attach(_AZURE_STATE).stop()
        except LocalAzureError as error:
            raise ToolError(str(error)) from error


@main.command()
@_stack_option
def serve(stack: str) -> None:
    """Run the Temporal server and UI on what `up` has written, until Ctrl-C."""
    if stack == LOCAL:
        _running_azure()  # has the keys that tokens are checked with
    site = Site(
        deployed=REPOSITORY / ".deploy" / stack.rpartition("/")[2],
        database=_ROOT / "temporal" / stack.rpartition("/")[2],
        variables=os.environ,
        provision=f"make up STACK={stack}",
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with serving(site, Toolchain(), _progress) as temporal:
            click.echo(f"Temporal serves on {temporal.frontend}, namespaces: {', '.join(temporal.namespaces)}")
            click.echo(f"The UI is on {temporal.ui}")
            if stack == LOCAL:
                people = os.path.relpath(_AZURE_STATE / "identities.json")
                click.echo(f"Sign in as one of the people in {people}, like ada@contoso.example")
            click.echo(f"Logs are in {os.path.relpath(site.logs)}. Ctrl-C ends everything")
            temporal.wait()
    except KeyboardInterrupt:
        click.echo("Ended.")


@contextmanager
def _progress(what: str) -> Iterator[None]:
    """Show what is being done: on a terminal as long as it lasts, elsewhere as a line."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        click.echo(what, err=True)
        yield
        return
    with console.status(what):
        yield


@main.command()
@_stack_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def status(stack: str, arguments: tuple[str, ...]) -> None:
    """Tell what is issued, delivered and loaded, and what to do. What stands after -- is for `deploy status`."""
    if stack == LOCAL:
        local = LocalStack(_ROOT, azure=None)
        if not local.exists():
            raise ToolError("there is no local stack: `make up` first")
        environment = local.environment()
    else:
        engine = Toolchain().engine()
        environment = hosted_environment(engine)
        require_stack(engine, stack, environment)
    command = [sys.executable, "-m", "deploy", "status", "--stack", stack, *arguments]
    _attached("deploy status", command, environment)


@main.command()
@_stack_option
@click.option("--user", help="Whose token: a user principal name or mail address of local Azure.")
def token(stack: str, user: str | None) -> None:
    """Print a person's access token for the stack's sign-on."""
    if stack != LOCAL:
        raise ToolError(
            f"on stack {stack} tokens are the Azure CLI's, for the account that it is signed in with: "
            + azure_cli_command("<signOn.clientId of the stack's outputs>")
        )
    azure = _running_azure()
    local = LocalStack(_ROOT, azure=azure)
    if not local.exists():
        raise ToolError("there is no local stack: `make up` first")
    click.echo(person_token(azure, local.outputs(), user))


@main.command()
@click.argument("name")
@click.option("--location", default="westeurope", show_default=True, help="The Azure region.")
@click.option("--secrets-provider", help="What encrypts the state's secrets, as azurekeyvault://…; else a passphrase.")
def environment(name: str, location: str, secrets_provider: str | None) -> None:
    """Make a new environment: its stack file, and its stack in the backend."""
    engine = Toolchain().engine()
    is_new = make_environment(
        name,
        location,
        engine=engine,
        variables=hosted_environment(engine),
        project=REPOSITORY,
        secrets_provider=secrets_provider,
    )
    click.echo(f"Pulumi.{name}.yaml {'was written' if is_new else 'was there'}, and the stack {name} is made")
    click.echo(
        f"Look through Pulumi.{name}.yaml and commit it, then `make preview STACK={name}`, `make up STACK={name}`"
    )


@main.command()
def check() -> None:
    """Compare lock files with what they lock, and test files with what pytest collects."""
    found = problems(REPOSITORY)
    for problem in found:
        click.echo(problem, err=True)
    sys.exit(bool(found))


@dataclass(frozen=True, kw_only=True)
class _Target:
    """A stack, ready for the engine: its command lines, its variables, and what answers the engine's questions.

    `https_trust` is the authority that local Azure's certificates are issued by, which nobody knows by itself, and
    `token_command` what prints the access token of one of its people.
    """

    command: Callable[..., list[str]]
    environment: Mapping[str, str]
    answers: Sequence[str]
    take_up: Callable[[], Sequence[str]]
    https_trust: Path | None = None
    token_command: str | None = None

    def run(self, operation: str) -> None:
        """Run `pulumi OPERATION` on this terminal. Exits with the engine's status when that is not 0."""
        answers = self.answers if operation != "preview" else ()
        if operation in ("up", "destroy"):
            for urn in self.take_up():
                click.echo(f"taken up from a run that was killed: {urn.rpartition('$')[2]}", err=True)
        # The outputs are hundreds of lines; `python -m deploy summary` says what a person needs of them.
        asking = self.command(operation, *answers, "--suppress-outputs", "--suppress-progress")
        _attached(f"pulumi {operation}", asking, self.environment)


def _target(stack: str, identity: str | None) -> _Target:
    if stack == LOCAL:
        return _local_target(identity or "deployer")
    if identity:
        raise ToolError(f"--identity is for stack {LOCAL}: on stack {stack} you are who your Azure sign-in says")
    return _hosted_target(stack)


def _local_target(identity: str) -> _Target:
    azure = _running_azure()
    if identity not in azure.identities:
        raise ToolError(f"local Azure knows no identity {identity!r}: it has {', '.join(sorted(azure.identities))}")
    local = LocalStack(
        _ROOT,
        azure=azure,
        identity=identity,
        official_plugins=official_plugins(os.environ.get("OFFICIAL_PLUGINS", "")),
    )
    local.prepare()
    return _Target(
        command=local.command,
        environment=local.environment(),
        answers=("--yes", "--skip-preview"),
        take_up=local.take_up,
        https_trust=azure.ca_file,
        token_command=local_command(azure),
    )


def _hosted_target(stack: str) -> _Target:
    engine = Toolchain().engine()
    environment = hosted_environment(engine)
    require_stack(engine, stack, environment)

    def command(operation: str, *arguments: str) -> list[str]:
        return [str(engine.executable), operation, "--stack", stack, *arguments]

    def pulumi(operation: str, *arguments: str) -> str:
        asking = command(operation, *arguments, "--non-interactive")
        answer = subprocess.run(asking, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True, check=False)
        if answer.returncode:
            raise ToolError(f"pulumi {operation} failed while taking up a run that was killed: run the same again")
        return answer.stdout

    return _Target(
        command=command,
        environment=environment,
        answers=(),
        take_up=lambda: take_up(pulumi, exported_state(engine, stack, environment), environment),
    )


def _running_azure() -> LocalAzure:
    try:
        return LocalAzure.attach(_AZURE_STATE)
    except LocalAzureError:
        pass
    try:
        azure = LocalAzure.start(_AZURE_STATE)
    except LocalAzureError as error:
        raise ToolError(str(error)) from error
    click.echo(f"local Azure runs on {azure.metadata_host} until `make down`", err=True)
    return azure


def _deploy(step: str, stack: str, target: _Target, *arguments: str) -> None:
    command = [sys.executable, "-m", "deploy", step, "--stack", stack, *arguments]
    _attached(f"deploy {step}", command, target.environment)


def _attached(what: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
    status = run_attached(command, cwd=REPOSITORY, environment=environment)
    if status < 0:
        ended_by = signal.Signals(-status).name
        raise ToolError(f"{what} was ended by {ended_by}: run the same again, and it goes on where it was")
    if status:
        raise SystemExit(status)


if __name__ == "__main__":
    main(prog_name="python -m tools")
