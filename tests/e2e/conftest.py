"""One stack a session, whichever worker of `pytest -n` needs it first; its cluster is one module's at a time."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.e2e.stack import Stack, make_stack
from tests.e2e.temporal import Cluster


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this session have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def pulumi_home(shared: Path) -> Path:
    """Holds the installed plugins, and nothing of any stack."""
    return shared / "pulumi-home"


@pytest.fixture(scope="session")
def stack(shared: Path, pulumi_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """What `make up` has left, for reading only. Azure is not needed any more, and not there."""
    made = shared / "stack"
    with FileLock(shared / "stack.lock"):
        if not made.exists():
            folder = tmp_path_factory.mktemp("stack")
            make_stack(folder, pulumi_home)
            made.symlink_to(folder)  # only when it is whole
    return Stack.of(made, tmp_path_factory.mktemp("impostors"))


@pytest.fixture(scope="module")
def cluster(stack: Stack, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Listens where the stack's clients look for it, so the next module waits for the end of this one."""
    with FileLock(shared / "cluster.lock"), Cluster(stack.deployed, tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster
