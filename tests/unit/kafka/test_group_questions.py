"""Consumer groups, asked about through aiokafka: what is answered, what is asked again, and what is refused."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import AuthenticationFailedError, KafkaConnectionError
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.commit import OffsetFetchRequest
from confluent_kafka import KafkaError, KafkaException

from pushcast.kafka import group_questions
from pushcast.kafka.group_questions import Commit, GroupQuestions, Members

SPOT = ("t", 0)


class TwinBrokers:
    """Two brokers; the second leads every group. `refusals`: what they answer first, an error of theirs or a code."""

    def __init__(self, *refusals: int | Exception) -> None:
        self.refusals = list(refusals)
        self.connected = 0
        self.closed = 0
        self.asked: list[tuple[Any, str]] = []
        self.groups: dict[str, Any] = {}

    async def connect(self) -> TwinBrokers:
        self.connected += 1
        return self

    async def close(self) -> None:
        self.closed += 1

    def get_random_node(self) -> int:
        return 1

    async def send(self, node_id: int, request: Any) -> Any:
        self.asked.append((node_id, type(request).__name__))
        code = self.refusals.pop(0) if self.refusals else 0
        if isinstance(code, Exception):
            raise code
        if isinstance(request, OffsetFetchRequest):
            answered = [(0, 7, "told", 0), (1, -1, "", 0), (2, 9, None, 0), (3, 4, "", 3)]
            return SimpleNamespace(error_code=code, topics=[("t", answered)])
        if isinstance(request, DescribeGroupsRequest):
            return SimpleNamespace(groups=[self._described(name, code) for name in request._groups])
        return SimpleNamespace(error_code=code, coordinator_id=2)

    def _described(self, name: str, code: int) -> tuple[Any, ...]:
        known = self.groups.get(name, "Stable")
        return known if isinstance(known, tuple) else (code, name, known, "consumer", "range", [object()])


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_questions, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(group_questions, "IDLE_SECONDS", 0.01)


def test_what_a_group_committed_is_told_and_what_it_did_not_is_left_out() -> None:
    brokers = TwinBrokers()
    found = GroupQuestions(brokers.connect).commits({"g": [("t", number) for number in range(4)], "h": []})
    assert found == {"g": {("t", 0): Commit(7, "told"), ("t", 2): Commit(9, "")}, "h": {}}
    assert brokers.asked == [(1, "FindCoordinatorRequest"), (2, "OffsetFetchRequest")]


def test_members_are_told_of_each_group_that_is_asked_for() -> None:
    brokers = TwinBrokers()
    brokers.groups = {
        "moving": "PreparingRebalance",
        "gone": (KafkaError.GROUP_ID_NOT_FOUND, "gone", "", "", "", [], 0),
        "over": (0, "over", "Dead", "", "", []),
    }
    found = GroupQuestions(brokers.connect).members(["g", "moving", "gone", "over"])
    assert found == {
        "g": Members("stable", 1),
        "moving": Members("preparing_rebalancing", 1),
        "gone": Members("dead", 0),
        "over": Members("dead", 0),
    }


@pytest.mark.parametrize(
    "refusal",
    [
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaConnectionError("closed"),
        ConnectionResetError("reset"),
    ],
    ids=str,
)
@pytest.mark.parametrize("answered_before", [0, 1], ids=["of_the_coordinator", "of_the_question"])
def test_a_broker_that_is_away_or_loading_is_asked_again_over_a_new_connection(
    refusal: int | Exception, answered_before: int
) -> None:
    brokers = TwinBrokers(*[0] * answered_before, refusal, refusal)
    asked = GroupQuestions(brokers.connect)
    assert asked.commits({"g": [SPOT]})["g"][SPOT] == Commit(7, "told")
    assert brokers.connected >= 2
    assert brokers.asked[-2:] == [(1, "FindCoordinatorRequest"), (2, "OffsetFetchRequest")]


def test_a_coordinator_that_is_silent_is_named_with_its_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_questions, "TIMEOUT_SECONDS", 0.05)
    brokers = TwinBrokers()

    async def silent(*_: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(brokers, "send", silent)
    with pytest.raises(KafkaException) as refused:
        GroupQuestions(brokers.connect).commits({"pushcast-plan-bulk": [SPOT]})
    error = refused.value.args[0]
    assert error.code() == KafkaError._TIMED_OUT
    assert "coordinator of group pushcast-plan-bulk does not answer" in error.str()
    brokers = TwinBrokers(*[KafkaError.NOT_COORDINATOR] * 1_000_000)
    with pytest.raises(KafkaException, match="group a and 1 more") as refused:
        GroupQuestions(brokers.connect).members(["b", "a"])
    assert refused.value.args[0].code() == KafkaError.NOT_COORDINATOR


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (KafkaError.GROUP_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED),
        (AuthenticationFailedError("no"), KafkaError._AUTHENTICATION),
    ],
)
def test_another_refusal_is_raised_at_once(refusal: int | Exception, code: int) -> None:
    brokers = TwinBrokers(0, refusal)
    with pytest.raises(KafkaException, match="group g") as refused:
        GroupQuestions(brokers.connect).commits({"g": [SPOT]})
    assert refused.value.args[0].code() == code
    assert len(brokers.asked) == 2


def test_a_group_that_is_not_there_has_committed_nothing() -> None:
    brokers = TwinBrokers(0, KafkaError.GROUP_ID_NOT_FOUND)
    assert GroupQuestions(brokers.connect).commits({"g": [SPOT]}) == {"g": {}}


async def test_one_connection_serves_questions_that_follow_each_other_from_any_thread() -> None:
    brokers = TwinBrokers()
    asked = GroupQuestions(brokers.connect)
    await asyncio.gather(*(asyncio.to_thread(asked.members, ["g"]) for _ in range(5)))
    assert asked.members(["g"]) == {"g": Members("stable", 1)}  # on a thread whose loop runs
    assert brokers.connected <= 2
    assert [name for _, name in brokers.asked].count("FindCoordinatorRequest") == brokers.connected


def test_a_connection_is_closed_when_nothing_is_asked_and_its_thread_ends() -> None:
    before = set(threading.enumerate())
    brokers = TwinBrokers()
    asked = GroupQuestions(brokers.connect)
    asked.members(["g"])
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    assert brokers.closed == 1
    asked.members(["g"])
    assert brokers.connected == 2


def test_an_unexpected_error_reaches_who_asked_and_the_next_is_answered() -> None:
    brokers = TwinBrokers(ValueError("odd"))
    asked = GroupQuestions(brokers.connect)
    with pytest.raises(ValueError, match="odd"):
        asked.members(["g"])
    assert asked.members(["g"]) == {"g": Members("stable", 1)}
