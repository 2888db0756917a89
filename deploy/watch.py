"""Deliver again and again, until told to end.

Each round is a whole `deploy write`: what one could not do changes nothing, and the next one tries again, sooner at
first and less and less often while it goes on failing. Rounds of many hosts spread by themselves (jitter).
"""

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import sleep
from types import FrameType
from typing import NoReturn

from deploy.problem import DeployError

ENDING = (signal.SIGTERM, signal.SIGINT)
_FIRST_RETRY_SECONDS = 30.0
_LAST_RETRY_SECONDS = 900.0
_JITTER = 0.1


def watch(deliver: Callable[[], None], interval_seconds: float, tell: Callable[[str], None]) -> NoReturn:
    """Call `deliver` every `interval_seconds`, or so, until SIGTERM or SIGINT, which end the process with status 0.

    A DeployError is told and waited out. Whatever else `deliver` raises ends the watch.
    """

    def end(number: int, _: FrameType | None) -> NoReturn:
        tell(f"Ended by {signal.Signals(number).name}. What was written is whole.")
        raise SystemExit(0)

    for number in ENDING:
        signal.signal(number, end)
    failures = 0
    while True:
        try:
            deliver()
        except DeployError as error:
            failures += 1
            pause = _spread(retry_seconds(failures, interval_seconds))
            tell(f"{error.message}\nThe next attempt is in {pause:.0f} s.")
        else:
            if failures:
                tell("It works again.")
            failures = 0
            pause = _spread(interval_seconds)
        sleep(pause)


def retry_seconds(failures: int, interval_seconds: float) -> float:
    """Return how long to wait after so many failures in a row: twice as long each time, up to a limit."""
    first = min(_FIRST_RETRY_SECONDS, interval_seconds)
    last = max(_LAST_RETRY_SECONDS, interval_seconds)
    # A float holds no 2.0 ** 1024, and a weekend has that many failures.
    return min(first * 2.0 ** min(failures - 1, 64), last)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let a signal that ends the process wait until the block is done. For the main thread."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came[:1]:
            signal.raise_signal(late)


def _spread(seconds: float) -> float:
    return seconds * random.uniform(1 - _JITTER, 1 + _JITTER)
