"""Clears the lock that a killed engine leaves on a stack in a folder of this machine.

The engine never does: it cannot know whether the process that wrote a lock still writes. Here that process can be asked
for. Pulumi's file backend keeps one JSON file a lock, with `pid`, `hostname` and `timestamp`.
"""

import json
import socket
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from localazure.processes import has_ended
from tools import ToolError

_CLOCK_TOLERANCE_SECONDS = 2


def clear_stale_locks(backend: Path, project: str, stack: str) -> list[Path]:
    """Remove and return the locks on `stack` whose process is gone. Raises ToolError when one may still be held."""
    locks = sorted((backend / ".pulumi" / "locks" / "organization" / project / stack).glob("*.json"))
    for lock in locks:
        try:
            holder = json.loads(lock.read_text())
            alive = _is_alive(holder)
        except (ValueError, KeyError, TypeError) as error:
            raise ToolError(f"{lock} cannot be read ({error}); if no pulumi runs on this stack, delete it") from error
        if alive:
            raise ToolError(
                f"stack {stack} is locked by process {holder['pid']} on {holder['hostname']} since "
                f"{holder['timestamp']}: wait for it to end; only if it has ended, delete {lock}"
            )
    for lock in locks:
        lock.unlink(missing_ok=True)
    return locks


def _is_alive(holder: dict[str, Any]) -> bool:
    """Whether the process may still run: a process elsewhere cannot be asked, and a pid may have a new owner by now."""
    if holder["hostname"] != socket.gethostname():
        return True
    try:
        process = psutil.Process(int(holder["pid"]))
        started = process.create_time()
    except psutil.NoSuchProcess:
        return False
    return (
        not has_ended(process)
        and started <= datetime.fromisoformat(holder["timestamp"]).timestamp() + _CLOCK_TOLERANCE_SECONDS
    )
