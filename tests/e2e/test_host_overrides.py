"""An authority for each namespace, each under a host name of its own, on the real server.

A host name says whose certificates are let in, and nothing about namespaces: those are kept apart by the authorizer.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from localazure.client import LocalAzure
from tests.e2e.certificates import Pair
from tests.e2e.conversation import Caller, RefusedError, converse
from tests.e2e.deployed import Deployed
from tests.e2e.sign_on import SignedOn
from tests.e2e.stack import Program
from tests.e2e.temporal import FRONTEND, FRONTEND_HTTP, LISTENERS, Cluster, Listener, cli_program
from tests.engine.stacks import QUICK_SETTINGS

pytestmark = pytest.mark.e2e

ORDERS, BILLING = "orders.temporal.internal", "billing.temporal.internal"
FIRST_NAME = "temporal.internal"
INTERNAL = [listener for listener in LISTENERS if listener not in (FRONTEND, FRONTEND_HTTP)]
QUICK: dict[str, Any] = dict(QUICK_SETTINGS["certificateAuthorities"])
PER_NAMESPACE: dict[str, Any] = {
    "namespaces": ["default", "orders", "billing"],
    "certificateAuthorities": {**QUICK, "orders": QUICK["clients"], "billing": QUICK["clients"]},
    "certificates": {
        "orders": {"issuer": "orders", "namespace": "orders"},
        "billing": {"issuer": "billing", "namespace": "billing"},
        "reports": {},
    },
}


def env_file(worker: str) -> str:
    return f"workers/{worker}/worker.env"


@dataclass(frozen=True)
class Site(SignedOn):
    """A stack with an authority for each namespace, its Azure, and a server that runs on it."""

    cluster: Cluster

    def caller(self, worker: str, name: str) -> Caller:
        """A worker who asks for the server by that name."""
        root = self.deployed.root
        return Caller(Pair.at(root / f"workers/{worker}/{worker}"), root / "cli/ca/internode.pem", name)

    def listed(self, worker: str, namespace: str, **changes: str) -> tuple[int, str]:
        """How the CLI, with a worker's variables, fares when it lists the workflows of a namespace."""
        command = ("workflow", "list", "--namespace", namespace, "--command-timeout", "15s")
        done = self.deployed.run(env_file(worker), cli_program(), *command, **changes)
        return done.returncode, done.stderr


@contextmanager
def served(folder: Path, pulumi_home: Path, **settings: Any) -> Iterator[Site]:
    """Bring up a stack with an authority for each namespace, and Temporal on it."""
    with ExitStack() as closing:
        azure = closing.enter_context(LocalAzure.start(folder / "azure", rbacPropagationSeconds=0))
        program = Program(folder, azure=azure, pulumi_home=pulumi_home, **PER_NAMESPACE, **settings)
        address = program.settings["temporal-azure:frontend"]["address"]
        hosts = {ORDERS: {"authorities": ["orders"]}, BILLING: {"authorities": ["billing"]}}
        program.set(frontend={"address": address, "hostOverrides": hosts})
        program.provision()
        deployed = Deployed(program.write(folder / "deploy", "--https-trust", str(azure.ca_file)))
        cluster = closing.enter_context(Cluster(deployed, folder / "cluster"))
        for namespace in ("orders", "billing"):
            cluster.administrate("operator", "namespace", "create", "--namespace", namespace).check_returncode()
        yield Site(azure, program, deployed, cluster)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, pulumi_home: Path) -> Iterator[Site]:
    """Without an authorizer: who is let in may do everything."""
    with served(tmp_path_factory.mktemp("hosts"), pulumi_home) as site:
        yield site


@pytest.mark.parametrize("listener", [FRONTEND, FRONTEND_HTTP], ids=str)
@pytest.mark.parametrize(
    ("worker", "name"), [("orders", ORDERS), ("billing", BILLING), ("reports", FIRST_NAME), ("orders", ORDERS.upper())]
)
def test_a_name_admits_its_own_authority_and_no_other(site: Site, listener: Listener, worker: str, name: str) -> None:
    """A name under which everybody is let in is a namespace's door without a lock."""
    right = site.caller(worker, name)
    converse(site.cluster, listener, right)

    for other in {"orders", "billing", "reports"} - {worker}:
        with pytest.raises(RefusedError) as refusal:
            converse(site.cluster, listener, replace(right, pair=site.caller(other, name).pair))
        assert str(refusal.value) == "TLSV1_ALERT_UNKNOWN_CA"
        assert re.fullmatch(
            "tls: failed to verify certificate: x509: certificate signed by unknown authority.*",
            refusal.value.logged(),
        )


@pytest.mark.parametrize("listener", [FRONTEND, FRONTEND_HTTP], ids=str)
@pytest.mark.parametrize("name", [ORDERS, BILLING, FIRST_NAME])
def test_nobody_is_let_in_without_a_certificate_under_any_name(site: Site, listener: Listener, name: str) -> None:
    """An override without its own requireClientAuth lets in whoever shows none."""
    with pytest.raises(RefusedError, match="TLSV13_ALERT_CERTIFICATE_REQUIRED"):
        converse(site.cluster, listener, replace(site.caller("orders", name), pair=None))


@pytest.mark.parametrize("listener", INTERNAL, ids=str)
def test_no_name_opens_an_internal_listener_to_a_worker(site: Site, listener: Listener) -> None:
    """The internal frontend's HTTP port follows the frontend's rules and its host overrides: all are administrators."""
    node = Caller(Pair.at(site.deployed.root / "server/cluster"), site.deployed.root / "cli/ca/internode.pem", ORDERS)
    converse(site.cluster, listener, node)

    for worker, name in (("orders", ORDERS), ("billing", BILLING), ("orders", BILLING)):
        with pytest.raises(RefusedError):
            converse(site.cluster, listener, site.caller(worker, name))


def test_without_an_authorizer_any_certificate_reads_any_namespace(site: Site) -> None:
    """A name and an authority for each namespace look as if they kept namespaces apart."""
    for namespace in ("orders", "billing"):
        assert site.listed("orders", namespace) == (0, "")


def test_the_authorizer_keeps_namespaces_apart(tmp_path: Path, pulumi_home: Path) -> None:
    """The same calls, with the worker's own token: its role is in its own namespace."""
    with served(tmp_path, pulumi_home, authorization=None) as site:
        own = {"TEMPORAL_API_KEY": site.token_of_worker(env_file("orders"))}

        assert site.listed("orders", "orders", **own) == (0, "")
        status, said = site.listed("orders", "billing", **own)
        assert status != 0
        assert "Request unauthorized." in said
