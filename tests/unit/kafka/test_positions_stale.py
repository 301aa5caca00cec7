"""A client that knows leaders of before: asked again once it has heard of the present ones."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from pushcast.kafka import log_offsets
from pushcast.kafka.log_offsets import LogOffsets
from twins.leaders import topic_with

ENDS = {("t", 0): -1}


class Consumer:
    """Refuses with this error until it has heard of leaders so many times: twice for each answer of it."""

    def __init__(self, code: int, answers: int) -> None:
        self._code = code
        self._left = answers * 2

    def list_topics(self, topic: str, timeout: float) -> Any:
        self._left -= 1
        return topic_with(topic)

    def offsets_for_times(self, wanted: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        if self._left > 0:
            raise KafkaException(KafkaError(self._code))
        return [TopicPartition(at.topic, at.partition, 7) for at in wanted]


def logs(code: int, answers: int) -> LogOffsets:
    consumer: Any = Consumer(code, answers)
    return LogOffsets(lambda: consumer)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_offsets, "STALE_PAUSES_SECONDS", (0.0, 0.0, 0.0))


@pytest.mark.parametrize("code", [KafkaError.FENCED_LEADER_EPOCH, KafkaError.NOT_LEADER_FOR_PARTITION])
@pytest.mark.parametrize("answers", [1, 4])
def test_stale_leaders_are_asked_for_again(code: int, answers: int) -> None:
    assert logs(code, answers).offsets(ENDS) == {("t", 0): 7}


@pytest.mark.parametrize(("code", "answers"), [(KafkaError.FENCED_LEADER_EPOCH, 5), (KafkaError._TIMED_OUT, 1)])
def test_what_stays_refused_is_raised(code: int, answers: int) -> None:
    with pytest.raises(KafkaException):
        logs(code, answers).offsets(ENDS)
