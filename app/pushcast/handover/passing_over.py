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
    place = f"{message.topic()}[{message.partition()}]@{message.offset()}"
    if isinstance(error, InvalidInput):
        waited_for(error, place)
    if not counters[UNREADABLE]:
        problem = str(error) if isinstance(error, InvalidInput) else type(error).__name__
        logger.warning("%s cannot be read and is passed over, as others that come: %s", place, problem)
    counters[UNREADABLE] += 1
