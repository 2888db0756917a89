"""Runs a command that belongs to the person at the terminal."""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def run_attached(command: Sequence[str], *, cwd: Path, environment: Mapping[str, str]) -> int:
    """Run `command` on this terminal and return its exit status.

    Ctrl-C is left to the command: an engine ends the operations at hand and saves its state, which it could not if its
    caller gave up first.
    """
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.run(command, cwd=cwd, env=environment, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)
