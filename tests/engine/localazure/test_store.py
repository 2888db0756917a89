"""The store keeps what it said it kept."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from localazure.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "state.sqlite3")) as store:
        yield store


def test_a_returned_document_is_a_copy(store: Store) -> None:
    """A handler that changes what it read must not change the state by that."""
    store.put("kind", "key", {"a": [1]})
    document = store.get("kind", "key")
    assert document is not None
    document["a"].append(2)
    assert store.get("kind", "key") == {"a": [1]}


def test_a_failed_transaction_leaves_nothing_behind(store: Store) -> None:
    """Half a deletion would leave a vault both alive and deleted."""
    store.put("kind", "kept", {})

    def fail_half_way() -> None:
        with store.transaction():
            store.delete("kind", "kept")
            with store.transaction():
                store.put("kind", "new", {})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert [key for key, _ in store.items("kind")] == ["kept"]


def test_items_and_drop_take_prefixes_literally(store: Store) -> None:
    """Names may hold the wildcards of SQL: `a_b` must not match `axb`."""
    for key in ("a_b/1", "axb/2", "a_b"):
        store.put("k", key, {})
    assert [key for key, _ in store.items("k", "a_b/")] == ["a_b/1"]
    store.put("vault/a_b/x", "1", {})
    store.put("vault/axb/x", "1", {})
    store.drop("vault/a_b/")
    assert not store.items("vault/a_b/x")
    assert store.items("vault/axb/x")


def test_another_connection_sees_what_was_put(tmp_path: Path, store: Store) -> None:
    """A put is durable when it returns, without any close."""
    store.put("kind", "key", {"n": 1})
    with closing(Store(tmp_path / "state.sqlite3")) as other:
        assert other.get("kind", "key") == {"n": 1}
