"""One stack and one cluster a session. Under `pytest -n` each worker that meets such a test has its own."""

from collections.abc import Iterator

import pytest

from tests.e2e.stack import Stack, make_stack
from tests.e2e.temporal import Cluster


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    return make_stack(tmp_path_factory.mktemp("deploy"), tmp_path_factory.mktemp("scratch"))


@pytest.fixture(scope="session")
def cluster(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(stack.root, tmp_path_factory.mktemp("cluster")) as cluster:
        cluster.create_namespace(stack.worker_environment["TEMPORAL_NAMESPACE"])
        yield cluster
