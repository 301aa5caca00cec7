"""Offsets of logs, asked for many partitions at once: where they begin and end, and where a time is."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaException

from pushcast.kafka.offsets import STALE, TIMEOUT_SECONDS, Spot, listed

logger = logging.getLogger(__name__)

#: A client keeps leaders and their epochs, also of a topic that was made anew and of a broker that came back.
STALE_PAUSES_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 4.0)


class LogOffsets:
    """Questions to one cluster. They block, and raise KafkaException without an answer.

    They are a consumer's. An admin client would answer them, too, but librdkafka 2.16 was seen to abort in one
    (`group_questions`).
    """

    def __init__(self, opened: Callable[[], Consumer]) -> None:
        """`opened` opens the consumer, whose isolation says where logs end."""
        self._opened = opened
        self._consumer: Consumer | None = None

    def offsets(self, times_ms: Mapping[Spot, int]) -> dict[Spot, int]:
        """OFFSET_BEGINNING and OFFSET_END stand for times. Partitions that do not exist are left out."""
        if not times_ms:
            return {}
        for pause_seconds in STALE_PAUSES_SECONDS:
            try:
                return self._ask(times_ms)
            except KafkaException as error:
                if error.args[0].code() not in STALE:
                    raise
                logger.info("asked again with fresh leaders: %s", error.args[0].str())
            time.sleep(pause_seconds)
        return self._ask(times_ms)

    def _ask(self, times_ms: Mapping[Spot, int]) -> dict[Spot, int]:
        consumer = self._consumer = self._consumer or self._opened()
        return listed(consumer, times_ms, TIMEOUT_SECONDS, leave_out_absent=True)
