"""Records that a client of Kafka wrote twice: the second one is a copy, and does not count.

librdkafka gives an idempotent producer new numbers when one batch is refused for its number. What it is in doubt about
then, in whatever partition, it sends under the new numbers once more, and the broker cannot tell it from another
record (https://github.com/confluentinc/librdkafka/issues/4953, open; seen with two of three brokers away, and made on
purpose in tests/flow/test_copied_records.py). So whoever would act twice on such a record looks for copies itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from pushcast.stream.batch import TP, Record
from pushcast.wire import headers as h
from pushcast.wire.sending.retries import SENT_FROM

logger = logging.getLogger(__name__)

#: Of values. A producer has five batches under way in a partition, of half a megabyte each at most (`kafka.producer`);
#: what others write meanwhile stands between a record and its copy.
LEAST_BYTES: Final = 4 << 20
#: 5,000 records of 500 bytes are in five batches: so many is what memory is given for.
LEAST_RECORDS: Final = 4096
#: What our stages say of themselves. No stage writes two records that are equal in all headers and the value: each
#: names the source record that it comes of. Of other writers nobody knows.
_OURS: Final = frozenset({h.ORIGIN, SENT_FROM})


class Copies:
    """Of one partition, for its reader. Memory: 104 bytes for each record of the last 4 to 8 MB of values, and 8,192
    records at most.

    Two generations instead of a queue: forgetting costs nothing per record.
    """

    __slots__ = ("_bytes", "_least", "_old", "_young", "found")

    def __init__(self, least: int = LEAST_RECORDS) -> None:
        """`least`: records that are remembered at least, where they are no more than 4 MB."""
        self.found = 0
        self._least = least
        self._bytes = 0  # of values of the younger generation
        self._young: dict[int, int] = {}  # first offset by a hash of headers and value
        self._old: dict[int, int] = {}

    def is_copy(self, headers: h.Headers, value: bytes | None, offset: int) -> bool:
        """Whether an equal record stands before it; it is remembered from now on.

        A record that is read again gets the same answer. Fences and records of others are never copies.
        """
        if value is None or not any(name in _OURS for name, _ in headers):
            return False
        known = hash((value, tuple(headers)))
        first = self._young.get(known)
        if first is None:
            first = self._old.get(known, offset)
            if len(self._young) >= self._least or self._bytes >= LEAST_BYTES:
                self._old, self._young, self._bytes = self._young, {}, 0
            self._young[known] = first
            self._bytes += len(value)
        return first < offset

    def leaves_out(self, tp: TP, record: Record, count: Callable[[str, str, int], None]) -> bool:
        """`is_copy`; the first one is logged, and all are counted as `copies`."""
        if not self.is_copy(record.headers, record.value, record.offset):
            return False
        if not self.found:
            place = f"{tp.topic}[{tp.partition}]@{record.offset}"
            logger.warning("%s: a client of Kafka wrote this record twice; copies are left out", place)
        self.found += 1
        count("copies", "", 1)
        return True
