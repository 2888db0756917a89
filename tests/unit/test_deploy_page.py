"""docs/deploy.md says what deploy/compose.yaml and `python -m deploy` are."""

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from deploy.__main__ import write
from tools import REPOSITORY

PAGE = (REPOSITORY / "docs/deploy.md").read_text()
COMPOSE = (REPOSITORY / "deploy/compose.yaml").read_text()


def commands() -> list[list[str]]:
    """The arguments of each `python -m deploy write` on the page, lines that go on put together."""
    text = PAGE.replace("\\\n", " ")
    return [shlex.split(found) for found in re.findall(r"python -m deploy write (--.*)$", text, re.MULTILINE)]


def test_page_has_commands() -> None:
    """The next test would run over nothing."""
    assert len(commands()) == 4


@pytest.mark.parametrize("arguments", commands(), ids=" ".join)
def test_command_is_one_that_there_is(arguments: list[str]) -> None:
    """Somebody would copy a unit that does not start."""
    assert write.make_context("write", [*arguments]).params["stack"] == "prod"


def test_command_with_a_slip_is_noticed() -> None:
    """The command line would take whatever it is given."""
    with pytest.raises(click.NoSuchOption):
        write.make_context("write", ["--stack", "prod", "--wach"])


def test_page_has_every_variable_with_its_default() -> None:
    """Nobody would find what can be set, or rely on a default of long ago."""
    told = {
        name: default.strip("`") for name, default in re.findall(r"^\| `([A-Z_]+)` \| (\S+) \|", PAGE, re.MULTILINE)
    }
    read = {name: default or "none" for name, default in re.findall(r"\$\{([A-Z_]+)(?::-([^}]*)|:\?[^}]*)\}", COMPOSE)}
    assert told == read
    assert read.keys() == set(re.findall(r"\$\{([A-Z_]+)", COMPOSE))


def test_page_has_every_service() -> None:
    """A service that nobody knows of is one that nobody watches."""
    told = re.findall(r"^\| `([a-z-]+)`(?:, [a-z ]+)? \| .* \| .* \|", PAGE, re.MULTILINE)
    assert told == list(yaml.safe_load(COMPOSE)["services"])


def test_git_leaves_the_password_alone() -> None:
    """It would be pushed with the next change."""
    assert "/deploy/.env" in Path(REPOSITORY / ".gitignore").read_text().splitlines()
