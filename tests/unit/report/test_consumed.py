"""What the books' consumer hands over, sorted by book and partition; ends of partitions are no records."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from pushcast.report.consumed import sorted_out
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
