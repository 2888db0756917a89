"""A local Azure with one stack on it, put back to where they were before each run that is to be disturbed.

What a run does to the stack is a `Change`. Made once without a disturbance, it is the measure for every disturbed one.
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
from tests.engine.stacks import ProgramStack, Watch

ONE_AT_A_TIME = ("--parallel", "1")
"""With this an engine's writes come in the same order each time, but for things of one kind."""

_NAME = "killed"
_TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
_OWN_NAMES = re.compile(r"(?<=certificates/)[\w-]+(/[0-9a-f]{32})?|(?<=/vaults/)[\w-]+|(?<=/roleAssignments/)[\w-]+")


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a run does to a stack: after which other change, how much later, and by how many writes."""

    after: str | None = "first"
    days: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    operation: Literal["up", "destroy"] = "up"
    writes: int


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """The writes (`kind_of` each) of a change that nothing disturbed, in their order, and what there is after it."""

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

    def before(self, name: str) -> ProgramStack:
        """The stack when the change is about to be made; the last one that was returned is gone."""
        self.undisturbed(name)
        return self._before(name)

    def _before(self, name: str) -> ProgramStack:
        change = self._changes[name]
        kept = self._kept(change.after)
        self.close()
        place = self._root / "now"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(kept, place)
        stack = self._stack(place)
        stack.today = _TODAY + timedelta(days=change.days)
        stack.set(**change.settings)
        return stack

    def undisturbed(self, name: str) -> Undisturbed:
        """The change as it goes when nothing disturbs it."""
        if name not in self._undisturbed:
            stack = self._before(name)
            watch = Watch(stack.azure)
            stack.run(self._changes[name].operation, *ONE_AT_A_TIME).check()
            writes = [kind_of(write) for write in watch.writes()]
            self._undisturbed[name] = Undisturbed(writes=writes, picture=picture(stack))
            self.close()
            shutil.copytree(self._root / "now", self._root / name)
        return self._undisturbed[name]

    def close(self) -> None:
        """Stop the local Azure."""
        if self._azure:
            self._azure.stop()
            self._azure = None

    def _kept(self, name: str | None) -> Path:
        if name:
            self.undisturbed(name)
        kept = self._root / (name or "nothing")
        if not kept.exists():
            self._stack(kept).prepare()
            self.close()
        return kept

    def _stack(self, place: Path) -> ProgramStack:
        self._azure = LocalAzure.start(place / "azure", rbacPropagationSeconds=0)
        return ProgramStack(place / "stack", azure=self._azure, pulumi_home=self._pulumi_home, name=_NAME)


def kind_of(write: str) -> str:
    """A write, without the names that tell it from others of its kind."""
    return _OWN_NAMES.sub("NAME", write)
