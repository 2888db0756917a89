"""What `deploy write` delivers, and delivers again, to a Temporal that runs: inlined, mounted, renewed.

All clusters here are of one stack and listen in the same place, so they follow each other.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from localazure.client import LocalAzure
from tests.e2e import sample_worker
from tests.e2e.certificates import Authority
from tests.e2e.conversation import Caller, kept_open, opens, presented
from tests.e2e.deployed import Deployed
from tests.e2e.load import Load
from tests.e2e.stack import LEAVES, WORKER, WORKER_ENV, Program, caller, copied
from tests.e2e.temporal import (
    CLI_ENV,
    FRONTEND,
    FRONTEND_HTTP,
    LISTENERS,
    READ_AGAIN,
    SERVER_ENVS,
    UI_ENV,
    Cluster,
    Listener,
    Protocol,
    UserInterface,
)
from tests.engine.stacks import loaded
from tools.processes import wait_until

pytestmark = pytest.mark.e2e

SOON_RENEWED = timedelta(days=65)
"""How long ago a leaf was issued that is valid and inside its renewal window: 90 days less 65 are less than 30."""

CONSUMERS = {"server": "cluster", "ui": "ui", "cli": "cli", f"workers/{WORKER}": WORKER}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, pulumi_home: Path) -> Iterator[Program]:
    """Provisioned long ago; its authorities are elliptic curves, where those of the session's stack are RSA."""
    folder = tmp_path_factory.mktemp("program")
    with LocalAzure.start(folder / "azure", rbacPropagationSeconds=0, certificatePendingPolls=0) as azure:
        program = Program(folder, azure=azure, pulumi_home=pulumi_home)
        program.provision(SOON_RENEWED)
        yield program


@pytest.fixture
def deployed(program: Program, tmp_path: Path) -> Deployed:
    """A deploy directory of the test's own."""
    return Deployed(program.write(tmp_path / "deploy"))


def test_probe_sees_membership_ports_that_speak_plaintext(deployed: Deployed, tmp_path: Path) -> None:
    """A probe that no port ever answers would call every port closed."""
    (deployed.root / "server/dynamicconfig.yaml").write_text("{}\n")
    stranger = replace(caller(deployed.root, "internode"), pair=None, tls=False)
    with Cluster(deployed, tmp_path / "state") as cluster:
        membership = [listener for listener in LISTENERS if listener.protocol is Protocol.MEMBERSHIP]

        assert all(opens(cluster, listener, stranger) for listener in membership)


def test_authority_comes_and_goes_without_a_restart(deployed: Deployed, tmp_path: Path) -> None:
    """With both generations in one file the server would not notice the second, and a rollover would need a restart."""
    slot = deployed.root / "server/ca/clients-b.pem"
    first, second = slot.read_bytes(), Authority.named("clients 2")
    known = caller(deployed.root, "clients")
    newcomer = replace(known, pair=second.issue(tmp_path / "newcomer"))
    with Cluster(deployed, tmp_path / "state", **READ_AGAIN) as cluster:
        assert not opens(cluster, FRONTEND, newcomer)

        slot.write_bytes(second.pem)
        wait_until(lambda: opens(cluster, FRONTEND, newcomer), "the second generation is trusted")
        assert opens(cluster, FRONTEND, known)

        slot.write_bytes(first)
        wait_until(lambda: not opens(cluster, FRONTEND, newcomer), "the second generation is no longer trusted")
        assert opens(cluster, FRONTEND, known)


def test_everything_runs_inlined(program: Program, deployed: Deployed, tmp_path: Path) -> None:
    """The server and the UI take base64, the SDKs PEM: the wrong one of the two is a client without a certificate."""
    inlined = Deployed(program.write(tmp_path / "inlined", "--inline"))
    assert [file.name for file in inlined.root.rglob("*") if file.suffix in (".pem", ".key")] == []
    with Cluster(inlined, tmp_path / "state") as cluster:
        assert opens(cluster, FRONTEND, caller(deployed.root, "clients"))
        assert not opens(cluster, FRONTEND, caller(deployed.root, "internode"))
        assert_every_client_works(cluster, tmp_path)


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """A cluster whose certificates were renewed while it ran, under load, and what is left of the time before.

    `before` and `after` are the certificates by name, `callers` hold what was there before, by authority. `ask` is on a
    connection that has been open since, and `mounts` are descriptors of the consumers' directories from then.
    """

    cluster: Cluster
    load: Load
    before: Mapping[str, x509.Certificate]
    after: Mapping[str, x509.Certificate]
    shown_before: Mapping[Listener, x509.Certificate]
    callers: Mapping[str, Caller]
    ask: Callable[[], str]
    mounts: Mapping[str, int]

    def wait_until_shown(self, listener: Listener) -> None:
        """Wait until a listener shows the renewed certificate."""
        right, renewed = self.callers[listener.admits], self.after["cluster"]
        wait_until(
            lambda: presented(self.cluster, listener, right) == renewed, f"{listener} shows the renewed certificate"
        )


@pytest.fixture(scope="module")
def renewal(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Renewal]:
    """A later `up` and the next `deploy write`, with each consumer's directory mounted where `--root` says."""
    folder = tmp_path_factory.mktemp("renewal")
    mounted_at = folder / "mounted"
    deployed = Deployed(program.write(folder / "deploy", "--root", str(mounted_at)), mounted_at)
    callers = {authority: copied(caller(deployed.root, authority), folder / authority) for authority in LEAVES}
    before = certificates(program)

    with ExitStack() as closing:
        cluster = closing.enter_context(Cluster(deployed, folder / "cluster", **READ_AGAIN))
        shown_before = {listener: presented(cluster, listener, callers[listener.admits]) for listener in LISTENERS}
        ask = closing.enter_context(kept_open(cluster, FRONTEND_HTTP, callers["clients"]))
        ask()
        mounts = {consumer: os.open(deployed.root / consumer, os.O_RDONLY | os.O_DIRECTORY) for consumer in CONSUMERS}
        for descriptor in mounts.values():
            closing.callback(os.close, descriptor)
        load = Load(deployed, folder / "load.log")
        closing.callback(load.stop)
        load.wait_for_more()

        program.provision()
        program.write(folder / "deploy", "--root", str(mounted_at))

        yield Renewal(
            cluster=cluster,
            load=load,
            before=before,
            after=certificates(program),
            shown_before=shown_before,
            callers=callers,
            ask=ask,
            mounts=mounts,
        )


def test_listener_shows_the_renewed_certificate_without_a_restart(renewal: Renewal) -> None:
    """A listener that keeps the old one goes dark when that ends, weeks after the renewal has succeeded."""
    assert set(renewal.shown_before.values()) == {renewal.before["cluster"]}
    assert renewal.before["cluster"] != renewal.after["cluster"]
    for listener in LISTENERS:
        renewal.wait_until_shown(listener)


def test_no_call_fails_because_of_a_renewal(renewal: Renewal) -> None:
    """A certificate beside the other's key, for a moment only, would refuse whoever connects in that moment."""
    renewal.wait_until_shown(FRONTEND)
    renewal.load.wait_for_more()

    assert renewal.load.stop() == (0, {"Hello, Temporal"})
    assert renewal.cluster.complaints() == []


def test_open_connection_outlives_the_renewal(renewal: Renewal) -> None:
    """Whoever is connected would be thrown out each time."""
    assert "serverVersion" in renewal.ask()


@pytest.mark.parametrize("authority", LEAVES)
def test_certificates_of_before_and_after_are_let_in(renewal: Renewal, authority: str) -> None:
    """A worker reads its certificate when it starts: until its restart it shows the old one."""
    old, new = renewal.callers[authority], caller(renewal.cluster.deployed.root, authority)
    assert old.pair
    assert new.pair
    assert old.pair.certificate.read_bytes() != new.pair.certificate.read_bytes()
    listener = next(listener for listener in LISTENERS if listener.admits == authority)

    assert opens(renewal.cluster, listener, old)
    assert opens(renewal.cluster, listener, new)


@pytest.mark.parametrize(("consumer", "name"), CONSUMERS.items())
def test_mount_of_a_consumers_directory_sees_the_renewal(renewal: Renewal, consumer: str, name: str) -> None:
    """A bind mount stays with the directory that it was made of: one that is replaced is never seen again."""
    certificate = x509.load_pem_x509_certificate(read_below(renewal.mounts[consumer], f"{name}.pem"))
    key = serialization.load_pem_private_key(read_below(renewal.mounts[consumer], f"{name}.key"), None)

    assert certificate == renewal.after[name] != renewal.before[name]
    assert certificate.public_key() == key.public_key()


def test_every_client_works_where_its_directory_is_mounted(renewal: Renewal, tmp_path: Path) -> None:
    """A path of the machine that wrote the files, or of another consumer's directory, leads nowhere in a container."""
    deployed = renewal.cluster.deployed
    for env_file in (*SERVER_ENVS, UI_ENV, CLI_ENV, WORKER_ENV):
        assert str(deployed.root) not in (deployed.root / env_file).read_text()

    assert_every_client_works(renewal.cluster, tmp_path)


def assert_every_client_works(cluster: Cluster, scratch: Path) -> None:
    """The CLI, the UI and a worker do their work, each with its own variables and no other."""
    health = cluster.cli("operator", "cluster", "health")
    assert health.stdout == "SERVING\n", health.stderr
    with UserInterface(cluster.deployed, scratch) as interface:
        status, body = interface.get("/api/v1/namespaces")
    assert status == 200, body
    finished = cluster.deployed.run(WORKER_ENV, sys.executable, sample_worker.__file__)
    assert finished.stdout == "Hello, Temporal\n", finished.stderr


def certificates(program: Program) -> dict[str, x509.Certificate]:
    """Every certificate that the stack has now."""
    return {name: loaded(facts) for name, facts in program.facts().items()}


def read_below(directory: int, path: str) -> bytes:
    with open(os.open(path, os.O_RDONLY, dir_fd=directory), "rb") as file:
        return file.read()
