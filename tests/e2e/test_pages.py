"""What pages tell people to type, typed."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.newcomer import Newcomer, command_blocks
from tools import REPOSITORY

pytestmark = pytest.mark.e2e

README = REPOSITORY / "README.md"

NOT_TYPED = {
    "make test": "it is what runs this",
    "az login": "needs an account on Azure",
    "pulumi stack init dev": "needs a backend",
    "make up STACK=dev": "needs an account on Azure",
}
IN_ANOTHER_TERMINAL = {
    "make serve": "make serve >serve.log 2>&1 & until grep -q 'Ctrl-C ends' serve.log; do kill -0 $!; sleep 0.2; done",
}


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    with Newcomer(tmp_path / "clone") as somebody:
        yield somebody


def typed(block: str) -> str:
    """The block as a script: without what cannot be run here, and with what lasts in the background."""
    lines = (re.sub(r"\s+#.*", "", line) for line in block.splitlines())
    return "".join(f"{IN_ANOTHER_TERMINAL.get(line, line)}\n" for line in lines if line not in NOT_TYPED)


def test_readme_takes_a_newcomer_to_a_workflow(newcomer: Newcomer) -> None:
    """A first page that leaves out one step is where most people leave."""
    done = newcomer.run("".join(map(typed, command_blocks(README))) + "kill $(jobs -p)")

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "Hello, Ada\n" in done.stdout
    assert re.search(r"Completed +\S+ +Greeting", done.stdout), done.stdout
    assert not (newcomer.clone / ".deploy/local/server/server.env").exists()


def test_readme_is_typed_whole() -> None:
    """A command that nobody runs here is one that may have stopped working."""
    lines = {re.sub(r"\s+#.*", "", line) for block in command_blocks(README) for line in block.splitlines()}

    assert lines >= NOT_TYPED.keys() | IN_ANOTHER_TERMINAL.keys()
