"""Killed while sign-on is being added, the next run ends where an undisturbed one does: no second application, no
secret that nobody knows, nobody assigned twice.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.directory_picture import Picture, directory_picture
from tests.engine.killing import When, finished, killed_at
from tests.engine.site import ONE_AT_A_TIME, Change, Site
from tests.engine.stacks import ProgramStack, Watch

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("sign-on-killed")]

SETTINGS: dict[str, Any] = {
    "authorization": None,
    "certificates": {"orders": {}, "billing": {}},
    "signOn": {
        "displayName": "Killed",
        "roles": {"default:write": [{"user": "ada@contoso.example"}]},
        "workers": {"billing": {"federatedCredentials": [{"issuer": "https://issuer.example", "subject": "billing"}]}},
    },
}
CHANGES = {
    "without": Change(after=None, settings={"certificates": SETTINGS["certificates"]}, writes=27),
    "sign-on": Change(after="without", settings=SETTINGS, writes=31),
    "removal": Change(after="sign-on", settings={"authorization": "none", "signOn": None}, writes=0),
}
KILLS: list[tuple[int, When]] = [
    *((number, "after") for number in (1, 2, 5, 6, 7, 9, 14, 18, 21, 27, 31)),
    *((number, "before") for number in (1, 6, 9, 27)),
]
"""At which write of the second change, by its number: among them is a request of each kind that creates something."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, pulumi_home: Path) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"), pulumi_home, CHANGES)
    yield site
    site.close()


@pytest.fixture(scope="module")
def undisturbed(site: Site) -> Picture:
    """What the directory holds when nothing disturbed the run."""
    stack = site.before("sign-on")
    stack.run("up", *ONE_AT_A_TIME).check()
    return directory_picture(stack.azure)


def assert_ends_as_undisturbed(stack: ProgramStack, expected: Picture) -> None:
    finished(stack, "up")
    assert directory_picture(stack.azure) == expected
    watch = Watch(stack.azure)
    for operation in ("refresh", "up"):
        assert set(stack.run(operation).check().changes) == {"same"}, operation
    assert watch.writes() == []
    assert stack.export()["deployment"].get("pending_operations") in (None, [])


def test_no_write_is_missed(site: Site) -> None:
    """Prevents a write that a later version adds and that no test here is killed at."""
    assert len(site.undisturbed("sign-on").writes) == CHANGES["sign-on"].writes


@pytest.mark.parametrize(("number", "when"), KILLS)
def test_killed_at_a_write(site: Site, undisturbed: Picture, number: int, when: When) -> None:
    """Prevents an application beside the one in use, and a client secret of which nobody knows the value."""
    stack = site.before("sign-on")
    killed_at(stack, "up", number, when, *ONE_AT_A_TIME)
    assert_ends_as_undisturbed(stack, undisturbed)


@pytest.mark.parametrize(("number", "when"), [(3, "after"), (8, "before"), (12, "after")])
def test_killed_with_several_writes_under_way(site: Site, undisturbed: Picture, number: int, when: When) -> None:
    """Prevents one of the things that were begun from being forgotten over the others."""
    stack = site.before("sign-on")
    killed_at(stack, "up", number, when)
    assert_ends_as_undisturbed(stack, undisturbed)


@pytest.mark.parametrize("number", [1, 3, 6])
def test_killed_while_it_is_removed(site: Site, number: int) -> None:
    """Prevents an application that outlives the sign-on that it was for."""
    stack = site.before("removal")
    killed_at(stack, "up", number, "after", *ONE_AT_A_TIME)
    assert_ends_as_undisturbed(stack, {})
