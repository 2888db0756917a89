"""A local Azure per test worker, and the official SDKs pointed at it.

Tests share the process and must not share names: `fresh_name` gives them. What a test dials or holds is put back after
it. A test that kills or restarts starts a process of its own (`start`).
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import pytest

from localazure.client import LocalAzure
from localazure.dials import Dials
from tests.engine.localazure.browser import Browser
from tests.engine.localazure.entra import Entra
from tests.engine.localazure.graph import GraphClients
from tests.engine.localazure.registrations import Registrations
from tests.engine.localazure.sdk import Sdk

QUICK = {"rbacPropagationSeconds": 0}
"""Role assignments count at once, unless a test is about their propagation."""


@pytest.fixture(scope="session")
def running_azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    with LocalAzure.start(tmp_path_factory.mktemp("azure"), **QUICK) as azure:
        yield azure


@pytest.fixture
def azure(running_azure: LocalAzure) -> Iterator[LocalAzure]:
    """The worker's local Azure; dials and hold are put back afterwards."""
    yield running_azure
    running_azure.release()
    running_azure.dials(**(Dials().model_dump(by_alias=True) | QUICK))


@pytest.fixture
def sdk(azure: LocalAzure) -> Iterator[Sdk]:
    with ExitStack() as stack:
        yield Sdk(azure, stack)


@pytest.fixture
async def graph(azure: LocalAzure) -> AsyncIterator[GraphClients]:
    async with AsyncExitStack() as stack:
        yield GraphClients(azure, stack)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[LocalAzure, Sdk]]]:
    """Starts a local Azure of the test's own on its `tmp_path / "azure"`, again and again if asked; the last one is
    stopped.
    """
    with ExitStack() as stack:

        def begin(**dials: Any) -> tuple[LocalAzure, Sdk]:
            azure = LocalAzure.start(tmp_path / "azure", **(QUICK | dials))
            stack.callback(azure.stop)
            return azure, Sdk(azure, stack)

        yield begin


@pytest.fixture
def registrations(azure: LocalAzure) -> Iterator[Registrations]:
    registrations = Registrations(azure)
    yield registrations
    registrations.store.close()


@pytest.fixture
def entra(azure: LocalAzure) -> Iterator[Entra]:
    with Entra(azure) as entra:
        yield entra


@pytest.fixture
def browser(azure: LocalAzure) -> Iterator[Browser]:
    """Somebody's, who has not signed in yet."""
    with Browser(azure) as browser:
        yield browser
