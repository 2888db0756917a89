"""What a person wants to know after `make up`: where the files are, what ends when, and what to do next."""

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from rich.console import Console

from deploy import checks
from deploy.deliveries import SECRETS_NOT_COMPARED, State, deliveries
from deploy.outputs import Outputs
from deploy.report import ends, line, table
from pki import Role

_CALLBACK_PATH = "/auth/sso/callback"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True)


class ConsumerSummary(_Model):
    """`environment_files` are paths as seen from here."""

    name: str
    state: State
    directory: str
    environment_files: tuple[str, ...]


class CertificateSummary(_Model):
    """`issuer` is the issuing authority's name among the certificates; `days_left` is rounded down."""

    name: str
    role: Role
    issuer: str
    not_after: datetime
    days_left: int


class Summary(_Model):
    """The summary of one stack, for a person (`print`) or, as JSON, for a program."""

    stack: str
    directory: str
    consumers: tuple[ConsumerSummary, ...]
    certificates: tuple[CertificateSummary, ...]
    warnings: tuple[str, ...]
    next: tuple[str, ...]

    def print(self, console: Console) -> None:
        """Print it in the console's width; lines that somebody may copy are not broken."""

        line(console, f"Stack {self.stack}: files in {self.directory}", "bold")
        line(console)
        console.print(table(("Consumer", "Files"), ((one.name, one.state) for one in self.consumers)))
        line(console)
        console.print(
            table(
                ("Certificate", "Role", "Issued by", "Ends"),
                ((one.name, one.role, one.issuer, ends(one.not_after, one.days_left)) for one in self.certificates),
            )
        )
        for warning in self.warnings:
            line(console, f"Warning: {warning}", "yellow")
        line(console)
        line(console, "Next", "bold")
        for step in self.next:
            line(console, f"  {step}")


def azure_cli_command(client_id: str) -> str:
    """What prints an access token for sign-on of whoever is signed in with the Azure CLI."""
    return f"az account get-access-token --scope {client_id}/default --query accessToken --output tsv"


def summarise(outputs: Outputs, stack: str, base: Path, now: datetime, *, token_command: str | None = None) -> Summary:
    """Return the summary of `stack`, whose files are in `base`. Reads files, and asks nobody.

    `token_command` prints a person's access token, by default the Azure CLI's.
    """
    shown = Path(os.path.relpath(base))
    states = {delivery.consumer: delivery.state for delivery in deliveries(base, outputs)}
    consumers = tuple(
        ConsumerSummary(
            name=name,
            state=states[name],
            directory=str(shown / name),
            environment_files=tuple(str(shown / name / file) for file in startup.environments),
        )
        for name, startup in outputs.startups.items()
    )
    return Summary(
        stack=stack,
        directory=str(shown),
        consumers=consumers,
        certificates=tuple(
            sorted((_certificate(name, outputs, now) for name in outputs.certificates), key=_leaves_first)
        ),
        warnings=(*checks.warnings(outputs, now), *([SECRETS_NOT_COMPARED] if outputs.hides_secrets else [])),
        next=tuple(_next(outputs, stack, consumers, token_command)),
    )


def _certificate(name: str, outputs: Outputs, now: datetime) -> CertificateSummary:
    found = outputs.certificates[name]
    not_after = found.certificate.not_valid_after_utc
    return CertificateSummary(
        name=name,
        role=found.role,
        issuer=outputs.issuer_of((found.certificate, *found.chain)),
        not_after=not_after,
        days_left=(not_after - now).days,
    )


def _leaves_first(certificate: CertificateSummary) -> tuple[bool, str]:
    return certificate.role is Role.AUTHORITY, certificate.name


def _next(
    outputs: Outputs, stack: str, consumers: Iterable[ConsumerSummary], token_command: str | None
) -> Iterator[str]:
    if any(one.state is not State.CURRENT for one in consumers):
        yield f"python -m deploy write --stack {stack}    # brings the files up to date"
        return
    files = {one.name: one.environment_files for one in consumers}
    server, internal_frontend = files["server"]
    workers = [name for name in files if name.startswith("workers/")]
    client_id = outputs.sign_on.client_id
    yield "Start each process with its environment file: env_file of docker compose, EnvironmentFile of systemd, or:"
    yield f"(set -a; . {server}; temporal-server start)    # with DB and what your database needs"
    yield f"(set -a; . {internal_frontend}; temporal-server start)    # likewise, once the first one is up"
    if client_id:
        opened = outputs.ui_env["TEMPORAL_AUTH_CALLBACK_URL"].removesuffix(_CALLBACK_PATH)
        ui = "temporal-ui-server --root . --config .tools/ui-config --env docker start"
        yield f"(set -a; . {files['ui'][0]}; {ui})    # then sign in at {opened}"
    yield f"(set -a; . {files['cli'][0]}; temporal operator cluster health)"
    if client_id:
        yield f"export TEMPORAL_API_KEY=$({token_command or azure_cli_command(client_id)})    # for about an hour"
        yield f"(set -a; . {files['cli'][0]}; temporal workflow list)    # as whoever the token is of"
    worker = "examples/python/worker.py" if client_id else "worker.py"
    for name in workers[:1]:
        yield f"(set -a; . {files[name][0]}; python {worker})    # and each other worker with its own"
