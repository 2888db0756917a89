"""Documents by kind and key, kept in one SQLite file.

Write-ahead logging with synchronous=NORMAL: a committed document survives SIGKILL of this process at any moment (a
power cut may cost the newest ones, never consistency), and a commit costs no fsync. Calls are synchronous and short, so
the event loop makes them directly; it is the only writer, which makes a `transaction` atomic as long as nothing is
awaited inside it.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Document = dict[str, Any]

_LAST = "\U0010ffff"
"""Sorts after every character in SQLite's binary order of UTF-8."""

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS documents (
        kind TEXT, key TEXT, value TEXT NOT NULL, PRIMARY KEY (kind, key)
    ) WITHOUT ROWID
"""


class Store:
    """JSON documents; a returned document is a copy, `put` is the only way to change one.

    Keys are compared exactly: callers lower-case what Azure compares without case.
    """

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(_SCHEMA)
        self._depth = 0

    def get(self, kind: str, key: str) -> Document | None:
        row = self._connection.execute("SELECT value FROM documents WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        return None if row is None else _load(row[0])

    def put(self, kind: str, key: str, value: Document) -> None:
        self._connection.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (kind, key, json.dumps(value)))

    def delete(self, kind: str, key: str) -> bool:
        """Whether there was such a document."""
        return self._connection.execute("DELETE FROM documents WHERE kind = ? AND key = ?", (kind, key)).rowcount > 0

    def items(self, kind: str, prefix: str = "") -> list[tuple[str, Document]]:
        """Documents of a kind whose key starts with `prefix`, ordered by key."""
        rows = self._connection.execute(
            "SELECT key, value FROM documents WHERE kind = ? AND key BETWEEN ? AND ? ORDER BY key",
            (kind, prefix, prefix + _LAST),
        )
        return [(key, _load(value)) for key, value in rows]

    def drop(self, kind_prefix: str) -> None:
        """Delete every document of every kind whose name starts with `kind_prefix`."""
        self._connection.execute("DELETE FROM documents WHERE kind BETWEEN ? AND ?", (kind_prefix, kind_prefix + _LAST))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All puts and deletes inside take effect together, or not at all. Nests. Never await inside."""
        if self._depth:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            return
        self._connection.execute("BEGIN IMMEDIATE")
        self._depth = 1
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        else:
            self._connection.execute("COMMIT")
        finally:
            self._depth = 0

    def close(self) -> None:
        self._connection.close()


def _load(value: str) -> Document:
    document: Document = json.loads(value)
    return document
