"""The real Temporal on what `make up` has left: who is let in, who is not, and why not."""

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.e2e import sample_worker
from tests.e2e.conversation import HUNG_UP, Caller, RefusedError, converse, opens
from tests.e2e.stack import WORKER_ENV, Stack
from tests.e2e.temporal import LISTENERS, Cluster, Listener, Protocol, UserInterface

pytestmark = pytest.mark.e2e

OTHER = {"internode": "clients", "clients": "internode"}


@dataclass(frozen=True)
class Wrong:
    """One change to the right caller, and why the result is refused.

    `told` is what the caller sees, alerts named as OpenSSL does; `logged` is a pattern for the server's log, where the
    server is who refuses.
    """

    change: Callable[[Caller, Listener, Stack], Caller]
    told: str | Mapping[Protocol, str]
    logged: str | None = None


WRONG = {
    "plaintext": Wrong(
        lambda right, listener, stack: replace(right, tls=False),
        {
            Protocol.GRPC: HUNG_UP,
            Protocol.HTTP: "Client sent an HTTP request to an HTTPS server.",
            Protocol.MEMBERSHIP: "TLS alert 50",  # decode_error (RFC 8446, 6.2)
        },
        "tls: first record does not look like a TLS handshake|client sent an HTTP request to an HTTPS server",
    ),
    "no-certificate": Wrong(
        lambda right, listener, stack: replace(right, pair=None),
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "tls: client didn't provide a certificate",
    ),
    "other-role": Wrong(
        lambda right, listener, stack: replace(right, pair=stack.genuine[OTHER[listener.admits]]),
        "TLSV1_ALERT_UNKNOWN_CA",
        "tls: failed to verify certificate: x509: certificate signed by unknown authority",
    ),
    "other-authority-of-that-name": Wrong(
        lambda right, listener, stack: replace(right, pair=stack.impostor[listener.admits]),
        "TLSV1_ALERT_UNKNOWN_CA",
        r"tls: failed to verify certificate: x509: certificate signed by unknown authority \(possibly because of "
        r'\\?"crypto/rsa: verification error\\?" while trying to verify candidate authority certificate .*\)',
    ),
    "expired": Wrong(
        lambda right, listener, stack: replace(right, pair=stack.expired[listener.admits]),
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: .*",
    ),
    "wrong-name": Wrong(
        lambda right, listener, stack: replace(right, server_name="elsewhere.internal"),
        "Hostname mismatch, certificate is not valid for 'elsewhere.internal'.",
    ),
}


def test_every_listening_socket_is_a_known_one(cluster: Cluster) -> None:
    """A socket that nobody thought of would be one that nobody closed."""
    for name, process in cluster.processes.items():
        known = {port for listener, port in cluster.ports.items() if listener.process == name}
        assert process.listening_ports() == known


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("listener", LISTENERS, ids=str)
def test_listener_answers_the_right_caller_and_refuses_the_wrong_one(
    cluster: Cluster, stack: Stack, listener: Listener, wrong: Wrong
) -> None:
    """A refusal proves nothing while the caller who differs in that one thing is refused as well."""
    right = stack.caller(listener.admits)

    converse(cluster, listener, right)
    with pytest.raises(RefusedError) as refusal:
        converse(cluster, listener, wrong.change(right, listener, stack))

    assert str(refusal.value) == (wrong.told if isinstance(wrong.told, str) else wrong.told[listener.protocol])
    if wrong.logged and listener.protocol is not Protocol.MEMBERSHIP:
        assert re.fullmatch(wrong.logged, refusal.value.logged())


def test_client_certificates_open_the_frontend_and_nothing_else(cluster: Cluster, stack: Stack) -> None:
    """On the internal frontend, over HTTP too, a worker would be an administrator."""
    opened = {str(listener) for listener in LISTENERS if opens(cluster, listener, stack.caller("clients"))}

    assert opened == {"frontend-grpc", "frontend-http"}


def test_system_worker_polls(cluster: Cluster) -> None:
    """A server whose own worker is locked out says SERVING, and never deletes a namespace or runs a schedule."""
    assert cluster.system_pollers()


def test_log_has_no_complaint_about_the_configuration(cluster: Cluster) -> None:
    """What is wrong with certificates, dynamic configuration or the authorizer is said in the log and nowhere else."""
    assert cluster.complaints() == []


def test_cli_needs_nothing_but_its_environment(cluster: Cluster) -> None:
    """A variable that the CLI does not read would leave it without TLS, or without its certificate."""
    health = cluster.cli("operator", "cluster", "health")

    assert (health.stdout, health.returncode) == ("SERVING\n", 0), health.stderr


def test_worker_needs_nothing_but_its_environment(cluster: Cluster) -> None:
    """A worker that needs code of its own to connect is one that somebody writes without TLS."""
    finished = cluster.deployed.run(WORKER_ENV, sys.executable, sample_worker.__file__)

    assert finished.stdout == "Hello, Temporal\n", finished.stderr


def test_worker_refuses_a_server_of_another_authority(cluster: Cluster) -> None:
    """A worker that took any server's word would hand its payloads to whoever answers."""
    other = str(cluster.deployed.root / "server/ca/clients-a.pem")
    worker = (sys.executable, sample_worker.__file__)
    finished = cluster.deployed.run(WORKER_ENV, *worker, TEMPORAL_TLS_SERVER_CA_CERT_PATH=other)

    assert finished.returncode != 0
    assert "InvalidCertificate(UnknownIssuer)" in finished.stderr


def test_ui_needs_nothing_but_its_environment(cluster: Cluster, tmp_path: Path) -> None:
    """A UI that the frontend does not let in shows an error where its first page should be."""
    with UserInterface(cluster.deployed, tmp_path) as interface:
        status, body = interface.get("/api/v1/namespaces")

    assert status == 200, body
    assert '"name": "default"' in body


def test_ui_refuses_a_server_of_another_name(cluster: Cluster, tmp_path: Path) -> None:
    """Host verification is off by default in the UI: it would talk to whoever has any certificate of the authority."""
    with UserInterface(cluster.deployed, tmp_path, TEMPORAL_TLS_SERVER_NAME="elsewhere.internal") as interface:
        status, body = interface.get("/api/v1/namespaces")

    assert status != 200
    assert "not elsewhere.internal" in body
