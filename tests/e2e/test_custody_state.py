"""The real Temporal on a stack whose private keys are in its state: who is let in, and who is not."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from localazure.client import LocalAzure
from tests.e2e import sample_worker
from tests.e2e.certificates import Authority, Pair
from tests.e2e.conversation import Caller, RefusedError, converse
from tests.e2e.deployed import Deployed
from tests.e2e.stack import LEAVES, WORKER_ENV, Program, caller
from tests.e2e.temporal import FRONTEND, INTERNAL_FRONTEND_GRPC, Cluster, Listener

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Wrong:
    """One change to the right caller, and what the result is told."""

    change: Callable[[Caller, Listener, Path, Path], Caller]
    told: str


WRONG: Mapping[str, Wrong] = {
    "no-certificate": Wrong(
        lambda right, listener, root, scratch: replace(right, pair=None), "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    ),
    "other-role": Wrong(
        lambda right, listener, root, scratch: replace(
            right, pair=Pair.at(root / LEAVES["internode" if listener.admits == "clients" else "clients"])
        ),
        "TLSV1_ALERT_UNKNOWN_CA",
    ),
    "other-authority-of-that-name": Wrong(
        lambda right, listener, root, scratch: replace(right, pair=_impostor(root, listener, scratch)),
        "TLSV1_ALERT_UNKNOWN_CA",
    ),
}


def _impostor(root: Path, listener: Listener, scratch: Path) -> Pair:
    genuine = Pair.at(root / LEAVES[listener.admits])
    authority = Authority.impostor_of(root / f"server/ca/{listener.admits}-a.pem")
    return authority.reissue(scratch / "impostor", genuine.certificate)


@pytest.fixture(scope="module")
def state_cluster(pulumi_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Made as `make up` makes it. Azure is asked for nothing that the cluster needs, and is not there any more."""
    folder = tmp_path_factory.mktemp("custody-state")
    with LocalAzure.start(folder / "azure") as azure:
        program = Program(folder, azure=azure, pulumi_home=pulumi_home, custody="state")
        program.provision()
        root = program.write(folder / "deploy")
    with Cluster(Deployed(root), folder / "cluster") as cluster:
        yield cluster


def test_cli_and_worker_need_nothing_but_their_environment(state_cluster: Cluster) -> None:
    """Keys of the state that do not belong to their certificates would open nothing."""
    health = state_cluster.cli("operator", "cluster", "health")
    assert (health.stdout, health.returncode) == ("SERVING\n", 0), health.stderr
    finished = state_cluster.deployed.run(WORKER_ENV, sys.executable, sample_worker.__file__)
    assert finished.stdout == "Hello, Temporal\n", finished.stderr
    assert state_cluster.complaints() == []


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("listener", [FRONTEND, INTERNAL_FRONTEND_GRPC], ids=str)
def test_right_caller_is_answered_and_the_wrong_one_refused(
    state_cluster: Cluster, listener: Listener, wrong: Wrong, tmp_path: Path
) -> None:
    """A refusal proves nothing while the caller who differs in that one thing is refused as well."""
    root = state_cluster.deployed.root
    right = caller(root, listener.admits)

    converse(state_cluster, listener, right)
    with pytest.raises(RefusedError) as refusal:
        converse(state_cluster, listener, wrong.change(right, listener, root, tmp_path))

    assert str(refusal.value) == wrong.told
