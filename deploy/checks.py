"""What is looked at before anything is written: everything, and all of it at once.

A consumer that starts with half of its variables does not fail, it runs without TLS (the server), or fails hours later
somewhere else. So whatever can be known beforehand is known here. Pure: whoever calls says what time it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise, takewhile

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from deploy import envfile
from deploy.outputs import HIDDEN, IssuedCertificate, Outputs, Startup
from deploy.problem import Problem
from deploy.secret import Secret
from environment import (
    CLI,
    SERVER,
    UI,
    AuthorityBundle,
    AuthoritySlot,
    Certificate,
    Content,
    Document,
    Environment,
    PrivateKey,
    cli_environment,
    contents,
    internal_frontend_environment,
    server_environment,
    ui_environment,
    worker_environment,
)
from environment.sample import SampleSignOn, sample_deployment, sample_identity
from pki import Role
from pki.chain import issued
from pki.held import printable
from pki.host_names import vouches_for

AUTHORITY_WARNING = timedelta(days=180)
"""How long before its end an authority is warned about; `up` warns at the same time."""

CLIENT_SECRET_WARNING = timedelta(days=30)

_CAPPED = ", as its authority does, so `make up` cannot renew it: renew the authority, or roll it over, first."
_WHAT_FOLLOWS = {
    Role.AUTHORITY: ", and all that it issued ends with it. It is not renewed by itself: raise its renewal, or roll it "
    "over.",
    Role.NODE: ". `make up` renews it. The server reads it again by itself; once it has ended, restart the server.",
    Role.CLIENT: ". `make up` renews it. It is read at start: restart whoever has it.",
}
_ISSUE_ANEW = "Run `make up`, which issues it anew."
_CLOCK = "Set this machine's clock, or wait."
_RENEW_AUTHORITY = "Raise the authority's renewal, or roll it over, and run `make up`."
_RUN_UP = "Run `make up` with this version of the program."


def problems(outputs: Outputs, keys: Mapping[str, Secret], consumers: Iterable[str], now: datetime) -> list[Problem]:
    """Return what is wrong with the files that these consumers would get; empty when they may be written.

    `keys` has the secrets that could be read, by certificate: the others are not asked for here.
    """
    startups = outputs.startups
    return [
        problem
        for name in consumers
        for problem in (
            *_environment_problems(name, startups[name], outputs),
            *_certificate_problems(name, startups[name].consumer.certificate, outputs, keys, now),
            *_trust_problems(name, outputs, now),
            *_server_name_problems(name, startups[name], outputs),
        )
    ]


def untold_secrets(outputs: Outputs, consumers: Iterable[str]) -> list[Problem]:
    """Return which secrets these consumers would get a placeholder for, because the outputs do not tell them."""
    return [
        Problem(
            name,
            f"{variable} in {file} is a secret that the outputs do not tell",
            "It would start with a placeholder.",
            "Make the file of outputs with `pulumi stack output --json --show-secrets`.",
        )
        for name in consumers
        for file, environment in outputs.startups[name].environments.items()
        for variable, value in environment.items()
        if value == HIDDEN
    ]


@dataclass(frozen=True)
class Ending:
    """What ends soon, or has ended: a certificate (`role`) or a consumer's client secret (no role), and what to do."""

    name: str
    role: Role | None
    not_after: datetime
    ended: bool
    what_follows: str

    @property
    def what(self) -> str:
        return self.name if self.role else f"{self.name}'s client secret"

    @property
    def when(self) -> str:
        """When it ends, and what to do."""
        return f"{'ended' if self.ended else 'ends'} on {self.not_after:%Y-%m-%d}{self.what_follows}"

    def __str__(self) -> str:
        return f"{self.what} {self.when}"


def endings(outputs: Outputs, now: datetime, *, within: timedelta = timedelta()) -> list[Ending]:
    """Return which certificates and client secrets of the stack end soon, or have ended.

    Soon is inside the window in which `up` warns or renews, and at any rate within `within`.
    """
    found = []
    for name, one in outputs.certificates.items():
        ends, authority = one.certificate.not_valid_after_utc, one.role is Role.AUTHORITY
        window = AUTHORITY_WARNING if authority else timedelta(days=one.renew_before_days)
        if now.date() >= (ends - window).date() or ends - now <= within:
            found.append(Ending(name, one.role, ends, ends <= now, _what_follows(one, now)))
    for name, secret in outputs.sign_on.client_secrets.items():
        window = min(CLIENT_SECRET_WARNING, timedelta(days=secret.renew_before_days))
        if secret.not_after - now <= max(window, within):
            later = f" from {secret.renewal_day} on" if secret.renewal_day > now.date() else ""
            follows = f". `make up` makes another{later}; then restart {name}."
            found.append(Ending(name, None, secret.not_after, secret.not_after <= now, follows))
    return found


def warnings(outputs: Outputs, now: datetime) -> list[str]:
    """Return which certificates and client secrets of the stack end soon, have ended or are missing, and what to do."""
    waiting = _awaiting(outputs)
    early = (f"{name} {text}" for name, text in beginnings(outputs, now))
    return [*map(str, endings(outputs, now)), *early, *([waiting] if waiting else [])]


def beginnings(outputs: Outputs, now: datetime) -> list[tuple[str, str]]:
    """Return which trusted authorities are not valid yet, each with when it begins, and what to do."""
    return [
        (outputs.name_of(one), f"{_when_valid(one, now)}: until then nothing that it issues is accepted. {_CLOCK}")
        for one in dict.fromkeys(outputs.authorities)
        if one.not_valid_before_utc > now
    ]


def _what_follows(certificate: IssuedCertificate, now: datetime) -> str:
    if certificate.role is Role.AUTHORITY:
        return _WHAT_FOLLOWS[certificate.role]
    if certificate.renewal_day is None:
        return _CAPPED
    if certificate.renewal_day > now.date():
        return f". `make up` renews it from {certificate.renewal_day} on."
    return _WHAT_FOLLOWS[certificate.role]


def _environment_problems(name: str, startup: Startup, outputs: Outputs) -> Iterator[Problem]:
    consequence = (
        "To the server a missing variable means TLS off."
        if startup.consumer == SERVER
        else "It would start without what it needs, or connect without TLS."
    )
    required = _required(startup, outputs)
    for file, environment in startup.environments.items():
        for variable in sorted(required[file]):
            if not environment.get(variable):
                state = "empty" if variable in environment else "missing"
                yield Problem(name, f"{variable} is {state} in {file}", consequence, _RUN_UP)
        for variable, value in environment.items():
            if what := envfile.obstacle(variable, value):
                yield Problem(
                    name,
                    f"{variable} in {file} {what}",
                    "Docker, systemd and the shell would each read something else.",
                    "Change the setting that it comes from, and run `make up`.",
                )
        yield from _file_problems(name, file, environment, startup, outputs)


def _required(startup: Startup, outputs: Outputs) -> dict[str, Iterable[str]]:
    identities = {
        name: sample_identity(client_secret=worker.client_secret is not None)
        for name, worker in outputs.sign_on.workers.items()
    }
    sample = sample_deployment(SampleSignOn(worker_variables=identities) if outputs.sign_on.client_id else None)
    consumer = startup.consumer
    if consumer == SERVER:
        environments = [server_environment(sample), internal_frontend_environment(sample)]
    elif consumer == UI:
        environments = [ui_environment(sample)]
    elif consumer == CLI:
        environments = [cli_environment(sample)]
    else:
        environments = [worker_environment(sample, consumer.certificate)]
    return dict(zip(consumer.environment_files, environments, strict=True))


def _file_problems(
    name: str, file: str, environment: Environment, startup: Startup, outputs: Outputs
) -> Iterator[Problem]:
    written = contents(environment)
    slots = Counter(content.authority for content in written.values() if isinstance(content, AuthoritySlot))
    roots = {"server", "ui", "cli", "workers"}
    for variable, value in environment.items():
        content = written.get(value) if value else None
        if content is None and value.partition("/")[0] in roots and "/" in value:
            yield Problem(
                name,
                f"{variable} in {file} names {value}, which nobody writes",
                "It would not find that file.",
                _RUN_UP,
            )
        elif content is not None:
            for what in _content_problems(content, value, startup, outputs, slots):
                wrong = f"{variable} in {file} names {value}, {what}"
                yield Problem(name, wrong, "That file would be useless or absent.", _awaiting(outputs) or _RUN_UP)


def _content_problems(
    content: Content, path: str, startup: Startup, outputs: Outputs, slots: Mapping[str, int]
) -> Iterator[str]:
    steps = path.split("/")
    if not path.startswith(f"{startup.consumer.directory}/") or any(step in ("", ".", "..") for step in steps):
        yield "which is not in its own directory"
        return
    match content:
        case Certificate(certificate) | PrivateKey(certificate) if certificate != startup.consumer.certificate:
            yield f"but its certificate is {startup.consumer.certificate}"
        case AuthoritySlot(authority, _) | AuthorityBundle(authority) if not outputs.ca_bundles.get(authority):
            yield f"but caBundles has no authority {authority}"
        case AuthoritySlot(authority) if (trusted := len(outputs.ca_bundles[authority])) > slots[authority]:
            yield f"but {trusted} generations of {authority} are trusted, and there is room for {slots[authority]}"
        case Document.SERVER_CONFIG if not outputs.server_config.strip():
            yield "but the output serverConfig is empty"
        case Document.DYNAMIC_CONFIG if not outputs.dynamic_config.strip():
            yield "but the output dynamicConfig is empty"


def _certificate_problems(
    consumer: str, name: str, outputs: Outputs, keys: Mapping[str, Secret], now: datetime
) -> Iterator[Problem]:
    found = outputs.certificates.get(name)
    if found is None:
        wrong = f"the outputs have no certificate {name}"
        yield Problem(consumer, wrong, "It could not prove who it is.", _awaiting(outputs) or _RUN_UP)
        return
    yield from _validity_problems(consumer, name, found, now)
    yield from _chain_problems(consumer, name, found, outputs, now)
    if not found.secret_id and name not in outputs.private_keys:
        yield Problem(consumer, f"the certificate {name} names no secret", "Its private key cannot be read.", _RUN_UP)
    elif secret := keys.get(name):
        if secret.certificate != found.certificate:
            yield Problem(
                consumer,
                f"the secret {found.secret_id} holds another certificate than the outputs have for {name} (serial "
                f"numbers {secret.certificate.serial_number:x} and {found.certificate.serial_number:x})",
                "Its key would not belong to the certificate beside it.",
                "Somebody issued it behind the stack's back: run `pulumi refresh`, then `make up`.",
            )
        place = found.secret_id or "the output privateKeys"
        if _encoded(secret.private_key.public_key()) != _encoded(found.certificate.public_key()):
            yield Problem(
                consumer,
                f"the private key in {place} does not belong to the certificate {name}",
                "No handshake with it would succeed, and a server would not start.",
                "Run `pulumi refresh`, then `make up`.",
            )


def _awaiting(outputs: Outputs) -> str:
    """Say what to do first while authorities wait for their certificates."""
    if not outputs.awaited:
        return ""
    names = " and ".join(outputs.awaited)
    return (
        f"First {names} must get a certificate from whoever has its issuer's key: the output "
        f"certificateSigningRequests has the request. Set issuedPem, run `make up`; see docs/topologies.md."
    )


def _validity_problems(consumer: str, name: str, found: IssuedCertificate, now: datetime) -> Iterator[Problem]:
    begins, ends = found.certificate.not_valid_before_utc, found.certificate.not_valid_after_utc
    if ends <= now:
        wrong = f"the certificate {name} ended on {ends:%Y-%m-%d %H:%M} UTC"
        yield Problem(consumer, wrong, "Everybody would refuse it.", _ISSUE_ANEW)
    if begins > now:
        yield Problem(
            consumer,
            f"the certificate {name} begins on {begins:%Y-%m-%d %H:%M} UTC, and here it is {now:%Y-%m-%d %H:%M} UTC",
            "Everybody would refuse it until then.",
            _CLOCK,
        )


def _chain_problems(
    consumer: str, name: str, found: IssuedCertificate, outputs: Outputs, now: datetime
) -> Iterator[Problem]:
    line = [found.certificate, *found.chain]
    if not all(issued(below, by=above) for below, above in pairwise(line)):
        yield Problem(
            consumer,
            f"the chain of the certificate {name} is out of order, or has a stranger in it",
            "Whoever it is shown to could not follow it.",
            _ISSUE_ANEW,
        )
        return
    if not _leads_to(outputs.authorities, line):
        yield Problem(
            consumer,
            f"the certificate {name} leads to {printable(line[-1].issuer.rfc4514_string())}, which is in none of "
            f"the caBundles",
            "Nobody here would trust it.",
            "Under certificateAuthorities trust that generation again, or let another sign; then run `make up`.",
        )
        return
    reached = [found.certificate, *takewhile(lambda above: _is_valid(above, now), found.chain)]
    if not _leads_to((one for one in outputs.authorities if _is_valid(one, now)), reached):
        above = [*found.chain, *(one for one in outputs.authorities if _leads_to([one], line))]
        wrong = f"the certificate {name} leads to {_invalid(above, outputs, now)}"
        yield Problem(consumer, wrong, "Everybody would refuse it.", _validity_fix(above, now))


def _trust_problems(consumer: str, outputs: Outputs, now: datetime) -> Iterator[Problem]:
    """Yield the authorities that it cannot do without and that are as good as not trusted.

    A generation beside a valid one does no harm, and of clients that the frontend admits only these are refused.
    """
    for authority in outputs.relied_on_by(consumer):
        generations = outputs.ca_bundles.get(authority, ())
        if generations and not any(_is_valid(one, now) for one in generations):
            yield Problem(
                consumer,
                f"of the authority {authority} it would trust nothing but {_invalid(generations, outputs, now)}",
                "It would refuse whoever has a certificate of it.",
                _validity_fix(generations, now),
            )


def _leads_to(authorities: Iterable[x509.Certificate], line: Iterable[x509.Certificate]) -> bool:
    """Whoever trusts any authority of the line trusts the leaf, whatever is above it."""
    line = tuple(line)
    return any(link == authority or issued(link, by=authority) for authority in authorities for link in line)


def _is_valid(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def _invalid(authorities: Iterable[x509.Certificate], outputs: Outputs, now: datetime) -> str:
    """Name those that are not valid, each with when it ended or begins."""
    told = {outputs.name_of(one): one for one in authorities if not _is_valid(one, now)}
    return " and ".join(f"{name}, which {_when_valid(one, now)}" for name, one in told.items())


def _when_valid(authority: x509.Certificate, now: datetime) -> str:
    begins, ends = authority.not_valid_before_utc, authority.not_valid_after_utc
    if ends <= now:
        return f"ended on {ends:%Y-%m-%d %H:%M} UTC"
    return f"begins on {begins:%Y-%m-%d %H:%M} UTC, and here it is {now:%Y-%m-%d %H:%M} UTC"


def _validity_fix(authorities: Iterable[x509.Certificate], now: datetime) -> str:
    return _RENEW_AUTHORITY if any(one.not_valid_after_utc <= now for one in authorities) else _CLOCK


def _server_name_problems(name: str, startup: Startup, outputs: Outputs) -> Iterator[Problem]:
    server = outputs.certificates.get(SERVER.certificate)
    if server is None:
        return
    for file, environment in startup.environments.items():
        for variable, value in environment.items():
            if variable.endswith("_SERVER_NAME") and value and not vouches_for(server.certificate, value):
                yield Problem(
                    name,
                    f"{variable} in {file} expects the server to be {value}, and the certificate "
                    f"{SERVER.certificate} has no such name",
                    "No connection to the server would succeed.",
                    f"Put {value} among certificates.{SERVER.certificate}.dnsNames, and run `make up`.",
                )


def _encoded(public_key: PublicKeyTypes) -> bytes:
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
