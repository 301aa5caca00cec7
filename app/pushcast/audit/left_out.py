"""Records of our topics that a tool cannot read, and leaves out of what it tells: one stranger's record is no reason to
tell nothing for the week that Kafka keeps it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import Message

from pushcast.handover.passing_over import place_of, problem_of
from pushcast.model.errors import InvalidInput
from pushcast.wire.json_errors import UNREADABLE

logger = logging.getLogger(__name__)

T = TypeVar("T")


class LeftOutRecords:
    """Of one tool's run. Says of the first of each topic, as a warning, where it is."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()  # by topic

    def decoded(self, message: Message, decode: Callable[[bytes], T]) -> T | None:
        """What its value says; None for one without a value, and for one that is left out."""
        value = message.value()
        if value is None:
            return None
        try:
            return decode(value)
        except (InvalidInput, ValueError, *UNREADABLE) as error:
            topic = str(message.topic())
            if not self.counts[topic]:
                told = place_of(message), problem_of(error)
                logger.warning("%s cannot be read and is left out, as others of its topic: %s", *told)
            self.counts[topic] += 1
            return None
