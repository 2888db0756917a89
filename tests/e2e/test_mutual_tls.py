"""The real Temporal on a deploy directory: who is let in, who is not, and why not."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from environment import inlined
from tests.e2e import sample_worker
from tests.e2e.certificates import CLIENT, Authority
from tests.e2e.conversation import (
    PLAINTEXT_GRPC,
    PLAINTEXT_HTTP,
    PLAINTEXT_MEMBERSHIP,
    Caller,
    RefusedError,
    converse,
)
from tests.e2e.stack import Stack, make_stack
from tests.e2e.temporal import (
    FRONTEND,
    LISTENERS,
    Cluster,
    Listener,
    Protocol,
    UserInterface,
    read_environment,
    wait_until,
)

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("temporal")]

OTHER = {"internode": "clients", "clients": "internode"}
Change = Callable[[Caller, Listener, Stack], Caller]

# One change to the right caller each, and the reason for which the result is refused. Alerts are named as OpenSSL does;
# the server sends them. In the last case it is the caller who hangs up.
WRONG: dict[str, tuple[Change, str | Mapping[Protocol, str]]] = {
    "plaintext": (
        lambda right, listener, stack: replace(right, tls=False),
        {
            Protocol.GRPC: PLAINTEXT_GRPC,
            Protocol.HTTP: PLAINTEXT_HTTP,
            Protocol.MEMBERSHIP: PLAINTEXT_MEMBERSHIP,
        },
    ),
    "no-certificate": (
        lambda right, listener, stack: replace(right, pair=None),
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    ),
    "other-role": (
        lambda right, listener, stack: replace(right, pair=stack.genuine[OTHER[listener.admits]]),
        "TLSV1_ALERT_UNKNOWN_CA",
    ),
    "other-authority-of-that-name": (
        lambda right, listener, stack: replace(right, pair=stack.impostor[listener.admits]),
        "TLSV1_ALERT_UNKNOWN_CA",
    ),
    "expired": (
        lambda right, listener, stack: replace(right, pair=stack.expired[listener.admits]),
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    ),
    "wrong-name": (
        lambda right, listener, stack: replace(right, server_name="elsewhere.internal"),
        "Hostname mismatch, certificate is not valid for 'elsewhere.internal'.",
    ),
}


def call(cluster: Cluster, listener: Listener, caller: Caller) -> None:
    converse(listener.protocol, cluster.ports[listener], caller, cluster.processes[listener.process])


def opens(cluster: Cluster, listener: Listener, caller: Caller) -> bool:
    try:
        call(cluster, listener, caller)
    except RefusedError:
        return False
    return True


def read(path: str) -> bytes:
    return Path(path).read_bytes()


def run_worker(environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """A worker with these variables and no other, which runs one workflow and ends."""
    command = [sys.executable, sample_worker.__file__]
    return subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=60, check=False)


def test_every_listening_socket_is_a_known_one(cluster: Cluster) -> None:
    """A socket that nobody thought of would be one that nobody closed."""
    for name, process in cluster.processes.items():
        known = {port for listener, port in cluster.ports.items() if listener.process == name}
        assert process.listening_ports() == known


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("listener", LISTENERS, ids=str)
def test_listener_answers_the_right_caller_and_refuses_the_wrong_one(
    cluster: Cluster, stack: Stack, listener: Listener, wrong: str
) -> None:
    """A refusal proves nothing while the caller who differs in that one thing is refused as well."""
    right = stack.caller(listener.admits)
    change, reason = WRONG[wrong]

    call(cluster, listener, right)
    with pytest.raises(RefusedError) as refusal:
        call(cluster, listener, change(right, listener, stack))

    assert str(refusal.value) == (reason if isinstance(reason, str) else reason[listener.protocol])


def test_client_certificates_open_the_frontend_and_nothing_else(cluster: Cluster, stack: Stack) -> None:
    """On the internal frontend, over HTTP too, a worker would be an administrator."""
    opened = {str(listener) for listener in LISTENERS if opens(cluster, listener, stack.caller("clients"))}

    assert opened == {"frontend-grpc", "frontend-http"}


def test_probe_sees_membership_ports_that_speak_plaintext(tmp_path: Path) -> None:
    """A probe that no port ever answers would call every port closed."""
    stack = make_stack(tmp_path / "deploy", tmp_path / "scratch")
    (stack.root / "server/dynamicconfig.yaml").write_text("{}\n")
    with Cluster(stack.root, tmp_path / "state") as cluster:
        stranger = replace(stack.caller("internode"), pair=None, tls=False)
        membership = [listener for listener in LISTENERS if listener.protocol is Protocol.MEMBERSHIP]

        assert all(opens(cluster, listener, stranger) for listener in membership)


def test_authority_comes_and_goes_without_a_restart(tmp_path: Path) -> None:
    """With both generations in one file the server would not notice the second, and a rollover would need a restart."""
    stack = make_stack(tmp_path / "deploy", tmp_path / "scratch")
    slot = stack.root / "server/ca/clients-b.pem"
    first, second = slot.read_bytes(), Authority.named("clients 2")
    newcomer = replace(stack.caller("clients"), pair=second.issue(tmp_path / "newcomer", CLIENT))
    with Cluster(stack.root, tmp_path / "state") as cluster:
        assert not opens(cluster, FRONTEND, newcomer)

        slot.write_bytes(second.pem)
        wait_until(lambda: opens(cluster, FRONTEND, newcomer), "the second generation is trusted")
        assert opens(cluster, FRONTEND, stack.caller("clients"))

        slot.write_bytes(first)
        wait_until(lambda: not opens(cluster, FRONTEND, newcomer), "the second generation is no longer trusted")
        assert opens(cluster, FRONTEND, stack.caller("clients"))


def test_server_runs_inlined(tmp_path: Path) -> None:
    """Where nothing but variables can be given, the second slots travel in variables that only server.yaml reads."""
    stack = make_stack(tmp_path / "deploy", tmp_path / "scratch")
    second = Authority.named("clients 2")
    newcomer = replace(stack.caller("clients"), pair=second.issue(tmp_path / "newcomer", CLIENT))
    (stack.root / "server/ca/clients-b.pem").write_bytes(second.pem)
    for file in (stack.root / "server/server.env", stack.root / "server/internal-frontend.env"):
        variables = inlined(read_environment(file), read)
        file.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    shutil.rmtree(stack.root / "server/ca")
    with Cluster(stack.root, tmp_path / "state") as cluster:
        assert opens(cluster, FRONTEND, stack.caller("clients"))
        assert opens(cluster, FRONTEND, newcomer)
        assert not opens(cluster, FRONTEND, stack.caller("internode"))


def test_system_worker_polls(cluster: Cluster) -> None:
    """A server whose own worker is locked out says SERVING, and never deletes a namespace or runs a schedule."""
    assert cluster.system_pollers()


def test_log_has_no_complaint_about_the_configuration(cluster: Cluster) -> None:
    """What is wrong with certificates, dynamic configuration or the authorizer is said in the log and nowhere else."""
    for process in cluster.processes.values():
        complaints = [
            line
            for line in process.log.read_text().splitlines()
            if re.search(r'"level":"(warn|error|fatal)"', line) and re.search(r"tls|certificate|auth|config", line)
        ]
        assert complaints == []


def test_cli_needs_nothing_but_its_environment(cluster: Cluster) -> None:
    """A variable that the CLI does not read would leave it without TLS, or without its certificate."""
    health = cluster.cli("operator", "cluster", "health")

    assert (health.stdout, health.returncode) == ("SERVING\n", 0), health.stderr


def test_worker_needs_nothing_but_its_environment(cluster: Cluster, stack: Stack) -> None:
    """A worker that needs code of its own to connect is one that somebody writes without TLS."""
    finished = run_worker(stack.worker_environment)

    assert finished.stdout == "Hello, Temporal\n", finished.stderr


def test_worker_refuses_a_server_of_another_authority(cluster: Cluster, stack: Stack) -> None:
    """A worker that took any server's word would hand its payloads to whoever answers."""
    other_authority = str(stack.root / "server/ca/clients-a.pem")
    finished = run_worker({**stack.worker_environment, "TEMPORAL_TLS_SERVER_CA_CERT_PATH": other_authority})

    assert finished.returncode != 0
    assert "InvalidCertificate(UnknownIssuer)" in finished.stderr


def test_client_environments_work_inlined(cluster: Cluster, stack: Stack) -> None:
    """The SDKs take PEM where the server takes base64: the wrong one of the two is a client without a certificate."""
    health = cluster.cli("operator", "cluster", "health", environment=inlined(stack.cli_environment, read))
    assert health.stdout == "SERVING\n", health.stderr

    finished = run_worker(inlined(stack.worker_environment, read))
    assert finished.stdout == "Hello, Temporal\n", finished.stderr


def test_ui_needs_nothing_but_its_environment(cluster: Cluster, stack: Stack, tmp_path: Path) -> None:
    """A UI that the frontend does not let in shows an error where its first page should be."""
    with UserInterface(stack.root, tmp_path) as interface:
        status, body = interface.get("/api/v1/namespaces")

    assert status == 200, body
    assert '"name": "default"' in body


def test_ui_refuses_a_server_of_another_name(cluster: Cluster, stack: Stack, tmp_path: Path) -> None:
    """Host verification is off by default in the UI: it would talk to whoever has any certificate of the authority."""
    with UserInterface(stack.root, tmp_path, TEMPORAL_TLS_SERVER_NAME="elsewhere.internal") as interface:
        status, body = interface.get("/api/v1/namespaces")

    assert status != 200
    assert "not elsewhere.internal" in body
