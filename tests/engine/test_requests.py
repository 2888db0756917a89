"""How often a vault is asked: Key Vault throttles, and hundreds of leaves are issued at a time."""

from collections.abc import Callable

import pytest

from benchmarks.up import requests_of
from localazure.client import LocalAzure
from tests.engine.stacks import ProgramStack, Watch

pytestmark = pytest.mark.engine


def test_a_leaf_costs_six_requests_at_the_most(new_stack: Callable[[], ProgramStack], azure: LocalAzure) -> None:
    """One request more for each leaf would go unnoticed until a vault throttles."""
    stack, watch = new_stack(), Watch(azure)
    stack.run("up").check()
    counts = {name: requests_of(name, watch.requests("vault")) for name in ("cluster", "ui", "cli", "default")}
    assert all(3 <= count <= 6 for count in counts.values()), counts
