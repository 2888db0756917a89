"""Killed before or after any write, the next run ends where an undisturbed one does, and leaves nothing behind.

Writes are counted in the local Azure's request log. Where one is chosen by its number the engine does one thing at a
time, so that the number always means the same write; only authorities, and leaves, are alike and go in any order.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

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
"""The first `up`, one with other tags, one in the leaves' renewal window, the end, and an `up` after the end."""

EVERY_WRITE = [(name, number) for name, change in CHANGES.items() for number in range(1, change.writes + 1)]

When = Literal["before", "after"]
Kill = Callable[[Running], object]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, pulumi_home: Path) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"), pulumi_home, CHANGES)
    yield site
    site.close()


def wait_until(condition: Callable[[], object], timeout_seconds: float = 60) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def start(stack: ProgramStack, operation: str, *arguments: str) -> Running:
    """Go on as `make` does, up to where the engine starts."""
    if operation == "up":
        stack.take_up()
    return stack.start(operation, "--yes", "--skip-preview", *arguments)


def line(request: dict[str, Any]) -> str:
    return f"{request['method']} {request['path']}"


def killed_at(
    stack: ProgramStack,
    operation: str,
    write: int | str,
    when: When,
    *arguments: str,
    kill: Kill = Running.kill_all,
) -> str:
    """Kill a run at its `write`-th write, or at the one with that method and path, and return these.

    Whatever is killed, all processes of the run must end; a write that was held before it was applied must then never
    be.
    """
    stack.azure.hold(1 if isinstance(write, str) else write, when)
    with start(stack, operation, *arguments) as running:
        held = stack.azure.wait_for_held(120)
        while isinstance(write, str) and line(held) != write:
            stack.azure.hold(1, when)
            wait_until(lambda number=held["n"]: stack.azure.wait_for_held(120)["n"] > number)
            held = stack.azure.wait_for_held()
        kill(running)
        wait_until(lambda: not running.processes())
    stack.azure.release()
    wait_until(lambda: phase_of(stack, held) != "held")
    assert phase_of(stack, held) == {"before": "abandoned", "after": "done"}[when]
    return line(held)


def phase_of(stack: ProgramStack, request: dict[str, Any]) -> str:
    return str(stack.azure.requests(request["n"] - 1)[0]["phase"])


def finished(stack: ProgramStack, operation: str) -> Outcome:
    return (stack.up() if operation == "up" else stack.destroy()).check()


def assert_ends_as_undisturbed(site: Site, name: str, stack: ProgramStack) -> None:
    """The next run succeeds, state and Azure are as after an undisturbed one, and nothing is left to do."""
    operation = CHANGES[name].operation
    finished(stack, operation)
    assert picture(stack) == site.undisturbed(name).picture
    if operation == "up":
        assert_vaults_hold_what_the_state_says(stack)
    watch = Watch(stack.azure)
    assert finished(stack, operation).changes.keys() <= {"same"}
    assert watch.writes() == []


@pytest.mark.parametrize("name", CHANGES)
def test_no_write_is_missed(site: Site, name: str) -> None:
    """Prevents a write that a later version adds and that no test here kills."""
    assert len(site.undisturbed(name).writes) == CHANGES[name].writes
    assert site.undisturbed(name).picture["pending operations"] == []


@pytest.mark.parametrize(("name", "number"), EVERY_WRITE)
def test_killed_before_a_write_and_after_it(site: Site, name: str, number: int) -> None:
    """Prevents a state that the next run cannot go on from, and what a killed run made and nobody knows of."""
    expected, operation = site.undisturbed(name), CHANGES[name].operation
    stack = site.before(name)
    write = killed_at(stack, operation, number, "before", *ONE_AT_A_TIME)
    assert kind_of(write) == expected.writes[number - 1]
    killed_at(stack, operation, write, "after", *ONE_AT_A_TIME)
    assert_ends_as_undisturbed(site, name, stack)


@pytest.mark.parametrize("number", [3, 6, 9, 13, 17, 21])
def test_killed_with_several_writes_under_way(site: Site, number: int) -> None:
    """Prevents a second thing that was begun from being forgotten over the first."""
    stack = site.before("first")
    killed_at(stack, "up", number, "after")
    assert_ends_as_undisturbed(site, "first", stack)


@pytest.mark.parametrize(("number", "when"), [(2, "before"), (8, "before"), (9, "after"), (17, "before")])
def test_killed_engine_takes_its_plugins_along(site: Site, number: int, when: When) -> None:
    """Prevents plugins that outlive their engine and go on writing, into the next run."""
    stack = site.before("first")
    killed_at(stack, "up", number, when, *ONE_AT_A_TIME, kill=Running.kill_engine)
    assert_ends_as_undisturbed(site, "first", stack)


@pytest.mark.parametrize(("number", "when"), [(9, "before"), (10, "after"), (16, "after")])
def test_killed_plugin_is_a_failed_run(site: Site, number: int, when: When) -> None:
    """Prevents an engine that waits for a plugin that is gone, or takes its silence for success."""

    def kill(running: Running) -> None:
        (plugin,) = (process for process in running.processes() if "provider" in process.cmdline())
        plugin.kill()
        assert running.wait().exit_status > 0

    stack = site.before("first")
    killed_at(stack, "up", number, when, *ONE_AT_A_TIME, kill=kill)
    assert_ends_as_undisturbed(site, "first", stack)
