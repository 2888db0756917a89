"""Killed before or after any write, the next run ends where an undisturbed one does, and leaves nothing behind.

Writes are counted in the local Azure's request log. Where one is chosen by its number the engine does one thing at a
time, so that the number always means the same write; only authorities, and leaves, are alike and go in any order.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest

from localazure.client import LocalAzure
from provider import NAME as PLUGIN
from tests.engine.picture import assert_vaults_hold_what_the_state_says, picture
from tests.engine.site import ONE_AT_A_TIME, Change, Site, kind_of
from tests.engine.stacks import ProgramStack, Watch
from tools import ToolError
from tools.stack import Outcome, Running
from tools.unfinished import take_up

pytestmark = pytest.mark.engine

CHANGES = {
    "first": Change(after=None, writes=23),
    "tags": Change(settings={"tags": {"team": "payments"}}, writes=9),
    "renewal": Change(days=70, writes=8),
    "destroy": Change(operation="destroy", writes=13),
    "revival": Change(after="destroy", writes=13),
}
"""The first `up`, one that changes tags, one in the leaves' renewal window, the end, and an `up` after the end."""

EVERY_WRITE = [(name, number) for name, change in CHANGES.items() for number in range(1, change.writes + 1)]

When = Literal["before", "after"]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, pulumi_home: Path) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"), pulumi_home, CHANGES)
    yield site
    site.close()


def wait_until(condition: Callable[[], bool], what: str, timeout_seconds: float = 60) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: waited in vain"
        time.sleep(0.02)


def start(stack: ProgramStack, operation: str, *arguments: str) -> Running:
    return stack.start(operation, "--yes", "--skip-preview", *arguments)


def finish(stack: ProgramStack, operation: str) -> Outcome:
    return (stack.up() if operation == "up" else stack.destroy()).check()


class Held:
    """A run that is held at a write."""

    def __init__(self, stack: ProgramStack, running: Running, when: When) -> None:
        self._azure = stack.azure
        self._when = when
        self.running = running
        self._request = stack.azure.wait_for_held(60)
        self.kind = kind_of(f"{self._request['method']} {self._request['path']}")

    def let_go(self) -> None:
        """Release the write. Its client is gone, so one that was held before must never be applied."""
        self._azure.release()
        wait_until(lambda: self._phase() != "held", "release")
        assert self._phase() == {"before": "abandoned", "after": "done"}[self._when]
