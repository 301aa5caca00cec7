"""What stages read of internal topics, and cannot: whoever wrote it was no stage of ours."""

from __future__ import annotations

import logging
from collections import Counter

from confluent_kafka import Message

from pushcast.model.errors import InvalidInput
from pushcast.wire.newer import waited_for

logger = logging.getLogger(__name__)

UNREADABLE = "unreadable"


def pass_over(message: Message, error: Exception, counters: Counter[str]) -> None:
    """Counts a record that nobody can read, and logs the first one: it must not keep a stage from its work.

    Raises NewerSchema for one that a later release can read.
    """
    if isinstance(error, InvalidInput):
        waited_for(error, place_of(message))
    if not counters[UNREADABLE]:
        told = place_of(message), problem_of(error)
        logger.warning("%s cannot be read and is passed over, as others that come: %s", *told)
    counters[UNREADABLE] += 1


def place_of(message: Message) -> str:
    """As logs name a record."""
    return f"{message.topic()}[{message.partition()}]@{message.offset()}"


def problem_of(error: Exception) -> str:
    """Why it cannot be read. Of an error that is not ours the kind alone: its text may quote the record."""
    return str(error) if isinstance(error, InvalidInput) else type(error).__name__
