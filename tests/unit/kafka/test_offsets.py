from __future__ import annotations

from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from pushcast.kafka.offsets import ends, watermarks
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
