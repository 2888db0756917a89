"""Wrong settings on the real engine: one clear message each, and nobody is asked anything."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from localazure.client import LocalAzure
from tests.engine.stacks import ProgramStack, Watch
from tests.unit.test_settings import WRONG

pytestmark = pytest.mark.engine

# The table is tried whole without the engine; here, cases of every kind, evenly taken from it.
# Of two alike the engine names the other one first, because it sorts what it hands over.
_TRIED = [case for case in WRONG if case != "authorities with one name"]
CASES = [case for number, case in enumerate(_TRIED) if number * 45 // len(_TRIED) != (number - 1) * 45 // len(_TRIED)]


@pytest.fixture(scope="module")
def stack(new_stack: Callable[[], ProgramStack]) -> ProgramStack:
    return new_stack()


def test_more_than_forty_are_tried() -> None:
    """A table that shrinks would still pass."""
    assert len(CASES) >= 40


@pytest.mark.parametrize("case", CASES)
def test_wrong_setting_is_told_before_anybody_is_asked(case: str, stack: ProgramStack, azure: LocalAzure) -> None:
    """Half of a stack would be made before the program finds out, or its author would read a traceback."""
    written, path, consequence, fix = WRONG[case]
    settings: dict[str, Any] = {"location": "westeurope", "authorization": "none", **written}
    stack.configure(
        {
            key if ":" in key else f"temporal-azure:{key}": value
            for key, value in json.loads(json.dumps(settings)).items()
        }
    )
    watch = Watch(azure)
    shown = stack.run("up").refused().shown
    for words in (f"{path}: ", consequence, fix, "Nothing was created or changed."):
        assert words in shown, shown
    assert watch.requests() == []
