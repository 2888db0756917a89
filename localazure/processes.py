"""Whether a process of this machine still runs."""

import psutil


def has_ended(process: psutil.Process) -> bool:
    """Whether a process is gone, or waits for a parent that never asks, as in a container without an init."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
