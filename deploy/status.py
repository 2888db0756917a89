"""How a stack stands: what is issued, what is delivered and what is loaded, side by side. Pure.

`findings` says what of it is wrong. Whether the UI, the CLI and the workers have loaded what was delivered to them
cannot be seen from outside, and the status says so.
"""

from collections.abc import Iterator
from datetime import date, datetime

from cryptography import x509
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from deploy.deliveries import SECRETS_NOT_COMPARED, Delivery, State, trusts
from deploy.findings import Finding, Level, Loaded, Seen, findings, loaded, serial, trust_difference
from deploy.listeners import Handshake, Outcome
from deploy.outputs import Outputs
from environment import UI, worker
from pki import Role
from pki.host_names import vouches_for


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True)


class CertificateStatus(_Model):
    """A certificate of the stack. `issuer` is the issuing authority's name among the certificates.

    `days_left` is rounded down. From `renews_on` on `up` renews it; None for what `up` does not renew. `consumer` is
    whose directory it belongs in, and `delivered` how that compares; None for authorities.
    """

    name: str
    role: Role
    issuer: str
    serial_number: str
    not_after: datetime
    days_left: int
    renews_on: date | None
    consumer: str | None
    delivered: State | None


class ClientSecretStatus(_Model):
    """The client secret of a consumer. `delivered` is None where the caller may not read the stack's secrets."""

    consumer: str
    not_after: datetime
    days_left: int
    renews_on: date
    delivered: State | None


class DeliveredCertificate(_Model):
    """The leaf in a consumer's directory; `trusted` says whether its authority is one of the stack's trusted ones."""

    serial_number: str
    issuer: str
    not_after: datetime
    days_left: int
    trusted: bool


class ConsumerStatus(_Model):
    """A consumer's directory. `trusts` names the authorities in its files.

    `lacks` are those that it should trust as well, `keeps` those that the stack trusts no longer.
    """

    name: str
    state: State
    directory: str
    differences: tuple[str, ...]
    certificate: DeliveredCertificate | None
    trusts: tuple[str, ...]
    lacks: tuple[str, ...]
    keeps: tuple[str, ...]


class ListenerStatus(_Model):
    """What a listener really presents. `verifies` and `name_fits` are of its certificate, None without one.

    `admitted` tells whether it let the CLI's certificate in, None where that does not show.
    """

    address: str
    server_name: str
    outcome: Outcome
    loaded: Loaded
    detail: str
    serial_number: str | None = None
    not_after: datetime | None = None
    days_left: int | None = None
    verifies: bool | None = None
    name_fits: bool | None = None
    admitted: bool | None = None


class Status(_Model):
    """The status of one stack at a time. `findings` come most urgent first; `unknown` is what cannot be told."""

    stack: str
    directory: str
    at: datetime
    failing: bool
    findings: tuple[Finding, ...]
    certificates: tuple[CertificateStatus, ...]
    client_secrets: tuple[ClientSecretStatus, ...]
    consumers: tuple[ConsumerStatus, ...]
    listeners: tuple[ListenerStatus, ...]
    unknown: tuple[str, ...]


def judge(seen: Seen) -> Status:
    """Return the status, with everything that is wrong."""
    found = findings(seen)
    return Status(
        stack=seen.stack,
        directory=seen.directory,
        at=seen.now,
        failing=any(one.level in (Level.BROKEN, Level.ENDING) for one in found),
        findings=tuple(found),
        certificates=tuple(sorted(_certificates(seen), key=lambda one: (one.role is Role.AUTHORITY, one.name))),
        client_secrets=tuple(_client_secrets(seen)),
        consumers=tuple(_consumer(seen, delivery) for delivery in seen.deliveries),
        listeners=tuple(_listener(seen, answer) for answer in seen.answers),
        unknown=tuple(_unknown(seen)),
    )


def _certificates(seen: Seen) -> Iterator[CertificateStatus]:
    consumers = {startup.consumer.certificate: name for name, startup in seen.outputs.startups.items()}
    delivered = {delivery.consumer: delivery for delivery in seen.deliveries}
    for name, one in seen.outputs.certificates.items():
        consumer = consumers.get(name)
        ends = one.certificate.not_valid_after_utc
        yield CertificateStatus(
            name=name,
            role=one.role,
            issuer=seen.outputs.issuer_of((one.certificate, *one.chain)),
            serial_number=serial(one.certificate),
            not_after=ends,
            days_left=(ends - seen.now).days,
            renews_on=one.renewal_day,
            consumer=consumer,
            delivered=_of_leaf(delivered[consumer], one.certificate) if consumer else None,
        )


def _of_leaf(delivery: Delivery, leaf: x509.Certificate) -> State:
    if delivery.state is State.MISSING:
        return State.MISSING
    return State.CURRENT if delivery.leaf == leaf else State.OUTDATED


def _client_secrets(seen: Seen) -> Iterator[ClientSecretStatus]:
    delivered = {delivery.consumer: delivery for delivery in seen.deliveries}
    for name, secret in seen.outputs.sign_on.client_secrets.items():
        consumer = UI.directory if name == UI.directory else worker(name).directory
        yield ClientSecretStatus(
            consumer=consumer,
            not_after=secret.not_after,
            days_left=(secret.not_after - seen.now).days,
            renews_on=secret.renewal_day,
            delivered=_of_secret(delivered[consumer], seen.outputs) if consumer in delivered else None,
        )


def _of_secret(delivery: Delivery, outputs: Outputs) -> State | None:
    if delivery.state is State.MISSING:
        return State.MISSING
    if any(difference.variable.endswith("CLIENT_SECRET") for difference in delivery.differences):
        return State.OUTDATED
    return None if outputs.hides_secrets else State.CURRENT


def _consumer(seen: Seen, delivery: Delivery) -> ConsumerStatus:
    lacks, keeps = trust_difference(seen.outputs, delivery)
    return ConsumerStatus(
        name=delivery.consumer,
        state=delivery.state,
        directory=f"{seen.directory}/{delivery.consumer}",
        differences=tuple(map(str, delivery.differences)),
        certificate=_delivered_certificate(seen, delivery),
        trusts=tuple(map(seen.outputs.name_of, delivery.trusted)),
        lacks=lacks,
        keeps=keeps,
    )


def _delivered_certificate(seen: Seen, delivery: Delivery) -> DeliveredCertificate | None:
    if delivery.leaf is None:
        return None
    ends = delivery.leaf.not_valid_after_utc
    return DeliveredCertificate(
        serial_number=serial(delivery.leaf),
        issuer=seen.outputs.issuer_of(delivery.line),
        not_after=ends,
        days_left=(ends - seen.now).days,
        trusted=trusts(seen.outputs.authorities, delivery.line),
    )


def _listener(seen: Seen, answer: Handshake) -> ListenerStatus:
    listener, leaf = answer.listener, answer.certificate
    status = ListenerStatus(
        address=listener.address,
        server_name=listener.server_name,
        outcome=answer.outcome,
        loaded=loaded(seen, answer),
        detail=answer.detail or answer.refusal,
    )
    if leaf is None:
        return status
    presented = {
        "serial_number": serial(leaf),
        "not_after": leaf.not_valid_after_utc,
        "days_left": (leaf.not_valid_after_utc - seen.now).days,
        "verifies": answer.verifies,
        "name_fits": vouches_for(leaf, listener.server_name),
        "admitted": answer.admitted,
    }
    return status.model_copy(update=presented)


def _unknown(seen: Seen) -> Iterator[str]:
    if seen.outputs.hides_secrets:
        yield SECRETS_NOT_COMPARED
    silent = [answer for answer in seen.answers if answer.outcome is Outcome.UNREACHABLE]
    if len(silent) == len(seen.answers):
        tried = ", ".join(f"{answer.listener.address}: {answer.detail}" for answer in silent) or "none is known"
        yield f"What the server has loaded: no listener was reached ({tried}). Name one with --listener HOST:PORT."
    elif not seen.pair_shown:
        yield "Whether the CLI's certificate is let in: it is not in files here, so none was shown."
    yield (
        "Whether UI, CLI and workers have loaded what is delivered: they read it at their start, and nobody can ask "
        "them. Restart them after each delivery."
    )
