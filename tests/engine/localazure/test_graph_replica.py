"""What a reader sees of a directory that is eventually consistent, moment by moment."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from localazure.graph.replica import Replica
from localazure.store import Store


class Moment:
    """A directory whose replicas are ten seconds behind, at a moment that the test sets."""

    def __init__(self, store: Store) -> None:
        self.now = 0.0
        self.lag = 10.0
        self.store = store
        self.replica = Replica(store, lambda: self.now, lambda: self.lag)

    def write(self, value: str, writer: str, key: str = "k") -> None:
        self.replica.put("things", key, {"value": value}, writer)

    def seen_by(self, reader: str) -> str | None:
        found = self.replica.seen_by(reader, "things", "k")
        listed = self.replica.all_seen_by(reader, "things")
        assert listed == ([] if found is None else [found])
        return None if found is None else found["value"]

    def replicated(self) -> str | None:
        found = self.replica.replicated("things", "k")
        listed = self.replica.all_replicated("things")
        assert listed == ([] if found is None else [found])
        return None if found is None else found["value"]


@pytest.fixture
def moment(tmp_path: Path) -> Iterator[Moment]:
    store = Store(tmp_path / "store")
    yield Moment(store)
    store.close()


def test_a_write_reaches_the_replicas_when_its_time_has_come(moment: Moment) -> None:
    """Not before, and each in its turn."""
    moment.write("one", "ann")
    moment.now = 5
    moment.write("two", "ann")
    assert moment.replicated() is None
    moment.now = 9
    assert (moment.replicated(), moment.seen_by("ann"), moment.seen_by("bo")) == (None, "two", None)
    moment.now = 11
    assert (moment.replicated(), moment.seen_by("ann"), moment.seen_by("bo")) == ("one", "two", "one")
    moment.now = 15
    assert (moment.replicated(), moment.seen_by("ann"), moment.seen_by("bo")) == ("two", "two", "two")


def test_a_writer_sees_its_own_write_and_not_the_next_one_of_another(moment: Moment) -> None:
    """What it read before it wrote, it goes on seeing."""
    moment.write("one", "ann")
    moment.write("two", "bo")
    assert (moment.seen_by("ann"), moment.seen_by("bo"), moment.seen_by("cy")) == ("one", "two", None)
    moment.write("three", "ann")
    assert (moment.seen_by("ann"), moment.seen_by("bo")) == ("three", "two")


def test_what_is_deleted_lingers_for_its_writer_too(moment: Moment) -> None:
    """Until the replicas know."""
    moment.write("one", "ann")
    moment.now = 10
    moment.replica.delete("things", "k", "ann")
    assert (moment.replica.newest("things", "k"), moment.seen_by("ann"), moment.replicated()) == (None, "one", "one")
    moment.now = 20
    assert (moment.seen_by("ann"), moment.replicated()) == (None, None)


def test_with_no_lag_all_see_everything(moment: Moment) -> None:
    """The default: tests that are not about consistency must not meet it."""
    moment.lag = 0
    moment.write("one", "ann")
    assert (moment.replicated(), moment.seen_by("bo")) == ("one", "one")
    moment.lag = 10
    assert (moment.replicated(), moment.seen_by("bo")) == ("one", "one")
