"""Ports for what tests start. Each belongs to the test process that asked for it, until that process ends.

A port that is only found free is given to another process that looks before anybody listens, which is seconds later for
a Temporal server and a minute for a stack that names it. So each is also locked, as one byte of a file that all test
processes of this user have in common; the kernel drops the locks of a process with it.
"""

import fcntl
import os
import random
import socket
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

_PORTS = range(10_000, 20_000)
"""Neither local Azure nor the kernel picks one of these for itself."""

_given: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, and that nobody else is given."""
    candidates = (port for port in random.sample(_PORTS, len(_PORTS)) if _is_free(port))
    ports = [next(candidates) for _ in range(count)]
    _given.update(ports)
    return ports


def _is_free(port: int) -> bool:
    if port in _given:
        return False
    try:
        fcntl.lockf(_lock_file(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


@cache
def _lock_file() -> int:
    path = Path(tempfile.gettempdir()) / f"temporal-azure-test-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
