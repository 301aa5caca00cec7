"""What a consumer of the books has read, sorted by book and partition."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, cast

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message

from pushcast.kafka.headers import headers_of
from pushcast.model.errors import ConfigurationError
from pushcast.model.ids import partition_of
from pushcast.report.apply import OF_USERS, TIMED, BookEntry

logger = logging.getLogger(__name__)

BookPlace = tuple[str, int]  # book and partition


class SlotLost(ConfigurationError):
    """Another reporter has joined with the slot of this one. It ends this one, with the exit code of a refused start:
    started again, it would take the partitions from the other one, which would take them back."""

    exit_code = 2

    def __init__(self, said: str) -> None:
        super().__init__(f"another reporter has this one's slot; give each a --slot of its own ({said})")


class Consumed(NamedTuple):
    """Records of each place in the order of their offsets, and where the end of a place was reached."""

    runs: dict[BookPlace, list[BookEntry]]
    ended: dict[BookPlace, int]

    def size(self) -> tuple[int, int]:
        """Records, and bytes of their values."""
        runs = self.runs.values()
        return sum(map(len, runs)), sum(len(entry.value or b"") for run in runs for entry in run)


def sorted_out(messages: Iterable[Message]) -> Consumed:
    """Raises KafkaException for an error after which nothing more is read; others are logged."""
    found = Consumed({}, {})
    for message in messages:
        error = message.error()
        place = cast(str, message.topic()), cast(int, message.partition())
        if error is None:
            run = found.runs.get(place)
            if run is None:
                run = found.runs[place] = []
            run.append(_entry(place[0], message))
        elif error.code() == KafkaError._PARTITION_EOF:
            found.ended[place] = cast(int, message.offset())
        elif error.fatal() or error.code() == KafkaError._FATAL:
            raise KafkaException(error)
        else:
            logger.warning("books cannot be read: %s", error.str())
    return found


def in_parts(entries: Sequence[BookEntry], most_bytes: int) -> Iterator[Sequence[BookEntry]]:
    """Neighbours with about so many bytes of values, a larger one alone: what is written together is in memory as a
    whole, and a planned record makes rows of ten times its size."""
    start, size = 0, 0
    for place, entry in enumerate(entries):
        bytes_of = len(entry.value or b"")
        if size + bytes_of > most_bytes and place > start:
            yield entries[start:place]
            start, size = place, 0
        size += bytes_of
    if start < len(entries):
        yield entries[start:] if start else entries


def at_home(entries: Sequence[BookEntry], partition: int, partitions: int) -> Sequence[BookEntry]:
    """Without the values of those whose users live in another partition. A stage writes them there again, and there
    they count: an erasure is applied there, too, and would not find what was told of its user here."""
    return [
        each
        if each.key is None or partition_of(each.key, partitions) == partition
        else msgspec.structs.replace(each, value=None)
        for each in entries
    ]


class ReadSize:
    """How many records are asked for at once, so that they are about so many bytes: a receipt has some 200, a planned
    record of a campaign 30,000."""

    def __init__(self, most_records: int, most_bytes: int) -> None:
        self._most_records = most_records
        self._most_bytes = most_bytes
        self.records = max(1, most_bytes >> 20)  # as if each had the most that Kafka takes

    def saw(self, records: int, size: int) -> None:
        """What came of the last question. It grows at most eightfold: the next ones may be larger."""
        if records:
            fitting = records * self._most_bytes // max(size, 1)
            self.records = max(1, min(self._most_records, fitting, self.records * 8))


def is_fenced(error: KafkaException) -> bool:
    """Whether another consumer has taken the static id of this one. librdkafka says so in its text alone."""
    return "fenced" in str(error).lower()


def _entry(topic: str, message: Message) -> BookEntry:
    offset, value, headers = cast(int, message.offset()), message.value(), headers_of(message)
    if topic not in TIMED:
        return BookEntry(offset, value, headers)
    key = message.key() if topic in OF_USERS else None
    return BookEntry(offset, value, headers, key, message.timestamp()[1])
