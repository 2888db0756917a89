"""Programs that run beside each other: each with nothing but the variables it is given, and a log of its own."""

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import psutil

T = TypeVar("T")

_POLL_SECONDS = 0.02
_STOP_SECONDS = 20
_TAIL_CHARACTERS = 2000


class ProcessEndedError(Exception):
    """A program ended that should still run."""


class Process:
    """A running program. Its output is added to `log`; a signal from the terminal does not reach it."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path, *, cwd: Path | None = None
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                command,
                cwd=cwd,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def require_running(self) -> None:
        """Raise ProcessEndedError, with the end of the log, unless the program runs."""
        if self.status is not None:
            raise ProcessEndedError(f"ended with {self.status}, saying\n{self.log.read_text()[-_TAIL_CHARACTERS:]}")

    def listening_ports(self) -> set[int]:
        """The port of every TCP socket that the process listens on. Raises ProcessEndedError."""
        self.require_running()
        connections = psutil.Process(self._popen.pid).net_connections(kind="tcp")
        return {connection.laddr.port for connection in connections if connection.status == psutil.CONN_LISTEN}

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._popen.poll()

    def terminate(self) -> None:
        """Ask it to end; `stop` waits until it has."""
        self._popen.terminate()

    def stop(self) -> int:
        """Its exit status, once it has ended; after 20 s it is not asked any more."""
        self.terminate()
        try:
            return self._popen.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            return self._popen.wait()


def wait_until(condition: Callable[[], T], what: str, *, timeout_seconds: float = 60) -> T:
    """The first true result of `condition`. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: still not so after {timeout_seconds:.0f} s")
        time.sleep(_POLL_SECONDS)
    return result
