"""What was seen beside what was assumed: a table for the person, JSON for whoever changes local Azure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from rich import box
from rich.markup import escape
from rich.table import Table

from cloud.session import KEY_VAULT_API_VERSION
from pki import KeyType
from tools.verify_azure.checks import Answers, Check

Verdict = Literal["same", "different", "not run"]
_STYLES: dict[Verdict, str] = {"same": "green", "different": "bold red", "not run": "dim"}


@dataclass(frozen=True, kw_only=True)
class Difference:
    question: str
    assumed: Any
    seen: Any


@dataclass(frozen=True, kw_only=True)
class Result:
    """One check, with one type of key.

    `seen` is empty where the check was not run, or ended before it had its answers; `remark` says why.
    """

    check: Check
    key_type: KeyType
    seen: Answers
    verdict: Verdict
    remark: str = ""

    @classmethod
    def of(cls, check: Check, key_type: KeyType, seen: Answers) -> Result:
        """Return the result of a check that has all its answers."""
        verdict: Verdict = "same" if dict(seen) == dict(check.assumes) else "different"
        return cls(check=check, key_type=key_type, seen=seen, verdict=verdict)

    @property
    def differences(self) -> Sequence[Difference]:
        """The questions that were answered in another way than assumed."""
        return [
            Difference(question=question, assumed=assumed, seen=self.seen[question])
            for question, assumed in self.check.assumes.items()
            if question in self.seen and self.seen[question] != assumed
        ]


def table(results: Iterable[Result]) -> Table:
    """Return one row for each result, with what differs."""
    shown = Table(box=box.SIMPLE_HEAD)
    for column in ("Check", "Key", "Verdict", "What differs"):
        shown.add_column(column, overflow="fold")
    for result in results:
        lines = [f"{each.question}: assumed {each.assumed}, seen {each.seen}" for each in result.differences]
        style = _STYLES[result.verdict]
        shown.add_row(
            result.check.name,
            result.key_type,
            f"[{style}]{result.verdict}[/]",
            escape("\n".join([*filter(None, [result.remark]), *lines])),
        )
    return shown


def summary(results: Iterable[Result]) -> dict[Verdict, int]:
    """Return how many results there are of each verdict."""
    counted = Counter(result.verdict for result in results)
    return {verdict: counted[verdict] for verdict in _STYLES}


def as_json(results: Sequence[Result], *, cloud: str, began: datetime) -> str:
    """Return the report's text; `cloud` names the cloud, and nothing names the vault or who asked."""
    checks = [
        {
            "check": result.check.name,
            "about": result.check.about,
            "guesses": result.check.guesses,
            "keyType": result.key_type,
            "verdict": result.verdict,
            "remark": result.remark,
            "differences": [vars(each) for each in result.differences],
            "assumed": result.check.assumes,
            "seen": result.seen,
        }
        for result in results
    ]
    report = {
        "cloud": cloud,
        "apiVersion": KEY_VAULT_API_VERSION,
        "began": began.isoformat(timespec="seconds"),
        "summary": summary(results),
        "checks": checks,
    }
    return json.dumps(report, indent=1) + "\n"
