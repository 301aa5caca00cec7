"""A client that gets no answer of a group's coordinator any more: another one is asked, and what is silent is named."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from pushcast.kafka import positions as kafka_positions
from pushcast.kafka.positions import FIRST_ANSWER_SECONDS, MOST_GIVEN_UP, Members, Positions

SILENT = KafkaError._TIMED_OUT


class Coordinators:
    """As an admin client asks them. `code`: what it gets instead of an answer, the first `times` times."""

    def __init__(self, code: int | None = None, times: int = 1_000) -> None:
        self._code = code
        self._times = times
        self.timeouts: list[float] = []
        self.offsets_asked = 0

    def recover(self) -> None:
        self._code = None

    def fall_silent(self) -> None:
        self._code = SILENT

    def _answer(self, answer: object, request_timeout: float) -> Future[Any]:
        self.timeouts.append(request_timeout)
        self._times -= 1
        future: Future[Any] = Future()
        if self._code is None or self._times < 0:
            future.set_result(answer)
        else:
            future.set_exception(KafkaException(KafkaError(self._code)))
        return future

    def list_consumer_group_offsets(self, asked: Any, request_timeout: float) -> dict[str, Future[Any]]:
        self.offsets_asked += 1
        found = [TopicPartition(at.topic, at.partition, 7) for at in asked[0].topic_partitions]
        return {asked[0].group_id: self._answer(SimpleNamespace(topic_partitions=found), request_timeout)}

    def describe_consumer_groups(self, groups: list[str], request_timeout: float) -> dict[str, Future[Any]]:
        answer = SimpleNamespace(state=SimpleNamespace(name="STABLE"), members=[1])
        return {group: self._answer(answer, request_timeout) for group in groups}


def no_logs() -> Any:
    """Nobody asks about logs here."""
    raise AssertionError


def positions(first: Coordinators, *later: Coordinators) -> tuple[Positions, list[Coordinators]]:
    """And those that were not opened yet."""
    left = list(later)
    admin: Any = first
    opening: Any = lambda: left.pop(0)  # noqa: E731
    return Positions(admin, no_logs, no_logs, anew=opening), left


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_positions, "LOADING_PAUSE_SECONDS", 0.0)


@pytest.mark.parametrize("code", [KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS])
def test_offsets_are_asked_for_once_the_coordinator_is_there(code: int) -> None:
    """The client ends the process when it is answered NOT_COORDINATOR to its question about offsets."""
    first: Any = Coordinators(code, times=3)
    assert Positions(first, no_logs, no_logs).committed("g", [("t", 0)]) == {("t", 0): 7}
    assert (first.offsets_asked, len(first.timeouts)) == (1, 5)


@pytest.mark.parametrize("code", [SILENT, KafkaError._TRANSPORT])
def test_a_silent_client_is_given_up_for_a_new_one(code: int) -> None:
    found, left = positions(Coordinators(code), Coordinators())
    assert found.committed("g", [("t", 0)]) == {("t", 0): 7}
    assert left == []


def test_the_new_one_is_asked_from_then_on() -> None:
    new = Coordinators()
    found, _ = positions(Coordinators(SILENT), new)
    for _ in range(3):
        found.committed("g", [("t", 0)])
    assert found.members(["g", "h"]) == dict.fromkeys(("g", "h"), Members("stable", 1))
    assert new.timeouts[0] > FIRST_ANSWER_SECONDS, "its broker may be loading groups"


def test_a_long_outage_costs_one_client_and_the_next_one_another() -> None:
    silent = Coordinators(SILENT)
    found, left = positions(Coordinators(SILENT), silent, Coordinators())
    for _ in range(4):
        with pytest.raises(KafkaException):
            found.committed("g", [("t", 0)])
    assert len(left) == 1
    silent.recover()
    found.committed("g", [("t", 0)])
    silent.fall_silent()
    assert found.committed("g", [("t", 0)]) == {("t", 0): 7}
    assert left == []


def test_so_many_outages_and_no_more_cost_a_client_each() -> None:
    found, left = positions(*(Coordinators(SILENT) for _ in range(MOST_GIVEN_UP + 3)))
    for _ in range(MOST_GIVEN_UP + 2):
        with pytest.raises(KafkaException):
            found.committed("g", [("t", 0)])
        found._has_answered = True  # as if it had, before the next outage
    assert len(left) == 2


def test_a_client_whose_broker_is_loading_is_kept() -> None:
    found, left = positions(Coordinators(KafkaError.NOT_COORDINATOR, times=1), Coordinators())
    assert found.members(["g"]) == {"g": Members("stable", 1)}
    assert len(left) == 1


def test_a_client_that_answers_is_kept() -> None:
    first, second = Coordinators(), Coordinators()
    found, left = positions(first, second)
    found.committed("g", [("t", 0)])
    found.members(["g"])
    assert left == [second]


@pytest.mark.parametrize("later", [(), (Coordinators(SILENT),)], ids=["a_tool", "a_role"])
def test_a_coordinator_that_is_silent_to_all_is_named_with_its_group(later: tuple[Coordinators, ...]) -> None:
    first: Any = Coordinators(SILENT)
    found = positions(first, *later)[0] if later else Positions(first, no_logs, no_logs)
    with pytest.raises(KafkaException) as refused:
        found.committed("pushcast-plan-bulk", [("t", 0)])
    error = refused.value.args[0]
    assert error.code() == SILENT
    assert "coordinator of group pushcast-plan-bulk does not answer within 15 s" in error.str()
    with pytest.raises(KafkaException, match="group a and 1 more"):
        Positions(first, no_logs, no_logs).members(["b", "a"])


def test_another_refusal_is_raised_as_it_is_and_a_group_that_is_not_there_has_nothing() -> None:
    found, left = positions(Coordinators(KafkaError.GROUP_AUTHORIZATION_FAILED), Coordinators())
    with pytest.raises(KafkaException):
        found.committed("g", [("t", 0)])
    assert len(left) == 1
    unknown, _ = positions(Coordinators(KafkaError.GROUP_ID_NOT_FOUND))
    assert unknown.committed("g", [("t", 0)]) == {}
    assert unknown.members(["g"]) == {"g": Members("dead", 0)}
