"""A local Azure with one stack on it, which are put back to where they were before each run that is to be killed.

What is done to the stack is a `Change`; done once without a disturbance it is the measure for every disturbed one.
"""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from localazure.client import LocalAzure
from tests.engine.picture import Picture, picture
from tests.engine.stacks import ProgramStack, Run, Watch
from tools.stack import Running

When = Literal["before", "after"]

ONE_AT_A_TIME = ("--parallel", "1")
"""With this the engine's writes come in the same order each time, but for things of one kind."""

_NAME = "killed"
_TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
_NAMES = re.compile(r"(?<=certificates/)[\w-]+(/[0-9a-f]{32})?|(?<=/vaults/)[\w-]+|(?<=/roleAssignments/)[\w-]+")


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a run does to a stack. `after` is the change before it, `days` how much later it is then."""

    after: str | None = "first"
    operation: Literal["up", "destroy"] = "up"
    settings: Mapping[str, Any] = field(default_factory=dict)
    days: int = 0
    writes: int


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """What a change writes (`kind_of` each), in the engine's order, and what there is after it."""

    writes: Sequence[str]
    picture: Picture


class Site:
    """`changes` by name, made to one stack under `root`."""

    def __init__(self, root: Path, pulumi_home: Path, changes: Mapping[str, Change]) -> None:
        self._root = root
        self._pulumi_home = pulumi_home
        self._changes = changes
        self._azure: LocalAzure | None = None
        self._undisturbed: dict[str, Undisturbed] = {}

    def close(self) -> None:
        if self._azure:
            self._azure.stop()
            self._azure = None

    def before(self, name: str) -> ProgramStack:
        """The stack when the change is about to be made. Whatever was done to it is undone."""
        change = self._changes[name]
        kept = self._kept(change.after)
        self.close()
        place = self._root / "now"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(kept, place)
        self._azure = LocalAzure.start(place / "azure", rbacPropagationSeconds=0)
        stack = ProgramStack(place / "stack", azure=self._azure, pulumi_home=self._pulumi_home, name=_NAME)
        stack.today = _TODAY + timedelta(days=change.days)
        stack.set(**change.settings)
        return stack

    def undisturbed(self, name: str) -> Undisturbed:
        """The change as it goes when nobody disturbs it."""
        if name not in self._undisturbed:
            stack = self.before(name)
            watch = Watch(stack.azure)
            stack.run(self._changes[name].operation, *ONE_AT_A_TIME).check()
            writes = [kind_of(write) for write in watch.writes()]
            self._undisturbed[name] = Undisturbed(writes=writes, picture=picture(stack))
            self.close()
            shutil.copytree(self._root / "now", self._root / name)
        return self._undisturbed[name]

    def _kept(self, name):
        if name:
            self.undisturbed(name)
            return self._root / name
        kept = self._root / "nothing"
        if not kept.exists():
            with LocalAzure.start(kept/"azure", rbacPropagationSeconds=0) as azure:
                ProgramStack(kept/"stack", azure=azure, pulumi_home=self._pulumi_home, name=_NAME)
        return kept


def kind_of(write: str) -> str:
    """A write without the names that tell it from others of its kind."""
    return _NAMES.sub("NAME", write)
