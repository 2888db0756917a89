"""Killed before or after any write, the next run ends where an undisturbed one does, and leaves nothing behind.

Writes are counted in the local Azure's request log. Where one is chosen by its number the engine does one thing at a
time, so that the number always means the same write; only authorities, and leaves, are alike and go in any order.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.killing import (
    When,
    finished,
    killed_at,
    locks_of,
    pending_operations,
    phase_of,
    start,
    writers,
)
from tests.engine.picture import assert_vaults_hold_what_the_state_says, picture
from tests.engine.site import ONE_AT_A_TIME, Change, Site, kind_of
from tests.engine.stacks import ProgramStack, Watch, dialled
from tools import ToolError
from tools.processes import wait_until
from tools.stack import Running
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

IN_FULL = ("first", "tags", "renewal", "destroy")
IN_GROUPS = {name: 3 if name == "first" else 1 for name in IN_FULL}
"""How many test workers can share the kills of a change. Each has to make the changes before it once, undisturbed."""

EVERY_WRITE = [
    pytest.param(name, number, marks=pytest.mark.xdist_group(f"killed-{name}-{number % IN_GROUPS[name]}"))
    for name in IN_FULL
    for number in range(1, CHANGES[name].writes + 1)
]

RECOVERABLE = ("azure deletedVaults ", "azure vault/")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, pulumi_home: Path) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"), pulumi_home, CHANGES)
    yield site
    site.close()


def our_plugin_killed(running: Running) -> None:
    """Kill the plugin for certificates alone. Its engine must take that for a failure."""
    (plugin,) = (process for process in running.processes() if process.cmdline()[-2:-1] == ["provider"])
    plugin.kill()
    assert running.wait().exit_status > 0


def assert_ends_as_undisturbed(site: Site, name: str, stack: ProgramStack) -> None:
    """The next run succeeds, and then state and Azure are as after an undisturbed one."""
    finished(stack, CHANGES[name].operation)
    assert picture(stack) == site.undisturbed(name).picture
    if CHANGES[name].operation == "up":
        assert_vaults_hold_what_the_state_says(stack)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.xdist_group(f"killed-{name}-0")) for name in IN_FULL]
)
def test_no_write_is_missed(site: Site, name: str) -> None:
    """Prevents a write that a later version adds and that no test here is killed at."""
    assert len(site.undisturbed(name).writes) == CHANGES[name].writes
    assert site.undisturbed(name).picture["pending operations"] == []


@pytest.mark.parametrize(("name", "number"), EVERY_WRITE)
def test_killed_before_a_write_and_then_after_it(site: Site, name: str, number: int) -> None:
    """Prevents a state that the next run cannot go on from, and what a killed run made and nobody knows of."""
    stack, operation = site.before(name), CHANGES[name].operation
    write = killed_at(stack, operation, number, "before", *ONE_AT_A_TIME)
    assert kind_of(write) == site.undisturbed(name).writes[number - 1]
    killed_at(stack, operation, write, "after", *ONE_AT_A_TIME)
    assert_ends_as_undisturbed(site, name, stack)
    watch = Watch(stack.azure)
    assert finished(stack, operation).changes.keys() <= {"same"}
    assert watch.writes() == []


@pytest.mark.parametrize("number", [2, 8])
@pytest.mark.xdist_group("killed-destroy-0")
def test_killed_while_it_recovers_what_was_deleted(site: Site, number: int) -> None:
    """Prevents a vault, or what is in it, that is no longer deleted and not known either."""
    stack = site.before("revival")
    write = killed_at(stack, "up", number, "before", *ONE_AT_A_TIME)
    killed_at(stack, "up", write, "after", *ONE_AT_A_TIME)
    assert_ends_as_undisturbed(site, "revival", stack)


@pytest.mark.parametrize("number", [3, 6, 9, 19])
@pytest.mark.xdist_group("killed-first-0")
def test_killed_with_several_writes_under_way(site: Site, number: int) -> None:
    """Prevents one of the things that were begun from being forgotten over the others."""
    stack = site.before("first")
    killed_at(stack, "up", number, "after")
    assert_ends_as_undisturbed(site, "first", stack)


@pytest.mark.parametrize(("number", "when"), [(2, "before"), (9, "after"), (16, "before")])
@pytest.mark.xdist_group("killed-first-1")
def test_plugins_end_with_their_killed_engine(site: Site, number: int, when: When) -> None:
    """Prevents plugins that outlive their engine and go on writing, into the next run."""
    stack = site.before("first")
    killed_at(stack, "up", number, when, *ONE_AT_A_TIME, kill=Running.kill_engine)
    assert_ends_as_undisturbed(site, "first", stack)


@pytest.mark.parametrize(("number", "when"), [(9, "before"), (17, "after")])
@pytest.mark.xdist_group("killed-first-1")
def test_killed_plugin_is_a_failed_run(site: Site, number: int, when: When) -> None:
    """Prevents an engine that waits for a plugin that is gone, or that takes its silence for success."""
    stack = site.before("first")
    killed_at(stack, "up", number, when, *ONE_AT_A_TIME, kill=our_plugin_killed)
    assert_ends_as_undisturbed(site, "first", stack)


@pytest.mark.parametrize("number", [2, 17])
@pytest.mark.xdist_group("killed-first-2")
def test_interrupted_run_ends_what_is_under_way_and_saves_it(site: Site, number: int) -> None:
    """Prevents Ctrl-C from being a kill: what was begun is finished and known, and no lock is left."""
    stack = site.before("first")
    stack.azure.hold(number, "before")
    with start(stack, "up", *ONE_AT_A_TIME) as running:
        held = stack.azure.wait_for_held(120)
        running.interrupt()
        stack.azure.release()
        assert running.wait(120).exit_status > 0
        wait_until(lambda: not writers(running), "all that could still write end")
    assert phase_of(stack, held) == "done"
    assert locks_of(stack) == []
    assert pending_operations(stack) == []
    assert_ends_as_undisturbed(site, "first", stack)


@pytest.mark.xdist_group("killed-first-2")
def test_lock_is_kept_while_its_engine_lives_and_then_cleared(site: Site) -> None:
    """Prevents two engines on one state, and a person who has to find out whether the lock may be removed."""
    stack = site.before("first")
    stack.azure.hold(1, "before")
    with start(stack, "up") as running:
        stack.azure.wait_for_held(120)
        (lock,) = locks_of(stack)
        with pytest.raises(ToolError, match=f"locked by process {running.pid} "):
            stack.prepare()
        assert locks_of(stack) == [lock]
        running.kill_engine()
        assert locks_of(stack) == [lock]
        stack.prepare()
        assert locks_of(stack) == []


@pytest.mark.xdist_group("killed-first-2")
def test_killed_while_it_takes_up_it_does_so_again(site: Site) -> None:
    """Prevents a kill on the way back from a kill from being a dead end."""
    stack = site.before("first")
    killed_at(stack, "up", 3, "after")

    def killed(operation: str, *arguments: str) -> str:
        throttled = {"match": "GET /vaults/[^/]+$", "status": 429, "retryAfterSeconds": 60}
        with dialled(stack.azure, faults=[throttled]), stack.start(operation, *arguments) as running:
            wait_until(lambda: "importing" in pending_operations(stack), "an import is under way")
            running.kill_all()
        raise InterruptedError

    with pytest.raises(InterruptedError):
        take_up(killed, stack.export(), stack.environment())
    assert_ends_as_undisturbed(site, "first", stack)


@pytest.mark.parametrize("number", [1, 10])
@pytest.mark.xdist_group("killed-first-2")
def test_destroyed_after_a_kill_nothing_is_left(site: Site, number: int) -> None:
    """Prevents what a killed run had made, and did not know of, from outliving the stack."""
    stack = site.before("first")
    killed_at(stack, "up", number, "after")
    finished(stack, "destroy")
    there = {path: value for path, value in picture(stack).items() if not path.startswith(RECOVERABLE)}
    assert there == picture(site.before("first"))
