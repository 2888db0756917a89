"""A local Azure per test worker, a PULUMI_HOME for all of them, and stacks of the program on both.

Stacks share the local Azure and have names of their own, and with these their own vaults and resource groups. A module
keeps to one worker (`xdist_group`), so that its tests can share a stack.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from localazure.client import LocalAzure
from tests.engine.stacks import Hand, ProgramStack


@pytest.fixture(scope="session")
def pulumi_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the installed plugins, and nothing of any stack."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return shared / "pulumi-home"


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    """Role assignments count at once, and keys are there when asked for, unless a test dials otherwise.

    Clients try again what it failed on: only its log tells of that, and why something was refused the second time.
    """
    state = tmp_path_factory.mktemp("azure")
    with LocalAzure.start(state, rbacPropagationSeconds=0, certificatePendingPolls=0) as running:
        yield running
    log = (state / "log").read_text()
    assert "Traceback" not in log, log


@pytest.fixture(scope="session")
def hand(azure: LocalAzure) -> Iterator[Hand]:
    with ExitStack() as closing:
        yield Hand(azure, closing)


@pytest.fixture(scope="session")
def new_stack(
    azure: LocalAzure, pulumi_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], ProgramStack]:
    """Makes a stack that nobody has seen before."""

    def make() -> ProgramStack:
        name = f"t{uuid4().hex[:8]}"
        return ProgramStack(tmp_path_factory.mktemp("stack"), azure=azure, pulumi_home=pulumi_home, name=name)

    return make
