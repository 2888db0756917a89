"""Killed before or after any write, the next run ends where an undisturbed one does, and leaves nothing behind.

Writes are counted in the request log. The engine does one thing at a time where a write is chosen by its number, so
that the number always means the same write, but for authorities and leaves, which are alike and go in any order.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.picture import assert_vaults_hold_what_the_state_says, picture
from tests.engine.site import ONE_AT_A_TIME, Change, Site, kind_of
from tests.engine.stacks import ProgramStack, Run, Watch

pytestmark = pytest.mark.engine

CHANGES = {
    "first": Change(after=None, writes=23),
    "tags": Change(settings={"tags": {"team": "payments"}}, writes=9),
    "renewal": Change(days=70, writes=8),
    "destroy": Change(operation="destroy", writes=13),
    "revival": Change(after="destroy", writes=13),
}
EVERY_WRITE = [
    pytest.param(name, number, id=f"{name}-{number}")
    for name, change in CHANGES.items()
    for number in range(1, change.writes + 1)
]


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, pulumi_home: Path) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"), pulumi_home, CHANGES)
    yield site
    site.close()


def killed(stack: ProgramStack, operation: str, write: int, when: str, *arguments: str) -> str:
    """Kill engine and plugins at a write, before or after it is applied; method and path of that write."""
    stack.prepare()
    if operation == "up":
        stack.take_up()
    stack.azure.hold(write, when)
    with stack.start(operation, "--yes", "--skip-preview", *arguments) as running:
        held = stack.azure.wait_for_held(60)
        running.kill_all()
    stack.azure.release()
    return f"{held['method']} {held['path']}"


def finish(stack, operation):
    return (stack.up() if operation == "up" else stack.destroy()).check()


@pytest.mark.parametrize("name", CHANGES)
def test_number_of_writes(site: Site, name: str) -> None:
    print("\n".join(site.undisturbed(name).writes))
    assert len(site.undisturbed(name).writes) == CHANGES[name].writes


@pytest.mark.parametrize(("name", "number"), EVERY_WRITE)
def test_every(site: Site, name: str, number: int) -> None:
    expected = site.undisturbed(name)
    operation = CHANGES[name].operation
    stack = site.before(name)
    import time
    t=time.monotonic()
    def lap(w):
        nonlocal t
        print(f"{w} {time.monotonic()-t:.1f}"); t=time.monotonic()
    k = killed(stack, operation, number, "before", *ONE_AT_A_TIME)
    lap("k1")
    assert kind_of(k) == expected.writes[number - 1]
    d=stack.export()["deployment"]
    print([(o['type'], o['resource']['urn'][-60:]) for o in d.get('pending_operations',[])])
    k2 = killed(stack, operation, 1, "after", *ONE_AT_A_TIME)
    lap("k2")
    print(k, k2)
    print([(o['type'], o['resource']['urn'][-60:]) for o in stack.export()["deployment"].get('pending_operations',[])])
    finish(stack, operation)
    lap("up")
    assert not stack.export()["deployment"].get("pending_operations")
    found = picture(stack)
    import sys; sys.path.insert(0,"/tmp/kt"); from diff import diff; dd=list(diff(found, expected.picture)); print("\n".join(dd))
    assert not dd
    if operation == "up":
        assert_vaults_hold_what_the_state_says(stack)
    watch = Watch(stack.azure)
    out = finish(stack, operation)
    lap("again")
    assert out.changes.keys() <= {"same"}
    assert watch.writes() == []
