"""What the books' consumer hands over, sorted by book and partition; ends of partitions are no records."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from hypothesis import given
from hypothesis import strategies as st

from pushcast.report.apply import BookEntry
from pushcast.report.consumed import Consumed, ReadSize, in_parts, sorted_out
from pushcast.wire import topics

END, AWAY, FATAL = KafkaError._PARTITION_EOF, KafkaError._TRANSPORT, KafkaError._FATAL


class Said:
    """A record, or what the client says in place of one."""

    def __init__(self, topic: str, partition: int, offset: int, error: int | None = None) -> None:
        self._place, self._error = (topic, partition, offset), error

    def error(self) -> KafkaError | None:
        return None if self._error is None else KafkaError(self._error)

    def topic(self) -> str:
        return self._place[0]

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int:
        return self._place[2]

    def value(self) -> bytes:
        return b"v"

    def key(self) -> bytes:
        return b"u"

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, 5


def test_records_and_ends_are_told_apart() -> None:
    said: Any = [
        Said(topics.RECEIPT, 0, 7), Said(topics.RECEIPT, 1, 3), Said(topics.RECEIPT, 0, 8),
        Said(topics.RECEIPT, 0, 10, END), Said(topics.ENGAGEMENT, 0, 4), Said(topics.PLANNED, 2, 0, AWAY),
    ]  # fmt: skip
    runs, ended = sorted_out(said)
    offsets = {place: [entry.offset for entry in run] for place, run in runs.items()}
    assert offsets == {(topics.RECEIPT, 0): [7, 8], (topics.RECEIPT, 1): [3], (topics.ENGAGEMENT, 0): [4]}
    assert ended == {(topics.RECEIPT, 0): 10}, "behind what a transaction has left"
    assert (runs[topics.ENGAGEMENT, 0][0].key, runs[topics.RECEIPT, 0][0].key) == (b"u", None)


def test_an_error_after_which_nothing_is_read_ends_it() -> None:
    said: Any = [Said(topics.RECEIPT, 0, 7, FATAL)]
    with pytest.raises(KafkaException):
        sorted_out(said)


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(1, 60))
def test_parts_are_all_records_in_their_order_and_none_has_more_than_it_may_or_one(sizes: list[int], most: int) -> None:
    entries = [BookEntry(offset, bytes(size) if size else None) for offset, size in enumerate(sizes)]
    parts = [list(part) for part in in_parts(entries, most)]
    assert [entry for part in parts for entry in part] == entries
    for place, part in enumerate(parts):
        size = sum(len(entry.value or b"") for entry in part)
        assert size <= most or len(part) == 1
        if place + 1 < len(parts):
            assert size + len(parts[place + 1][0].value or b"") > most, "it could have had one more"


def test_so_many_records_are_asked_for_that_they_are_about_so_many_bytes() -> None:
    reads = ReadSize(8000, 8 << 20)
    asked = []
    for size in (200, 200, 200, 200, 30_000, 1 << 20, 200):
        asked.append(reads.records)
        reads.saw(reads.records, reads.records * size)
    assert asked == [8, 64, 512, 4096, 8000, 279, 8]
    assert reads.records == 64
    reads.saw(0, 0)
    assert reads.records == 64, "nothing came"
    reads.saw(1, 0)
    assert reads.records == 512, "records without a value"


def test_the_size_of_what_came_is_that_of_its_values() -> None:
    runs = {("t", 0): [BookEntry(0, b"abc"), BookEntry(1, None)], ("t", 1): [BookEntry(0, b"d")]}
    assert Consumed(runs, {}).size() == (3, 4)
