from __future__ import annotations

from typing import Any, cast

import pytest
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from pushcast.kafka import offsets
from pushcast.kafka.offsets import ends, since, watermarks
from pushcast.model.errors import PushcastError
from twins.leaders import topic_with


class StaleConsumer:
    """Refuses with an error until it was told a second time to ask the brokers about the topic."""

    def __init__(self, code: int, *, mends: bool = True) -> None:
        self._code = code
        self._mends = mends
        self.asked: list[str] = []

    def get_watermark_offsets(self, partition: Any, timeout: float) -> tuple[int, int]:
        if not (len(self.asked) > 1 and self._mends):
            raise KafkaException(KafkaError(self._code))
        return 3, 7

    def offsets_for_times(self, partitions: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        return [
            TopicPartition(at.topic, at.partition, self.get_watermark_offsets(at, timeout)[1] + at.partition)
            for at in partitions
        ]

    def list_topics(self, topic: str, timeout: float) -> Any:
        self.asked.append(topic)
        return topic_with(topic)


def marks_of(consumer: StaleConsumer) -> tuple[int, int]:
    return watermarks(cast(Consumer, consumer), "events", 0)


def ends_of(consumer: StaleConsumer) -> dict[int, int]:
    return ends(cast(Consumer, consumer), "events", [0, 3], 1.0)


@pytest.mark.parametrize("code", [KafkaError._UNKNOWN_PARTITION, KafkaError.NOT_LEADER_FOR_PARTITION])
def test_ends_of_many_partitions_are_asked_for_again_as_well(code: int) -> None:
    consumer = StaleConsumer(code)
    assert ends_of(consumer) == {0: 7, 3: 10}
    assert consumer.asked == ["events"] * 2
    with pytest.raises(PushcastError, match="events"):
        ends_of(StaleConsumer(code, mends=False))


@pytest.mark.parametrize("code", [KafkaError._UNKNOWN_PARTITION, KafkaError.NOT_LEADER_FOR_PARTITION])
def test_a_client_that_remembers_no_leader_is_made_to_ask_again(code: int) -> None:
    consumer = StaleConsumer(code)
    assert marks_of(consumer) == (3, 7)
    assert consumer.asked == ["events"] * 2


def test_what_stays_unknown_is_said_with_its_partition() -> None:
    with pytest.raises(PushcastError, match=r"events\[0\]"):
        marks_of(StaleConsumer(KafkaError._UNKNOWN_PARTITION, mends=False))


def test_a_refusal_that_no_metadata_mends_is_not_asked_about_again() -> None:
    consumer = StaleConsumer(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(PushcastError):
        marks_of(consumer)
    assert consumer.asked == ["events"]


class LeaderlessConsumer(StaleConsumer):
    """Its topic has these leaders, one answer after the other; it must not be asked while one is missing."""

    def __init__(self, *answers: Any) -> None:
        super().__init__(KafkaError._FAIL)
        self._answers = list(answers)

    def list_topics(self, topic: str, timeout: float) -> Any:
        self.asked.append(topic)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def get_watermark_offsets(self, partition: Any, timeout: float) -> tuple[int, int]:
        assert all(at.leader == 1 for at in self._answers[0].topics["events"].partitions.values())
        return 3, 7


def test_a_leader_is_waited_for_before_the_client_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """While there is none, librdkafka waits for it in a way that may abort the process."""
    monkeypatch.setattr(offsets, "LEADERLESS_PAUSE_SECONDS", 0.0)
    consumer = LeaderlessConsumer(topic_with("events", [-1]), topic_with("events", [2]), topic_with("events", [1]))
    assert marks_of(consumer) == (3, 7)
    assert consumer.asked == ["events"] * 3


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (topic_with("events", [-1, 1, 1, 1]), r"events\[0\] has no leader"),
        (topic_with("events", [1, 1, 1]), "events has no partition 3"),
        (topic_with("events", (), KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, "gone")), "gone"),
    ],
)
def test_without_a_leader_partition_or_topic_the_client_is_not_asked(answer: Any, said: str) -> None:
    consumer = LeaderlessConsumer(answer)
    with pytest.raises(PushcastError, match=said):
        ends(cast(Consumer, consumer), "events", [0, 3], 0.0)


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

    def list_topics(self, topic: str, timeout: float) -> Any:
        return topic_with(topic)

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
