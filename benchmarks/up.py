"""How long `up` takes on a fresh local stack, and how often it asks the vaults for each leaf.

Run it with `python -m benchmarks.up`, with the tools built. Times are of the whole engine run, beside a second run on
the same stack that has nothing to do: the ratio between the two holds when the machine's speed does not. Requests are
counted in local Azure's log, without polling and without authentication challenges, which are per connection and not
per leaf.
"""

import re
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from localazure.client import LocalAzure
from tools.stack import LocalStack, Outcome

LEAVES = (4, 30)
_CHALLENGE = 401
_NAMED = re.compile(r"/(?:deleted)?certificates/([^/]+)")
_POLLING = re.compile(r"/pending$")


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One stack: its leaves, seconds of the first and of the second `up`, and requests for each leaf at the most."""

    leaves: int
    first_seconds: float
    second_seconds: float
    requests_per_leaf: int


def main() -> None:
    """Measure stacks of each size and print a table."""
    table = Table(title="pulumi up on local Azure")
    for heading in ("leaves", "fresh, s", "no change, s", "ratio", "requests a leaf, at most"):
        table.add_column(heading, justify="right")
    for leaves in LEAVES:
        figures = measure(leaves)
        table.add_row(
            str(figures.leaves),
            f"{figures.first_seconds:.1f}",
            f"{figures.second_seconds:.1f}",
            f"{figures.first_seconds / figures.second_seconds:.1f}",
            str(figures.requests_per_leaf),
        )
    Console().print(table)


def measure(leaves: int) -> Figures:
    """Provision a stack with so many leaves, twice, in a folder that is gone afterwards."""
    workers: dict[str, dict[str, str]] = {f"worker-{number}": {} for number in range(leaves - 3)}
    with tempfile.TemporaryDirectory() as folder, LocalAzure.start(Path(folder) / "azure") as azure:
        stack = LocalStack(Path(folder), azure=azure)
        stack.configure({"temporal-azure:location": "westeurope", "temporal-azure:certificates": workers})
        stack.prepare()
        first_seconds = _seconds(stack.up)
        requests = azure.requests()
        second_seconds = _seconds(stack.up)
    names = {"cluster", "ui", "cli", *workers}
    return Figures(
        leaves=leaves,
        first_seconds=first_seconds,
        second_seconds=second_seconds,
        requests_per_leaf=max(requests_of(name, requests) for name in names),
    )


def requests_of(leaf: str, requests: Iterable[dict[str, Any]]) -> int:
    """Count what a vault was asked for one leaf: its certificate's requests, and the one signature that it needs."""
    of_certificate = [
        request
        for request in requests
        if request["host"] == "vault"
        and request["status"] != _CHALLENGE
        and (named := _NAMED.match(request["path"])) is not None
        and named[1] == leaf
        and not (request["method"] == "GET" and _POLLING.search(request["path"]))
    ]
    return len(of_certificate) + 1


def _seconds(up: Callable[[], Outcome]) -> float:
    begun = time.monotonic()
    up().check()
    return time.monotonic() - begun


if __name__ == "__main__":
    main()
