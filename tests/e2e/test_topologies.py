"""Each topology on the real server: whom it lets in, and whom not, though one thing alone tells them apart.

Two stacks have them all: one authority for everybody, and a tree beside what was brought along and what is issued from
an offline root.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.keyvault.certificates import CertificateContentType, CertificatePolicy

from localazure.client import LocalAzure
from tests.e2e import sample_worker
from tests.e2e.certificates import Authority, Pair
from tests.e2e.conversation import Caller, RefusedError, converse, opens
from tests.e2e.deployed import Deployed
from tests.e2e.ports import free_ports
from tests.e2e.stack import Program
from tests.e2e.temporal import CLI_ENV, FRONTEND, INTERNAL_FRONTEND_GRPC, LISTENERS, Cluster, Listener
from tests.engine.stacks import PROJECT, Hand
from tests.offline_root import EXTENSION, OfflineRoot

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("topologies-e2e")]

EC = {"keyType": "EC-P256"}
HISTORY = next(each for each in LISTENERS if str(each) == "history-grpc")
UNKNOWN = "TLSV1_ALERT_UNKNOWN_CA"


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    folder = tmp_path_factory.mktemp("azure")
    with LocalAzure.start(folder, rbacPropagationSeconds=0, certificatePendingPolls=0) as running:
        yield running


@dataclass(frozen=True)
class Topology:
    """A running cluster of a deploy directory, whose server certificate is of the authority `internode`."""

    cluster: Cluster
    internode: str

    @property
    def root(self) -> Path:
        return self.cluster.deployed.root

    def caller(self, pair: Pair) -> Caller:
        server_name = Deployed(self.root).variables(CLI_ENV)["TEMPORAL_TLS_SERVER_NAME"]
        return Caller(pair, self.root / f"cli/ca/{self.internode}.pem", server_name)

    def pair(self, leaf: str) -> Pair:
        return Pair.at(self.root / leaf)

    def opens(self, listener: Listener, pair: Pair) -> bool:
        return opens(self.cluster, listener, self.caller(pair))

    def refusal(self, listener: Listener, pair: Pair) -> str:
        with pytest.raises(RefusedError) as refused:
            converse(self.cluster, listener, self.caller(pair))
        return str(refused.value)


# One authority


@pytest.fixture(scope="module")
def one(azure: LocalAzure, pulumi_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Program:
    folder = tmp_path_factory.mktemp("one")
    program = Program(folder, azure=azure, pulumi_home=pulumi_home, certificateAuthorities={"temporal": EC})
    run = program.run("up").check()
    (warning,) = [each.text for each in run.messages if "certificateAuthorities.temporal" in each.text]
    assert "the internal frontend admits them as an administrator" in warning
    return program


def test_one_authority_lets_clients_in_everywhere_and_strangers_nowhere(one: Program, tmp_path: Path) -> None:
    """What the warning says; were it not so, it would be a warning of nothing."""
    with Cluster(Deployed(one.write(tmp_path / "deploy")), tmp_path / "cluster") as cluster:
        topology = Topology(cluster, "temporal")
        stranger = Authority.impostor_of(topology.root / "server/ca/temporal-a.pem").issue(tmp_path / "stranger")
        client = topology.pair("workers/default/default")
        for listener in (FRONTEND, INTERNAL_FRONTEND_GRPC):
            assert topology.opens(listener, client)
            assert topology.refusal(listener, stranger) == UNKNOWN


# A tree, what was brought along, and an offline root


@dataclass(frozen=True)
class Outside:
    """Authorities that are none of the program's: a partner's, one in a vault, one in a safe."""

    partner: OfflineRoot
    corporate: OfflineRoot
    safe: OfflineRoot


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Outside:
    folder = tmp_path_factory.mktemp("outside")
    return Outside(*(OfflineRoot(folder / name, f"{name} CA") for name in ("partner", "corporate", "safe")))


def authorities(outside: Outside, vault_certificate: str, issued_pem: str | None = None) -> dict[str, Any]:
    issued = {"generations": {1: {"issuedPem": issued_pem}}} if issued_pem else {}
    return {
        "clients": EC | {"issuer": "root"},
        "internode": EC | {"issuer": "root"},
        "root": EC,
        "partner": {"generations": {1: {"certificatePem": outside.partner.pem}}},
        "corporate": {"generations": {1: {"vaultCertificate": vault_certificate}}},
        "safe": {"generations": {1: {"certificatePem": outside.safe.pem}}},
        "payments": EC | {"issuer": "safe"} | issued,
    }


@pytest.fixture(scope="module")
def many(
    azure: LocalAzure, pulumi_home: Path, outside: Outside, one: Program, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Topology]:
    """In two steps: the request of `payments` goes to the safe, and its certificate comes back."""
    folder = tmp_path_factory.mktemp("many")
    program = Program(folder, azure=azure, pulumi_home=pulumi_home, resourceGroup="many", vaults={"generation": 2})
    there = kept_in_a_vault(azure, one.vault("authorities")["uri"], outside.corporate)
    settings: Mapping[str, Any] = {
        "certificates": {
            "ordinary": {},
            "vaulted": {"issuer": "corporate"},
            "payer": {"issuer": "payments"},
        },
        "frontend": {
            "address": f"127.0.0.1:{free_ports(1)[0]}",
            "authorities": ["clients", "partner", "corporate", "payments"],
        },
    }
    program.set(certificateAuthorities=authorities(outside, there), **settings)
    run = program.run("up").check()
    (warning,) = [each.text for each in run.messages if "waits for its certificate" in each.text]
    request = program.outputs()["certificateSigningRequests"]["payments-1"]
    issued = outside.safe.sign(request, f"/O={PROJECT}/CN={PROJECT} local payments 1", EXTENSION.findall(warning))
    program.set(certificateAuthorities=authorities(outside, there, issued))
    assert program.run("up").check().certificates("create") == {"payer"}
    with Cluster(Deployed(program.write(folder / "deploy")), folder / "cluster") as cluster:
        yield Topology(cluster, "internode")


def kept_in_a_vault(azure: LocalAzure, vault_uri: str, authority: OfflineRoot) -> str:
    """Import an authority and its key, and return its identifier."""
    policy = CertificatePolicy(issuer_name="Unknown", content_type=CertificateContentType.pem, exportable=False)
    pair = authority.private_key.read_bytes() + authority.certificate.read_bytes()
    with ExitStack() as closing:
        Hand(azure, closing).certificates(vault_uri).import_certificate("corporate", pair, policy=policy)
    return f"{vault_uri}certificates/corporate"


def test_intermediates_keep_nodes_and_clients_apart(many: Topology) -> None:
    """They have a root in common, and whoever trusted that would let either in everywhere."""
    node, client = many.pair("server/cluster"), many.pair("ui/ui")

    assert many.opens(FRONTEND, client)
    assert many.refusal(FRONTEND, node) == UNKNOWN
    assert many.opens(HISTORY, node)
    assert many.refusal(HISTORY, client) == UNKNOWN
    assert many.opens(INTERNAL_FRONTEND_GRPC, node)
    assert many.refusal(INTERNAL_FRONTEND_GRPC, client) == UNKNOWN


def test_clients_of_an_authority_that_is_brought_along_come_in(
    many: Topology, outside: Outside, tmp_path: Path
) -> None:
    """Their certificates were made elsewhere, and nothing of them is in the stack."""
    outside.partner.issue(tmp_path / "theirs", "/O=Partner/CN=theirs")
    theirs = Pair.at(tmp_path / "theirs")
    impostor = Authority.impostor_of(many.root / "server/ca/partner-a.pem").reissue(
        tmp_path / "forged", theirs.certificate
    )

    assert many.opens(FRONTEND, theirs)
    assert many.refusal(FRONTEND, impostor) == UNKNOWN
    assert many.refusal(HISTORY, theirs) == UNKNOWN


def test_an_authority_in_a_vault_issues_for_workers(many: Topology, tmp_path: Path) -> None:
    """Its leaf is worth what one of the stack's own authorities is."""
    genuine = many.pair("workers/vaulted/vaulted")
    impostor = Authority.impostor_of(many.root / "server/ca/corporate-a.pem").reissue(
        tmp_path / "forged", genuine.certificate
    )

    assert many.opens(FRONTEND, genuine)
    assert many.refusal(FRONTEND, impostor) == UNKNOWN


def test_what_the_offline_root_issues_besides_stays_out(many: Topology, outside: Outside, tmp_path: Path) -> None:
    """The root in the safe signs for others, too: the intermediate alone is trusted."""
    outside.safe.issue(tmp_path / "sibling", "/O=Contoso/CN=sibling")

    assert many.opens(FRONTEND, many.pair("workers/payer/payer"))
    assert many.refusal(FRONTEND, Pair.at(tmp_path / "sibling")) == UNKNOWN


@pytest.mark.parametrize("worker", ["ordinary", "vaulted", "payer"])
def test_workers_need_nothing_but_their_environments(many: Topology, worker: str) -> None:
    """Not every TLS library takes an intermediate for an anchor."""
    command = (sys.executable, sample_worker.__file__)
    finished = many.cluster.deployed.run(f"workers/{worker}/worker.env", *command)

    assert finished.stdout == "Hello, Temporal\n", finished.stderr


def test_the_cli_takes_an_intermediate_for_an_anchor(many: Topology) -> None:
    health = many.cluster.cli("operator", "cluster", "health")

    assert (health.stdout, health.returncode) == ("SERVING\n", 0), health.stderr


def test_the_log_has_no_complaint(many: Topology) -> None:
    """What is wrong with certificates is said in the log and nowhere else."""
    assert many.cluster.complaints() == []
