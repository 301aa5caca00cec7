from __future__ import annotations

from typing import Any, cast

import pytest
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from pushcast.kafka.offsets import ends, since, watermarks
from pushcast.model.errors import PushcastError


class StaleConsumer:
    """Refuses with an error until it is told to ask the brokers about the topic."""

    def __init__(self, code: int, *, mends: bool = True) -> None:
        self._code = code
        self._mends = mends
        self.asked: list[str] = []

    def get_watermark_offsets(self, partition: Any, timeout: float) -> tuple[int, int]:
        if not (self.asked and self._mends):
            raise KafkaException(KafkaError(self._code))
        return 3, 7

    def offsets_for_times(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        return [
            TopicPartition(at.topic, at.partition, self.get_watermark_offsets(at, timeout)[1] + at.partition)
            for at in partitions
        ]

    def list_topics(self, topic: str, timeout: float) -> None:
        self.asked.append(topic)


def marks_of(consumer: StaleConsumer) -> tuple[int, int]:
    return watermarks(cast(Consumer, consumer), "events", 0)


def ends_of(consumer: StaleConsumer) -> dict[int, int]:
    return ends(cast(Consumer, consumer), "events", [0, 3], 1.0)


@pytest.mark.parametrize("code", [KafkaError._UNKNOWN_PARTITION, KafkaError.NOT_LEADER_FOR_PARTITION])
def test_ends_of_many_partitions_are_asked_for_again_as_well(code: int) -> None:
    consumer = StaleConsumer(code)
    assert ends_of(consumer) == {0: 7, 3: 10}
    assert consumer.asked == ["events"]
    with pytest.raises(PushcastError, match="events"):
        ends_of(StaleConsumer(code, mends=False))


@pytest.mark.parametrize("code", [KafkaError._UNKNOWN_PARTITION, KafkaError.NOT_LEADER_FOR_PARTITION])
def test_a_client_that_remembers_no_leader_is_made_to_ask_again(code: int) -> None:
    consumer = StaleConsumer(code)
    assert marks_of(consumer) == (3, 7)
    assert consumer.asked == ["events"]


def test_what_stays_unknown_is_said_with_its_partition() -> None:
    with pytest.raises(PushcastError, match=r"events\[0\]"):
        marks_of(StaleConsumer(KafkaError._UNKNOWN_PARTITION, mends=False))


def test_a_refusal_that_no_metadata_mends_is_not_asked_about_again() -> None:
    consumer = StaleConsumer(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(PushcastError):
        marks_of(consumer)
    assert not consumer.asked


class GrowingLog:
    """One record is written at time 50 after each answer."""

    def __init__(self) -> None:
        self.times = [10, 20]
        self.requests = 0

    def offsets_for_times(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        found = [TopicPartition(at.topic, at.partition, self._offset(at.offset)) for at in partitions]
        self.times.append(50)
        self.requests += 1
        return found

    def _offset(self, at: int) -> int:
        if at == OFFSET_END:
            return len(self.times)
        return next((offset for offset, written in enumerate(self.times) if written >= at), OFFSET_END)


@pytest.mark.parametrize(("at_ms", "first"), [(15, 1), (20, 1), (0, 0), (50, 2), (51, 2)])
def test_what_is_written_while_it_is_asked_where_to_begin_is_read(at_ms: int, first: int) -> None:
    """`send --wait` passed the planned record by that came between the question and its first fetch."""
    assert since(cast(Consumer, GrowingLog()), {("events", 4): at_ms}) == {("events", 4): first}


def test_nothing_is_asked_about_no_partition() -> None:
    assert since(cast(Consumer, StaleConsumer(KafkaError._UNKNOWN_PARTITION, mends=False)), {}) == {}


def test_ends_of_all_partitions_of_a_topic_are_one_request() -> None:
    """One after another they made `audit` and `dlq list` take 11 to 13 s for 41,000 deliveries."""
    log = GrowingLog()
    assert ends(cast(Consumer, log), "events", range(64), 1.0) == dict.fromkeys(range(64), 2)
    assert log.requests == 1
