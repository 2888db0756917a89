"""The order of a rollover: a key is trusted before it signs, and distrusted when nothing that it signed is in use.

Judged for one leaf at a time and from what the last step has left of it, so that a leaf which missed a step is held
back until it has caught up, whatever became of the others. Generations go by their names in the vault (`clients-2`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """What breaks connections when it comes too early."""

    SIGN = "sign"
    DISTRUST = "distrust"


@dataclass(frozen=True)
class Standing:
    """Which generation issued a leaf, and which ones those trust that it is shown to."""

    issued_by: str
    trusted: frozenset[str]


@dataclass(frozen=True)
class Untimely:
    """A step of `generation` that comes too early; `str()` is what acknowledges it."""

    step: Step
    generation: str

    def __str__(self) -> str:
        return f"{self.step}-{self.generation}"


def untimely(before: Standing, after: Standing) -> list[Untimely]:
    """Return which steps of a leaf from `before` to `after` come too early; none in the order of a rollover."""
    found = []
    if after.issued_by != before.issued_by and after.issued_by not in before.trusted:
        found.append(Untimely(Step.SIGN, after.issued_by))
    if before.issued_by not in after.trusted:
        found.append(Untimely(Step.DISTRUST, before.issued_by))
    return found
