"""What is not as it should be with a stack, and what to do about it, in one line each. Pure.

Three things may differ. What is *issued* is in the stack's outputs. What is *delivered* is in the consumers'
directories on this machine. What is *loaded* shows in a handshake, and so of listeners alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from deploy import checks
from deploy.deliveries import Delivery, State, trusts
from deploy.listeners import Handshake, Outcome
from deploy.outputs import Outputs
from environment import CLI, SERVER
from pki import Role
from pki.host_names import vouches_for

_REVOKE = "docs/runbooks/revoke-a-person-or-worker.md"
_REFRESH = "TEMPORAL_TLS_REFRESH_INTERVAL"
_DIFFERENCES_SHOWN = 3
_WITHOUT_CERTIFICATE = {
    Outcome.UNREACHABLE: "it cannot be reached ({}). Start it, or see what is between; or ask for another.",
    Outcome.NO_TLS: "it speaks no TLS ({}): what is said to it can be read and changed on the way. If it is the "
    "server, it was started without its files: restart it with server.env.",
    Outcome.FAILED: "it ends no TLS handshake ({}). See what listens there, and what it logs.",
}
_NO_ROLES = "and nothing was taken away: without sign-on its certificate is an administrator's"
_FOREIGN = (
    "It is another's listener, or an impostor's, or has a certificate of an authority that was distrusted: see what "
    "listens there; if it is the server, restart it with the files of now."
)
_OTHER_NAME = "Put it among the cluster's dnsNames, or ask for the right one: --listener HOST:PORT=NAME."
_REFUSED = "The server's files do not admit it, or it is no frontend: see the server's log."


class Level(StrEnum):
    """How urgent something is, most urgent first. What is `broken` or `ending` makes a monitor fail.

    `broken`: it is refused, or ended. `ending`: it ends within the time that was asked for. `due`: the program or a
    person has something to do, and time for it. `open`: it may be as it should be.
    """

    BROKEN = "broken"
    ENDING = "ending"
    DUE = "due"
    OPEN = "open"


class Loaded(StrEnum):
    """What a listener presents: the stack's certificate, an `older` one, a `foreign` one, or nothing."""

    CURRENT = "current"
    OLDER = "older"
    FOREIGN = "foreign"
    NOTHING = "nothing"


class Finding(BaseModel):
    """What is not as it should be, and what to do, in one line."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True)

    level: Level
    about: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Seen:
    """All that a status is made of. `directory` is where the files are, as seen from here.

    `answers` has the handshake with each listener that was asked. What ends `within` that time, in place of what has
    ended alone, makes a monitor fail. `pair_shown` tells whether the listeners were shown the CLI's certificate.
    """

    outputs: Outputs
    stack: str
    directory: str
    deliveries: Sequence[Delivery]
    answers: Sequence[Handshake]
    pair_shown: bool
    now: datetime
    within: timedelta = timedelta()


def findings(seen: Seen) -> list[Finding]:
    """Return everything that is wrong, most urgent first."""
    return sorted(dict.fromkeys(_findings(seen)), key=lambda found: list(Level).index(found.level))


def loaded(seen: Seen, answer: Handshake) -> Loaded:
    """Return what a listener presents, against what is issued."""
    if answer.certificate is None:
        return Loaded.NOTHING
    if any(one.certificate == answer.certificate for one in seen.outputs.certificates.values()):
        return Loaded.CURRENT
    return Loaded.OLDER if answer.verifies else Loaded.FOREIGN


def serial(certificate: x509.Certificate) -> str:
    """Return a serial number as openssl prints it, without colons."""
    return f"{certificate.serial_number:x}"


def trust_difference(outputs: Outputs, delivery: Delivery) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which authorities a consumer's files lack, and which they keep that the stack has it trust no longer."""
    if delivery.state not in (State.CURRENT, State.OUTDATED):
        return (), ()
    expected = outputs.trusted_by(delivery.consumer)
    lacks = tuple(outputs.name_of(one) for one in expected if one not in delivery.trusted)
    return lacks, tuple(outputs.name_of(one) for one in delivery.trusted if one not in expected)


def _findings(seen: Seen) -> Iterator[Finding]:
    def told(level: Level, about: str, text: str) -> Finding:
        # What the checks advise is the same for every stack.
        return Finding(level=level, about=about, text=text.replace("`make up`", f"`make up STACK={seen.stack}`"))

    for problem in checks.problems(seen.outputs, {}, seen.outputs.startups, seen.now):
        yield told(Level.BROKEN, problem.consumer, f"{problem.what}. {problem.consequence} {problem.fix}")
    for ending in sorted(checks.endings(seen.outputs, seen.now, within=seen.within), key=lambda one: one.not_after):
        # That a leaf has ended is among the problems.
        if not ending.ended or ending.role in (None, Role.AUTHORITY):
            yield told(_urgency(seen, ending.not_after), ending.what, ending.when)
    for name, text in checks.beginnings(seen.outputs, seen.now):
        yield told(Level.DUE, name, text)
    for one in (*_of_deliveries(seen), *_of_trust(seen), *_of_listeners(seen)):
        yield told(*one)


_Said = tuple[Level, str, str]
"""A finding's level, what it is about, and its text."""


def _of_deliveries(seen: Seen) -> Iterator[_Said]:
    own = [delivery for delivery in seen.deliveries if delivery.state is not State.REVOKED]
    missing = [delivery.consumer for delivery in own if delivery.state is State.MISSING]
    if len(missing) == len(own):
        yield Level.DUE, seen.directory, f"nothing is delivered here. Run {_write(seen)}."
    elif missing:
        yield (
            Level.OPEN,
            ", ".join(missing),
            f"nothing is delivered here. If they are to run from here, run {_write(seen, *missing)}.",
        )
    for delivery in seen.deliveries:
        if delivery.state is State.OUTDATED:
            yield from _of_outdated(seen, delivery)
        elif delivery.state is State.REVOKED:
            yield _of_revoked(seen, delivery)


def _of_outdated(seen: Seen, delivery: Delivery) -> Iterator[_Said]:
    name, mend = delivery.consumer, _deliver(seen, delivery.consumer)
    stacks = seen.outputs.certificates.get(seen.outputs.startups[name].consumer.certificate)
    leaf = delivery.leaf
    if leaf and stacks and leaf != stacks.certificate:
        ends = leaf.not_valid_after_utc
        if not trusts(seen.outputs.authorities, delivery.line):
            issuer = seen.outputs.issuer_of(delivery.line)
            wrong = f"the certificate in its directory was issued by {issuer}, which the stack trusts no longer"
            yield Level.BROKEN, name, f"{wrong}. It is refused by whoever has the stack's files. {mend}"
        if _urgency(seen, ends) in (Level.BROKEN, Level.ENDING):
            wrong = f"the certificate in its directory {_when(seen, ends)}, and the stack's newer one is not delivered"
            yield _urgency(seen, ends), name, f"{wrong}. {mend}"
    lacks, keeps = trust_difference(seen.outputs, delivery)
    what = [f"it does not trust {', '.join(lacks)}"] if lacks else []
    what += [f"it still trusts {', '.join(keeps)}"] if keeps else []
    what += [str(each) for each in delivery.differences if not each.file.startswith("ca/")]
    more = len(what) - _DIFFERENCES_SHOWN
    listed = "; ".join([*what[:_DIFFERENCES_SHOWN], *([f"{more} more"] if more > 0 else [])])
    yield Level.DUE, name, f"its directory is outdated: {listed}. {mend}"


def _of_revoked(seen: Seen, delivery: Delivery) -> _Said:
    name = delivery.consumer
    gone = "its roles are gone" if seen.outputs.sign_on.client_id else _NO_ROLES
    revoked = f"revoked: never renewed nor delivered again, {gone}"
    remove = f"Where it is still delivered, remove it: {_write(seen)} does so here; see {_REVOKE}."
    if delivery.leaf is None:
        return Level.DUE, name, f"{revoked}; what is in its directory is no certificate. {remove}"
    ends, issuer = delivery.leaf.not_valid_after_utc, seen.outputs.issuer_of(delivery.line)
    if ends <= seen.now:
        return Level.OPEN, name, f"{revoked}; its certificate ended on {ends:%Y-%m-%d}. {remove}"
    if not trusts(seen.outputs.authorities, delivery.line):
        return Level.OPEN, name, f"{revoked}; its certificate is trusted no longer, as {issuer} is not. {remove}"
    return (
        Level.DUE,
        name,
        f"{revoked}; trusted until it ends on {ends:%Y-%m-%d}, or until {issuer} is rolled over. {remove}",
    )


def _of_trust(seen: Seen) -> Iterator[_Said]:
    """Yield where what is delivered to the server and what is delivered to a client refuse each other."""
    own = {delivery.consumer: delivery for delivery in seen.deliveries if delivery.state is not State.REVOKED}
    server, stacks = own.pop(SERVER.directory), seen.outputs.authorities
    for name, client in own.items():
        # What the stack itself trusts no longer is told as such.
        if client.line and server.trusted and trusts(stacks, client.line) and not trusts(server.trusted, client.line):
            issuer = seen.outputs.issuer_of(client.line)
            yield (
                Level.BROKEN,
                SERVER.directory,
                f"its files do not trust {issuer}, which issued the certificate of {name}: once it has read them the "
                f"server refuses {name}. {_deliver(seen, SERVER.directory)}",
            )
        if client.trusted and server.line and trusts(stacks, server.line) and not trusts(client.trusted, server.line):
            issuer = seen.outputs.issuer_of(server.line)
            yield (
                Level.BROKEN,
                name,
                f"its files do not trust {issuer}, which issued the server's certificate, so it refuses the server. "
                f"{_deliver(seen, name)}",
            )


def _of_listeners(seen: Seen) -> Iterator[_Said]:
    for answer in seen.answers:
        where, leaf, presents = answer.listener.address, answer.certificate, loaded(seen, answer)
        if leaf is None:
            # Nobody says that a server runs where the frontend is looked for by default.
            if answer.listener.named or answer.outcome is not Outcome.UNREACHABLE:
                yield Level.BROKEN, where, _WITHOUT_CERTIFICATE[answer.outcome].format(answer.detail)
            continue
        shown, ends = f"it presents the certificate {serial(leaf)}", leaf.not_valid_after_utc
        if not answer.verifies:
            issuer = seen.outputs.issuer_of([leaf])
            yield (
                Level.BROKEN,
                where,
                f"{shown} of {issuer}, which the stack does not trust ({answer.detail}). {_FOREIGN}",
            )
            continue
        if not vouches_for(leaf, answer.listener.server_name):
            wrong = (
                f"{shown}, which has no name {answer.listener.server_name}: clients that ask for this name refuse it"
            )
            yield Level.BROKEN, where, f"{wrong}. {_OTHER_NAME}"
        if presents is Loaded.OLDER:
            wrong = f"{shown}, which {_when(seen, ends)} and is not the stack's"
            yield _urgency(seen, ends), where, f"{wrong}. {_why_not_loaded(seen)}"
        if answer.admitted is False and seen.pair_shown and not answer.listener.named:
            yield Level.BROKEN, where, f"it refuses the CLI's certificate ({answer.refusal}). {_REFUSED}"


def _why_not_loaded(seen: Seen) -> str:
    delivery = next(one for one in seen.deliveries if one.consumer == SERVER.directory)
    certificate = seen.outputs.certificates.get(SERVER.certificate)
    if delivery.state is State.MISSING or certificate is None:
        return "The server's files are not here: write them on its host, where it reads them again by itself."
    if delivery.leaf != certificate.certificate:
        return f"The stack's is not delivered: run {_write(seen, SERVER.directory)}."
    interval = seen.outputs.server_env.get(_REFRESH, "")
    return (
        f"The stack's is delivered, and not loaded. The server reads it again every {interval} "
        f"({_REFRESH}): if it does not within that time, restart it, and see that its directory is mounted whole."
    )


def _urgency(seen: Seen, ends: datetime) -> Level:
    if ends <= seen.now:
        return Level.BROKEN
    return Level.ENDING if ends - seen.now <= seen.within else Level.DUE


def _when(seen: Seen, ends: datetime) -> str:
    return f"{'ended' if ends <= seen.now else 'ends'} on {ends:%Y-%m-%d}"


def _write(seen: Seen, *consumers: str) -> str:
    return f"`{' '.join(['python -m deploy write --stack', seen.stack, *(f'--only {name}' for name in consumers)])}`"


def _deliver(seen: Seen, consumer: str) -> str:
    """What brings a consumer's directory up to date, and what the consumer needs besides."""
    run = f"Run {_write(seen, consumer)}"
    if consumer == SERVER.directory:
        return f"{run}: it reads certificates and its clients' authorities again by itself; restart it for all else."
    return f"{run}." if consumer == CLI.directory else f"{run}, then restart it."
