"""What a consumer of the books has read, sorted by book and partition."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message

from pushcast.kafka.headers import headers_of
from pushcast.report.apply import OF_USERS, TIMED, BookEntry

logger = logging.getLogger(__name__)

BookPlace = tuple[str, int]  # book and partition


class Consumed(NamedTuple):
    """Records of each place in the order of their offsets, and the places whose end was reached."""

    runs: dict[BookPlace, list[BookEntry]]
    ended: list[BookPlace]


def sorted_out(messages: Iterable[Message]) -> Consumed:
    """Raises KafkaException for an error after which nothing more is read; others are logged."""
    found = Consumed({}, [])
    topic: str | None = None  # of the message before, as the others
    partition: int | None = None
    entry_of = _entry
    run: list[BookEntry] = []
    for message in messages:
        error = message.error()
        if error is None:
            if message.partition() != partition or message.topic() != topic:  # neighbours mostly have one place
                topic, partition = message.topic() or "", message.partition() or 0
                entry_of = _timed_entry if topic in TIMED else _entry
                run = found.runs.setdefault((topic, partition), [])
            run.append(entry_of(message))
        elif error.code() == KafkaError._PARTITION_EOF:
            found.ended.append((message.topic() or "", message.partition() or 0))
        elif error.fatal() or error.code() == KafkaError._FATAL:
            raise KafkaException(error)
        else:
            logger.warning("books cannot be read: %s", error.str())
    return found


def is_fenced(error: KafkaException) -> bool:
    """Whether another consumer has taken the static id of this one. librdkafka says so in its text alone."""
    return "fenced" in str(error).lower()


def _entry(message: Message) -> BookEntry:
    return BookEntry(message.offset() or 0, message.value(), headers_of(message))


def _timed_entry(message: Message) -> BookEntry:
    key = message.key() if message.topic() in OF_USERS else None
    return BookEntry(message.offset() or 0, message.value(), headers_of(message), key, message.timestamp()[1])
