"""What is said about a wrong setting: where, what, what follows, and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """A wrong setting: `what` follows the path, `consequence` and `fix` are sentences.

    `rests_on` names the other settings that the finding was derived from.
    """

    location: Location
    what: str
    consequence: str
    fix: str
    rests_on: tuple[Location, ...] = field(default=(), repr=False, compare=False)

    @property
    def path(self) -> str:
        """The setting's place, as `pulumi config set --path` takes it."""
        path = ""
        for step in self.location:
            if isinstance(step, int) or not re.fullmatch(r"[\w:-]+", step):
                path += f"[{json.dumps(step, ensure_ascii=False)}]"
            else:
                path += f".{step}" if path else step
        return path

    def __str__(self) -> str:
        return f"{self.path}: {self.what}. {self.consequence} {self.fix}"


class SettingsError(Exception):
    """Everything that is wrong with a stack's configuration, in its order; `str()` is for the user."""

    def __init__(self, problems: Iterable[Problem], *, project: str, stack: str) -> None:
        self.problems = tuple(problems)
        count = "One setting is" if len(self.problems) == 1 else f"{len(self.problems)} settings are"
        heading = f"{count} wrong in Pulumi.{stack}.yaml (under {project}:). Nothing was created or changed."
        super().__init__("\n\n".join([heading, *(f"  {problem}" for problem in self.problems)]))


class Wrong(ValueError):
    """Raised by the check of a value; without a consequence of its own, the setting's is told."""

    def __init__(self, what: str, fix: str, consequence: str = "") -> None:
        super().__init__(what)
        self.what, self.fix, self.consequence = what, fix, consequence


def quoted(text: str) -> str:
    """Return what somebody wrote, in quotes, without control characters and not too long to read."""
    return json.dumps(text if len(text) <= 80 else f"{text[:80]}…", ensure_ascii=False)


def listed(words: Iterable[str]) -> str:
    """Return words one after the other."""
    return ", ".join(words)
