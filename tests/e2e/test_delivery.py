"""What `deploy write` delivers, and delivers again, to a Temporal that runs: inlined, mounted, renewed.

All clusters here are of one stack and listen in the same place, so they follow each other.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from localazure.client import LocalAzure
from tests.e2e import sample_worker
from tests.e2e.certificates import CLIENT, Authority, Pair
from tests.e2e.conversation import Caller, kept_open, opens, presented
from tests.e2e.deployed import Deployed
from tests.e2e.stack import LEAVES, WORKER, WORKER_ENV, Program, caller
from tests.e2e.temporal import (
    FRONTEND,
    LISTENERS,
    Cluster,
    Listener,
    Process,
    Protocol,
    UserInterface,
    wait_until,
)
from tools import REPOSITORY

pytestmark = pytest.mark.e2e

SOON_RENEWED = timedelta(days=65)
"""How long ago a leaf was issued that is valid and inside its renewal window: 90 days less 65 are less than 30."""

READ_AGAIN = {"TEMPORAL_TLS_REFRESH_INTERVAL": "1s"}
"""A cluster with this change sees in a second what it would otherwise see in five minutes."""

PUBLIC_HTTP = next(listener for listener in LISTENERS if listener.admits == "clients" and listener is not FRONTEND)
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
    newcomer = replace(known, pair=second.issue(tmp_path / "newcomer", CLIENT))
    with Cluster(deployed, tmp_path / "state", **READ_AGAIN) as cluster:
        assert not opens(cluster, FRONTEND, newcomer)

        slot.write_bytes(second.pem)
        wait_until(lambda: opens(cluster, FRONTEND, newcomer), "the second generation is trusted")
        assert opens(cluster, FRONTEND, known)

        slot.write_bytes(first)
        wait_until(lambda: not opens(cluster, FRONTEND, newcomer), "the second generation is no longer trusted")
        assert opens(cluster, FRONTEND, known)


def test_everything_runs_inlined(program: Program, deployed: Deployed, tmp_path: Path) -> None:
    """The server and the UI take base64 where the SDKs take PEM: the wrong one of the two is a client without a pair."""
    inlined = Deployed(program.write(tmp_path / "inlined", "--inline"))
    assert [file.name for file in inlined.root.rglob("*") if file.suffix in (".pem", ".key")] == []
    with Cluster(inlined, tmp_path / "state") as cluster:
        assert opens(cluster, FRONTEND, caller(deployed.root, "clients"))
        assert not opens(cluster, FRONTEND, caller(deployed.root, "internode"))
        assert_every_client_works(cluster, tmp_path)


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """A cluster under load whose certificates were renewed, and what was seen before and after."""

    cluster: Cluster
    before: Mapping[str, x509.Certificate]
    after: Mapping[str, x509.Certificate]
    shown_before: Mapping[Listener, x509.Certificate]
    shown_after: Mapping[Listener, x509.Certificate]
    pair_before: Caller
    pair_after: Caller
    answers: tuple[str, str]
    read_through_mounts: Mapping[str, bytes]
    load: str


@pytest.fixture(scope="module")
def renewal(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Renewal]:
    """Renew under load, with every consumer's directory mounted where `--root` says."""
    folder = tmp_path_factory.mktemp("renewal")
    mounted_at = folder / "mounted"

    def write() -> Path:
        return program.write(folder / "deploy", "--root", str(mounted_at))

    root = write()
    deployed = Deployed(root, mounted_at)
    before = issued(program)
    # Copies, as the files are about to change.
    right = {authority: copied(caller(root, authority), folder / authority) for authority in LEAVES}

    with ExitStack() as closing:
        cluster = closing.enter_context(Cluster(deployed, folder / "cluster", **READ_AGAIN))
        cluster.create_namespace()

        def shown() -> dict[Listener, x509.Certificate]:
            return {listener: presented(cluster, listener, right[listener.admits]) for listener in LISTENERS}

        shown_before = shown()
        mounts = {name: os.open(root / name, os.O_RDONLY | os.O_DIRECTORY) for name in CONSUMERS}
        for descriptor in mounts.values():
            closing.callback(os.close, descriptor)
        ask = closing.enter_context(kept_open(cluster, PUBLIC_HTTP, right["clients"]))
        answer_before = ask()
        load = Load(deployed, folder / "load.log")
        closing.callback(load.stop)
        load.wait_for_more()

        program.provision()
        write()
        after = issued(program)
        wait_until(lambda: set(shown().values()) == {after["cluster"]}, "every listener shows the renewed certificate")
        load.wait_for_more()

        yield Renewal(
            cluster=cluster,
            before=before,
            after=after,
            shown_before=shown_before,
            shown_after=shown(),
            pair_before=right["clients"],
            pair_after=caller(root, "clients"),
            answers=(answer_before, ask()),
            read_through_mounts={name: read_at(descriptor, f"{CONSUMERS[name]}.pem") for name, descriptor in mounts.items()},
            load=load.stop(),
        )
