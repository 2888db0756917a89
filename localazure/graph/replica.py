"""What a reader sees of the directory, which is eventually consistent.

A write reaches the replicas after the dialled seconds. Until then

- an object that is asked for by id is as its writer left it for the writer, whose session has read-write consistency
  ("What is the Microsoft Entra architecture?"), and as it was before for everyone else;
- what is deleted is still there, for its writer, too;
- lists, and objects that another object refers to, are as they were before, for everyone.

What was written before a restart has reached the replicas.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from localazure.store import Document, Store


@dataclass(frozen=True, slots=True)
class _Write:
    time: float
    writer: str
    before: Document | None
    removes: bool


class Replica:
    """Reads and writes of the store, each read as of a reader. `lag_seconds` is asked at each call."""

    def __init__(self, store: Store, clock: Callable[[], float], lag_seconds: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._lag_seconds = lag_seconds
        self._writes: dict[tuple[str, str], list[_Write]] = {}

    def put(self, kind: str, key: str, document: Document, writer: str) -> None:
        self._remember(kind, key, writer, removes=False)
        self._store.put(kind, key, document)

    def delete(self, kind: str, key: str, writer: str) -> None:
        self._remember(kind, key, writer, removes=True)
        self._store.delete(kind, key)

    def newest(self, kind: str, key: str) -> Document | None:
        return self._store.get(kind, key)

    def replicated(self, kind: str, key: str) -> Document | None:
        """The object as every replica has it."""
        recent = self._recent(kind, key)
        return recent[0].before if recent else self._store.get(kind, key)

    def seen_by(self, reader: str, kind: str, key: str) -> Document | None:
        """The object as the reader gets it by id."""
        seen = self._store.get(kind, key)
        for write in reversed(self._recent(kind, key)):
            if write.writer == reader and not write.removes:
                break
            seen = write.before
        return seen

    def all_newest(self, kind: str, prefix: str = "") -> list[Document]:
        return [document for _, document in self._store.items(kind, prefix)]

    def all_replicated(self, kind: str, prefix: str = "") -> list[Document]:
        found = (self.replicated(kind, key) for key in self._keys(kind, prefix))
        return [document for document in found if document is not None]

    def all_seen_by(self, reader: str, kind: str, prefix: str = "") -> list[Document]:
        found = (self.seen_by(reader, kind, key) for key in self._keys(kind, prefix))
        return [document for document in found if document is not None]

    def _keys(self, kind: str, prefix: str) -> Iterator[str]:
        stored = {key for key, _ in self._store.items(kind, prefix)}
        removed = {key for of, key in self._writes if of == kind and key.startswith(prefix)}
        yield from sorted(stored | removed)

    def _remember(self, kind: str, key: str, writer: str, *, removes: bool) -> None:
        recent = self._recent(kind, key)
        if self._lag_seconds() > 0:
            recent.append(_Write(self._clock(), writer, self._store.get(kind, key), removes))
            self._writes[kind, key] = recent

    def _recent(self, kind: str, key: str) -> list[_Write]:
        """The writes that have not reached the replicas yet, oldest first."""
        oldest = self._clock() - self._lag_seconds()
        recent = [write for write in self._writes.get((kind, key), []) if write.time > oldest]
        if not recent:
            self._writes.pop((kind, key), None)
        return recent
