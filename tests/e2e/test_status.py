"""`python -m deploy status` beside a Temporal that runs: issued, delivered and loaded are three things.

One cluster, which reads its files no more once it has started, is looked at before a renewal, after it, and after its
delivery. What else may listen where a server is expected stands beside it.
"""

import http.server
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from localazure.client import LocalAzure
from provider.clock import VARIABLE as CLOCK
from tests.e2e.certificates import Authority, Pair
from tests.e2e.deployed import Deployed
from tests.e2e.ports import free_ports
from tests.e2e.stack import LEAVES, Program
from tests.e2e.temporal import FRONTEND, Cluster, UserInterface
from tests.engine.stacks import loaded
from tools import REPOSITORY

pytestmark = pytest.mark.e2e

SOON_RENEWED = timedelta(days=65)
"""How long ago a leaf was issued that is valid and inside its renewal window: 90 days less 65 are less than 30."""

READ_ONCE = {"TEMPORAL_TLS_REFRESH_INTERVAL": "24h"}


@dataclass(frozen=True)
class Told:
    """How `deploy status --json` ended, and what it said."""

    exit_status: int
    status: Mapping[str, Any]

    def listener(self, port: int) -> dict[str, Any]:
        (one,) = (one for one in self.status["listeners"] if one["address"] == f"127.0.0.1:{port}")
        return dict(one)

    def of(self, about: str) -> list[tuple[str, str]]:
        """Level and text of what was found of it."""
        return [(one["level"], one["text"]) for one in self.status["findings"] if one["about"] == about]


@dataclass(frozen=True, kw_only=True)
class Site:
    """The cluster, and what was told of it: when all was one, after a renewal, and after its delivery too."""

    program: Program
    directory: Path
    cluster: Cluster
    before: x509.Certificate
    after: x509.Certificate
    at_first: Told
    renewed: Told
    renewed_and_failing: Told
    delivered: Told

    def ask(self, *ports: int) -> Told:
        return told(self.program, self.directory, *(f"--listener=127.0.0.1:{port}" for port in ports))


def told(program: Program, directory: Path, *options: str) -> Told:
    """`deploy status --json`, by the real clock."""
    environment = {name: value for name, value in program.environment().items() if name != CLOCK}
    command = ["-m", "deploy", "status", "--stack", program.name, "--directory", str(directory), "--json", *options]
    finished = subprocess.run(
        [sys.executable, *command], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert finished.returncode in (0, 1), finished.stderr
    return Told(finished.returncode, json.loads(finished.stdout))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, pulumi_home: Path) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("status")
    with LocalAzure.start(folder / "azure", rbacPropagationSeconds=0, certificatePendingPolls=0) as azure:
        program = Program(folder, azure=azure, pulumi_home=pulumi_home)
        program.provision(SOON_RENEWED)
        deployed = Deployed(program.write(folder / "deploy"))
        with Cluster(deployed, folder / "cluster", **READ_ONCE) as cluster:
            before, at_first = loaded(program.facts()["cluster"]), told(program, folder / "deploy")
            program.provision()
            renewed = told(program, folder / "deploy")
            renewed_and_failing = told(program, folder / "deploy", "--fail-within", "30d")
            program.write(folder / "deploy")
            yield Site(
                program=program,
                directory=folder / "deploy",
                cluster=cluster,
                before=before,
                after=loaded(program.facts()["cluster"]),
                at_first=at_first,
                renewed=renewed,
                renewed_and_failing=renewed_and_failing,
                delivered=told(program, folder / "deploy"),
            )


def frontend(site: Site, told: Told) -> dict[str, Any]:
    return told.listener(site.cluster.ports[FRONTEND])


def address(site: Site) -> str:
    return f"127.0.0.1:{site.cluster.ports[FRONTEND]}"


def test_the_server_has_loaded_what_is_issued_and_delivered(site: Site) -> None:
    """Every other state would be a false alarm."""
    at = datetime.fromisoformat(site.at_first.status["at"])
    assert frontend(site, site.at_first) == {
        "address": address(site),
        "serverName": "temporal.internal",
        "outcome": "presented",
        "loaded": "current",
        "detail": "",
        "serialNumber": f"{site.before.serial_number:x}",
        "notAfter": f"{site.before.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        "daysLeft": (site.before.not_valid_after_utc - at).days,
        "verifies": True,
        "nameFits": True,
        "admitted": True,
    }
    assert site.at_first.of(address(site)) == []
    assert {one["state"] for one in site.at_first.status["consumers"]} == {"current"}
    assert site.at_first.exit_status == 0


def test_what_is_issued_and_not_delivered_is_told_so(site: Site) -> None:
    """`up` was fine, and the server goes on with the certificate that ends."""
    assert site.before != site.after
    assert frontend(site, site.renewed)["loaded"] == "older"
    assert frontend(site, site.renewed)["serialNumber"] == f"{site.before.serial_number:x}"
    ((level, text),) = site.renewed.of(address(site))
    assert level == "due"
    assert "The stack's is not delivered: run `python -m deploy write --stack local --only server`" in text
    assert {one["state"] for one in site.renewed.status["consumers"]} == {"outdated"}
    assert site.renewed.exit_status == 0


def test_what_is_loaded_counts_for_a_monitor_and_not_what_is_issued(site: Site) -> None:
    """The new one has ninety days: a monitor that looks at the stack alone is silent until the old one has ended."""
    assert site.renewed_and_failing.exit_status == 1
    ((level, _),) = site.renewed_and_failing.of(address(site))
    assert level == "ending"
    assert min(one["daysLeft"] for one in site.renewed_and_failing.status["certificates"]) > 30


def test_what_is_delivered_and_not_loaded_is_told_so(site: Site) -> None:
    """Everybody would look at the files, which are right."""
    assert frontend(site, site.delivered)["loaded"] == "older"
    assert frontend(site, site.delivered)["admitted"] is True
    assert {one["state"] for one in site.delivered.status["consumers"]} == {"current"}
    ((level, text),) = site.delivered.of(address(site))
    assert level == "due"
    assert "The stack's is delivered, and not loaded. The server reads it again every 5m" in text


def test_every_listener_of_the_server_shows_its_certificate(site: Site) -> None:
    """Those that admit nodes alone refuse the CLI, and would be taken for impostors."""
    asked = site.ask(*site.cluster.ports.values())
    for listener, port in site.cluster.ports.items():
        one = asked.listener(port)
        assert one["serialNumber"] == f"{site.before.serial_number:x}", listener
        assert (one["verifies"], one["nameFits"]) == (True, True), listener
        assert one["admitted"] is (listener.admits == "clients"), listener


def test_an_impostors_certificate_is_foreign(site: Site, tmp_path: Path) -> None:
    """It has the server's names, and its authority the real one's name and key identifier."""
    root = site.directory / site.program.name
    genuine = Pair.at(root / LEAVES["internode"])
    impostor = Authority.impostor_of(root / "server/ca/internode-a.pem").reissue(tmp_path / "i", genuine.certificate)
    for pair, foreign in ((impostor, True), (genuine, False)):
        with https(pair) as port:
            asked = site.ask(port)
        assert (asked.listener(port)["loaded"] == "foreign") is foreign
        assert asked.exit_status == foreign
        assert ["which the stack does not trust" in text for _, text in asked.of(f"127.0.0.1:{port}")] == [
            True
        ] * foreign


def test_plain_text_is_no_tls(site: Site, tmp_path: Path) -> None:
    """The UI speaks HTTP here: so would a server that has lost its variables speak gRPC."""
    port = free_ports(1)[0]
    with UserInterface(site.cluster.deployed, tmp_path, TEMPORAL_UI_PORT=str(port)):
        asked = site.ask(port)
    assert asked.listener(port)["outcome"] == "no-tls"
    assert [level for level, _ in asked.of(f"127.0.0.1:{port}")] == ["broken"]
    assert asked.exit_status == 1


def test_nobody_listens_where_somebody_was_said_to(site: Site) -> None:
    port = free_ports(1)[0]
    asked = site.ask(port)
    assert asked.listener(port)["outcome"] == "unreachable"
    assert [text for level, text in asked.of(f"127.0.0.1:{port}") if level == "broken" and "Connection refused" in text]
    assert asked.exit_status == 1


@contextmanager
def https(pair: Pair) -> Iterator[int]:
    """The port of a server with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.private_key)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
