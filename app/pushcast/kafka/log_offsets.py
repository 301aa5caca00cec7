"""Offsets of logs, asked for many partitions at once: where they begin and end, and where a time is."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka import admin as kafka_admin
from confluent_kafka.admin import AdminClient

from pushcast.kafka.offsets import STALE, TIMEOUT_SECONDS, Spot, listed

logger = logging.getLogger(__name__)

#: Topics that the cluster does not have (yet) hold nothing.
_ABSENT = frozenset(
    {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC, KafkaError._NOENT}
)
_SPEC: Any = kafka_admin.OffsetSpec
#: An admin client keeps leaders and their epochs, also of a topic that was made anew and of a broker that came back.
STALE_PAUSES_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 4.0)


class LogOffsets:
    """Questions to one cluster. They block, and raise KafkaException without an answer."""

    def __init__(
        self,
        admin: Callable[[], AdminClient],
        look_out: Callable[[], None],
        reader: Callable[[], Consumer] | None = None,
    ) -> None:
        """`admin`: the client of now. `look_out`: raises KafkaException where it is not to be asked. `reader` opens a
        consumer, of which committed ends are asked instead: a broker that is behind its leaders' epochs makes an admin
        client abort the process (librdkafka 2.16, `rd_kafka_enq_once_del_source_return`, seen in planners while two of
        three brokers came back)."""
        self._admin = admin
        self._look_out = look_out
        self._reader = reader
        self._consumer: Consumer | None = None

    def offsets(
        self,
        times_ms: Mapping[Spot, int],
        isolation: IsolationLevel = IsolationLevel.READ_COMMITTED,  # what our readers see, too
    ) -> dict[Spot, int]:
        """OFFSET_BEGINNING and OFFSET_END stand for times."""
        if not times_ms:
            return {}
        if self._reader is not None and isolation is IsolationLevel.READ_COMMITTED:
            return self._read(times_ms, self._reader)
        wanted = {TopicPartition(*spot): _spec(time_ms) for spot, time_ms in times_ms.items()}
        for pause_seconds in STALE_PAUSES_SECONDS:
            try:
                return self._ask(wanted, isolation)
            except KafkaException as error:
                if error.args[0].code() not in STALE:
                    raise
                logger.info("asked again with fresh leaders: %s", error.args[0].str())
            time.sleep(pause_seconds)
            self._admin().list_topics(timeout=TIMEOUT_SECONDS)
        return self._ask(wanted, isolation)

    def _read(self, times_ms: Mapping[Spot, int], reader: Callable[[], Consumer]) -> dict[Spot, int]:
        self._look_out()
        consumer = self._consumer = self._consumer or reader()
        by_topic: dict[str, dict[int, int]] = {}
        for (topic, partition), time_ms in times_ms.items():
            by_topic.setdefault(topic, {})[partition] = time_ms
        found: dict[Spot, int] = {}
        for topic, wanted in by_topic.items():
            try:
                offsets = listed(consumer, topic, wanted, TIMEOUT_SECONDS)
            except KafkaException as error:
                if error.args[0].code() not in _ABSENT:
                    raise
                continue
            found |= {(topic, partition): offset for partition, offset in offsets.items()}
        return found

    def _ask(self, wanted: dict[TopicPartition, Any], isolation: IsolationLevel) -> dict[Spot, int]:
        self._look_out()
        found: dict[Spot, int] = {}
        asked = self._admin().list_offsets(wanted, isolation_level=isolation, request_timeout=TIMEOUT_SECONDS)
        for at, future in asked.items():
            try:
                found[at.topic, at.partition] = int(future.result().offset)
            except KafkaException as error:
                if error.args[0].code() not in _ABSENT:
                    raise
        return found


def _spec(time_ms: int) -> Any:
    named = {OFFSET_BEGINNING: _SPEC.earliest, OFFSET_END: _SPEC.latest}
    return named[time_ms]() if time_ms in named else _SPEC.for_timestamp(time_ms)
