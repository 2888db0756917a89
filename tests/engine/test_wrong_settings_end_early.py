"""Wrong settings on the real engine: one clear message each, and nobody is asked anything."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from localazure.client import LocalAzure
from tests.engine.stacks import ProgramStack, Watch
from tests.unit.test_settings import WRONG
from tests.unit.test_settings_sign_on import WRONG as WRONG_OF_SIGN_ON

pytestmark = pytest.mark.engine

# The table is tried whole without the engine; here, cases of every kind, evenly taken from it.
# Of two alike the engine names the other one first, because it sorts what it hands over.
_TRIED = [case for case in WRONG if case != "authorities with one name"]
CASES = [case for number, case in enumerate(_TRIED) if number * 45 // len(_TRIED) != (number - 1) * 45 // len(_TRIED)]
CASES_OF_SIGN_ON = list(WRONG_OF_SIGN_ON)[::5]


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
    _assert_told({"authorization": "none", **written}, (f"{path}: ", consequence, fix), stack, azure)


@pytest.mark.parametrize("case", CASES_OF_SIGN_ON)
def test_wrong_setting_of_sign_on_is_told_before_anybody_is_asked(
    case: str, stack: ProgramStack, azure: LocalAzure
) -> None:
    """Half of the people would have their roles before the program finds out."""
    written, _, path, consequence, fix = WRONG_OF_SIGN_ON[case]
    _assert_told(written, (f"{path}: ", consequence, fix), stack, azure)


def _assert_told(written: Mapping[str, Any], told: Iterable[str], stack: ProgramStack, azure: LocalAzure) -> None:
    settings: dict[str, Any] = {"location": "westeurope", **written}
    stack.configure(
        {
            key if ":" in key else f"temporal-azure:{key}": value
            for key, value in json.loads(json.dumps(settings)).items()
        }
    )
    watch = Watch(azure)
    shown = stack.run("up").refused().shown
    for words in (*told, "Nothing was created or changed."):
        assert words in shown, shown
    assert watch.requests() == []
