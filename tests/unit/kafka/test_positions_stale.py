"""An admin client that knows leaders of before: asked again once it has heard of the present ones."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from pushcast.kafka import log_offsets
from pushcast.kafka.positions import Positions


class Admin:
    """Refuses with this error until it was refreshed so many times."""

    def __init__(self, code: int, refreshes: int) -> None:
        self._code = code
        self._left = refreshes

    def list_topics(self, timeout: float) -> None:
        self._left -= 1

    def list_offsets(self, wanted: dict[TopicPartition, Any], **_: Any) -> dict[TopicPartition, Future[Any]]:
        found: dict[TopicPartition, Future[Any]] = {}
        for at in wanted:
            found[at] = Future()
            if self._left > 0:
                found[at].set_exception(KafkaException(KafkaError(self._code)))
            else:
                found[at].set_result(TopicPartition(at.topic, at.partition, 7))
        return found


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_offsets, "STALE_PAUSES_SECONDS", (0.0, 0.0, 0.0))


@pytest.mark.parametrize("code", [KafkaError.FENCED_LEADER_EPOCH, KafkaError.NOT_LEADER_FOR_PARTITION])
@pytest.mark.parametrize("refreshes", [1, 3])
def test_stale_leaders_are_asked_for_again(code: int, refreshes: int) -> None:
    admin: Any = Admin(code, refreshes)
    assert Positions(admin).ends([("t", 0)]) == {("t", 0): 7}


@pytest.mark.parametrize(("code", "refreshes"), [(KafkaError.FENCED_LEADER_EPOCH, 4), (KafkaError._TIMED_OUT, 1)])
def test_what_stays_refused_is_raised(code: int, refreshes: int) -> None:
    admin: Any = Admin(code, refreshes)
    with pytest.raises(KafkaException):
        Positions(admin).ends([("t", 0)])
