"""What was asked of the local Azure, and the hold that crash tests put on one write.

An entry names the request, the caller and the outcome: no header, no body, and no query of the token service, so that
neither secrets nor tokens nor key material can reach the log. A write is a state-changing request that authentication,
faults and roles have let in: a refused attempt is in the log, but is not counted.
"""

import asyncio
import json
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from aiohttp import web

HostKind = Literal["entra", "arm", "graph", "vault"]
Phase = Literal["started", "held", "done", "abandoned"]

_KEPT_IN_MEMORY = 50_000
_CHANGES_NOTHING = frozenset({"GET", "HEAD", "OPTIONS"})
_POSTS_THAT_ASK = frozenset(
    {"sign", "verify", "encrypt", "decrypt", "wrapkey", "unwrapkey", "backup", "checknameavailability", "getbyids"}
)
_POLL_SECONDS = 0.02


class ClientGone(Exception):
    """The caller closed its connection while its write was held back: the write must not be applied."""


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request. `phase`: started → [held] → done, or abandoned when the client left while held before the write."""

    n: int
    time: float
    host: HostKind
    vault: str | None
    method: str
    path: str
    query: str
    principal: str | None = None
    status: int | None = None
    write: bool = False
    phase: Phase = "started"


class RequestLog:
    """Entries numbered from 1 since the process started, newest kept in memory, each phase appended to the file."""

    def __init__(self, path: Path) -> None:
        if path.exists():
            path.replace(path.with_name("requests.previous.jsonl"))
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._entries: deque[Entry] = deque(maxlen=_KEPT_IN_MEMORY)
        self._last = 0

    def open(self, request: web.Request, *, host: HostKind, vault: str | None, time: float) -> Entry:
        self._last += 1
        query = "" if host == "entra" else request.query_string
        entry = Entry(
            n=self._last, time=time, host=host, vault=vault, method=request.method, path=request.path, query=query
        )
        self._entries.append(entry)
        return entry

    def record(self, entry: Entry, phase: Phase) -> None:
        entry.phase = phase
        self._file.write(json.dumps(asdict(entry)) + "\n")

    def after(self, n: int) -> list[dict[str, Any]]:
        return [asdict(entry) for entry in self._entries if entry.n > n]

    def close(self) -> None:
        self._file.close()


def changes_state(method: str, path: str) -> bool:
    """Whether the request would change something, by its method and, for POST, its last path segment."""
    if method in _CHANGES_NOTHING:
        return False
    return method != "POST" or path.rstrip("/").rsplit("/", 1)[-1].lower() not in _POSTS_THAT_ASK


class Hold:
    """Stops the `write`-th write from now on, before it is applied or after, until it is released."""

    def __init__(self, write: int, when: Literal["before", "after"]) -> None:
        self.when = when
        self._left = write
        self._released = asyncio.Event()

    def takes_next(self) -> bool:
        """Count one write; whether it is the one to hold."""
        self._left -= 1
        return self._left == 0 and not self._released.is_set()

    def release(self) -> None:
        self._released.set()

    async def wait(self, request: web.Request) -> None:
        """Until released; ClientGone if the client left before that."""
        while not self._released.is_set():
            if _gone(request):
                raise ClientGone
            try:
                await asyncio.wait_for(self._released.wait(), _POLL_SECONDS)
            except TimeoutError:
                continue
        await asyncio.sleep(_POLL_SECONDS)
        if _gone(request):
            raise ClientGone


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()
