"""A steady load on a cluster, and what became of it."""

import sys
from pathlib import Path

from tests.e2e import steady_load
from tests.e2e.deployed import Deployed
from tests.e2e.stack import WORKER_ENV
from tools import REPOSITORY
from tools.processes import Process, wait_until

_GIVEN_OUT_AGAIN = "Task not found when completing"


class Load:
    """Workflows without a pause (steady_load.py), by a worker with the variables of worker.env and no other.

    With `steady_load.RETRY` as an argument calls are tried again as the SDK does. Then a worker may finish a task that
    its server took along when it ended and that was given out again: it says so, and nothing is lost.
    """

    def __init__(self, deployed: Deployed, log: Path, *arguments: str) -> None:
        command = deployed.command(WORKER_ENV, [sys.executable, "-m", steady_load.__name__, *arguments])
        self._tries_again = steady_load.RETRY in arguments
        self._process = Process(command, deployed.variables(WORKER_ENV), log, cwd=REPOSITORY)

    def wait_for_more(self, workflows: int = 6) -> None:
        """Wait until so many more workflows have completed. Raises ProcessEndedError if a call has failed for good."""
        wanted = len(self._lines()) + workflows

        def is_done() -> bool:
            self._process.require_running()
            return len(self._lines()) >= wanted

        wait_until(is_done, f"{workflows} more workflows complete", timeout_seconds=60)

    def stop(self) -> tuple[int, set[str]]:
        """Its exit status, and what it has said."""
        status = self._process.stop()
        return status, {line for line in self._lines() if not (self._tries_again and _GIVEN_OUT_AGAIN in line)}

    def _lines(self) -> list[str]:
        return self._process.log.read_text().splitlines()
