"""An authority of a Temporal that works is rolled over, as docs/runbooks/roll-over-an-authority.md says.

Two nodes on one database, each the two server processes, behind one address, and a steady load (steady_load.py), whose
new connections go to both. Certificates are read again every second instead of every five minutes.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from localazure.client import LocalAzure
from tests.e2e.balancer import Balancer
from tests.e2e.conversation import Caller, RefusedError, asked_for, converse, presented
from tests.e2e.deployed import Deployed
from tests.e2e.load import Load
from tests.e2e.ports import free_ports
from tests.e2e.stack import Program, caller, copied
from tests.e2e.steady_load import RETRY
from tests.e2e.temporal import CLI_ENV, FRONTEND, LISTENERS, READ_AGAIN, Cluster, Listener, Protocol
from tests.engine.stacks import loaded
from tools.processes import wait_until

pytestmark = pytest.mark.e2e

UNHARMED = (0, {"Hello, Temporal"})
"""How a load ends of which every call has succeeded."""

RESTLESS = """\
matching.longPollExpirationInterval:
  - value: 5s
history.longPollExpirationInterval:
  - value: 5s
matching.numTaskqueueReadPartitions:
  - value: 1
matching.numTaskqueueWritePartitions:
  - value: 1
"""
"""Whoever waits at a node that is no longer the right one, since others have come or gone, asks anew after seconds."""

TRUST, SIGN, DISTRUST = (
    {"generations": {"1": {}, "2": {}}, "signing": 1},
    {"generations": {"1": {}, "2": {}}, "signing": 2},
    {"generations": {"2": {}}, "signing": 2},
)


@dataclass
class Site:
    """Two nodes of one stack, the balancer before their frontends, and the load that is on them by now."""

    program: Program
    deployed: Deployed
    nodes: tuple[Cluster, ...]
    balancer: Balancer
    folder: Path
    closing: ExitStack
    _loads: Iterator[int] = field(default_factory=count)

    def deliver(self, authority: str, step: Mapping[str, Any]) -> None:
        """An `up` with this step of the authority's rollover, and `deploy write`."""
        before = self.program.settings["temporal-azure:certificateAuthorities"]
        self.program.set(certificateAuthorities=before | {authority: {**before[authority], **step}})
        self.program.provision()
        self.program.write(self.deployed.root.parent)

    def load(self, *arguments: str) -> Load:
        """A load that was just started, by a worker that has read its files now, and that works."""
        load = Load(self.deployed, self.folder / f"load-{next(self._loads)}.log", *arguments)
        self.closing.callback(load.stop)
        load.wait_for_more()
        return load

    def restart_in_turn(self, load: Load) -> None:
        """Restart one node after the other; each gets no new connection until the work goes on without it."""
        for node in self.nodes:
            with self.balancer.without(node.ports[FRONTEND]):
                load.wait_for_more()
                node.restart()
                load.wait_for_more()
            load.wait_for_more()

    def listeners(self, authority: str) -> list[tuple[Cluster, Listener]]:
        """Everything on both nodes that certificates of this authority open."""
        return [(node, listener) for node in self.nodes for listener in LISTENERS if listener.admits == authority]

    def wait_until_trusted(self, authority: str, *generations: int) -> None:
        """Wait until every listener asks for certificates of exactly these generations."""
        facts, right = self.program.facts(), caller(self.deployed.root, authority)
        wanted = {facts[f"{authority}-{number}"]["subject"] for number in generations}
        for place in self.listeners(authority):
            wait_until(partial(_asks_for, *place, right, wanted), f"{place[1]} asks for {wanted}")

    def wait_until_shown(self) -> None:
        """Wait until every listener shows the server's certificate that is in the files now."""
        renewed = loaded(self.program.facts()["cluster"])
        for node, listener in ((node, listener) for node in self.nodes for listener in LISTENERS):
            right = caller(self.deployed.root, listener.admits)
            wait_until(partial(_shows, node, listener, right, renewed), f"{listener} shows the new certificate")

    def refusals(self) -> list[str]:
        """Every handshake that was refused, by either side, on any listener of either node."""
        return [line for node in self.nodes for line in node.refusals()]


def _asks_for(node: Cluster, listener: Listener, right: Caller, wanted: set[str]) -> bool:
    return asked_for(node, listener, right) == wanted


def _shows(node: Cluster, listener: Listener, right: Caller, certificate: x509.Certificate) -> bool:
    return presented(node, listener, right) == certificate


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, pulumi_home: Path) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with ExitStack() as closing:
        azure = closing.enter_context(
            LocalAzure.start(folder / "azure", rbacPropagationSeconds=0, certificatePendingPolls=0)
        )
        program = Program(folder, azure=azure, pulumi_home=pulumi_home)
        program.provision()
        deployed = Deployed(program.write(folder / "deploy"))
        dynamic_config = folder / "dynamicconfig.yaml"
        dynamic_config.write_text((deployed.root / "server/dynamicconfig.yaml").read_text() + RESTLESS)
        common = {
            "DBNAME": str(folder / "temporal.db"),
            "VISIBILITY_DBNAME": str(folder / "visibility.db"),
            "DYNAMIC_CONFIG_FILE_PATH": str(dynamic_config),
        }
        nodes = tuple(
            closing.enter_context(
                Cluster(
                    deployed,
                    folder / name,
                    **READ_AGAIN,
                    **common,
                    **{FRONTEND.port_variable: str(free_ports(1)[0])},
                )
            )
            for name in ("one", "two")
        )
        port = int(deployed.variables(CLI_ENV)["TEMPORAL_ADDRESS"].rpartition(":")[2])
        balancer = closing.enter_context(Balancer(port, *(node.ports[FRONTEND] for node in nodes)))
        yield Site(program, deployed, nodes, balancer, folder, closing)


def test_clients_are_rolled_over_and_no_call_fails(site: Site, tmp_path: Path) -> None:
    """A step too early, or a restart that nobody was told of, and workers are thrown out.

    No server is restarted, and no call is tried twice: not one fails.
    """
    old = copied(caller(site.deployed.root, "clients"), tmp_path / "old")
    load = site.load()

    site.deliver("clients", TRUST)
    site.wait_until_trusted("clients", 1, 2)
    site.deliver("clients", SIGN)
    restarted = site.load()
    assert load.stop() == UNHARMED
    site.deliver("clients", DISTRUST)
    site.wait_until_trusted("clients", 2)
    restarted.wait_for_more()
    assert restarted.stop() == UNHARMED

    assert site.refusals() == []
    assert_distrusted(site, "clients", old)


def test_internode_is_rolled_over_and_no_call_fails(site: Site, tmp_path: Path) -> None:
    """The server's own parts trust each other by this one: too early, and Temporal serves but does not work.

    Node after node is restarted. A server that ends takes the calls that it has along: clients try those again, as the
    SDK does unless told otherwise, and each succeeds. No handshake is refused, of a client or between nodes, ever.
    """
    refused_before = site.refusals()
    old = copied(caller(site.deployed.root, "internode"), tmp_path / "old")
    load = site.load(RETRY)

    site.deliver("internode", TRUST)
    site.restart_in_turn(load)
    restarted = site.load(RETRY)
    assert load.stop() == UNHARMED
    site.wait_until_trusted("internode", 1, 2)
    site.deliver("internode", SIGN)
    site.wait_until_shown()
    restarted.wait_for_more()
    site.deliver("internode", DISTRUST)
    site.restart_in_turn(restarted)
    last = site.load(RETRY)
    assert restarted.stop() == UNHARMED
    assert last.stop() == UNHARMED
    assert all(node.system_pollers() for node in site.nodes)

    assert site.refusals() == refused_before
    site.wait_until_trusted("internode", 2)
    assert_distrusted(site, "internode", old)


def assert_distrusted(site: Site, authority: str, old: Caller) -> None:
    """What the old generation signed is refused on every listener, beside what the new one signed; the log has it."""
    new = caller(site.deployed.root, authority)
    for node, listener in site.listeners(authority):
        converse(node, listener, new)
        with pytest.raises(RefusedError) as refusal:
            converse(node, listener, old)
        assert str(refusal.value) == "TLSV1_ALERT_UNKNOWN_CA"
        if listener.protocol is not Protocol.MEMBERSHIP:
            why = refusal.value.logged()
            assert re.fullmatch("tls: failed to verify certificate: x509: certificate signed by unknown authority", why)
            assert any(why in line for line in site.refusals())
