"""What a consumer of the books has read, sorted by book and partition."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import NamedTuple, cast

from confluent_kafka import KafkaError, KafkaException, Message

from pushcast.kafka.headers import headers_of
from pushcast.report.apply import OF_USERS, TIMED, BookEntry

logger = logging.getLogger(__name__)

BookPlace = tuple[str, int]  # book and partition


class Consumed(NamedTuple):
    """Records of each place in the order of their offsets, and where the end of a place was reached."""

    runs: dict[BookPlace, list[BookEntry]]
    ended: dict[BookPlace, int]


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


def is_fenced(error: KafkaException) -> bool:
    """Whether another consumer has taken the static id of this one. librdkafka says so in its text alone."""
    return "fenced" in str(error).lower()


def _entry(topic: str, message: Message) -> BookEntry:
    offset, value, headers = cast(int, message.offset()), message.value(), headers_of(message)
    if topic not in TIMED:
        return BookEntry(offset, value, headers)
    key = message.key() if topic in OF_USERS else None
    return BookEntry(offset, value, headers, key, message.timestamp()[1])
