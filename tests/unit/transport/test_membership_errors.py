"""Errors of a group that aiokafka keeps for whoever asks: its own coordinator, against a Kafka with a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError

from pushcast.transport import membership
from pushcast.transport.membership import Membership, never_ends

GROUP_AUTHORIZATION_FAILED, GROUP_MAX_SIZE_REACHED, FENCED_INSTANCE_ID, UNKNOWN_SERVER_ERROR = 30, 81, 82, -1
ASSIGNMENT = ConsumerProtocolMemberAssignment(0, [("events", [0])], b"").encode()


class Kafka:
    """Takes everybody, but where `errors` has a code for a request: its answers, one after the other."""

    def __init__(self, **errors: list[int]) -> None:
        self.errors = errors
        self.cluster = ClusterMetadata()
        self.asked: list[str] = []
        self.member_ids: list[str] = []

    async def coordinator_lookup(self, *_: object) -> int:
        self.asked.append("Find")
        if self.errors.get("Find") and self.errors["Find"].pop(0):
            raise GroupAuthorizationFailedError
        return 0

    async def ready(self, *_: object, **__: object) -> bool:
        return True

    def set_topics(self, *_: object) -> None:
        return

    async def force_metadata_update(self) -> None:
        return

    async def send(self, node: int, request: Any, **_: object) -> Any:
        name = type(request).__name__.removesuffix("Request")
        self.asked.append(name)
        code = errors.pop(0) if (errors := self.errors.get(name)) else 0
        if name == "JoinGroup":
            self.member_ids.append(request._member_id)
        return SimpleNamespace(
            error_code=code,
            member_id=f"member-{len(self.asked)}",
            leader_id="another",
            generation_id=len(self.asked),
            group_protocol=RoundRobinPartitionAssignor.name,
            member_assignment=ASSIGNMENT,
            topics=[],
        )


@asynccontextmanager
async def member(kafka: Kafka) -> AsyncIterator[Membership]:
    async def ask() -> None:
        return

    subscription = SubscriptionState()
    subscription.register_fetch_waiters(set())
    subscription.subscribe({"events"})
    coordinator = GroupCoordinator(
        kafka, subscription, group_id="group", heartbeat_interval_ms=1, retry_backoff_ms=1, enable_auto_commit=False
    )
    found = Membership(ask)
    found.follow(coordinator)
    yield found
    await coordinator.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "REFUSED_SECONDS", 0.005)


@pytest.mark.parametrize(
    ("request_name", "code"),
    [
        ("Heartbeat", GROUP_AUTHORIZATION_FAILED),
        ("Heartbeat", UNKNOWN_SERVER_ERROR),
        ("JoinGroup", GROUP_AUTHORIZATION_FAILED),
        ("JoinGroup", GROUP_MAX_SIZE_REACHED),
        ("JoinGroup", FENCED_INSTANCE_ID),
        ("SyncGroup", GROUP_AUTHORIZATION_FAILED),
        ("SyncGroup", UNKNOWN_SERVER_ERROR),
        ("Find", GROUP_AUTHORIZATION_FAILED),
    ],
)
async def test_a_member_joins_again_when_kafka_takes_it_again(request_name: str, code: int) -> None:
    kafka = Kafka(**{request_name: [code, code]})
    async with member(kafka) as found:
        told = set[str | None]()

        def beats_again() -> bool:
            told.add(found.refused)
            return not kafka.errors[request_name] and kafka.asked[-3:] == ["Heartbeat"] * 3

        await until(beats_again)
        assert found.refused is None
        assert any(why is not None and "joins again" in why for why in told)


async def test_it_joins_without_the_member_id_that_was_refused() -> None:
    kafka = Kafka(Heartbeat=[0, UNKNOWN_SERVER_ERROR])
    async with member(kafka):
        await until(lambda: len(kafka.member_ids) == 2)
    assert kafka.member_ids == ["", ""]


async def test_a_reason_is_logged_once_however_often_it_is_met(caplog: pytest.LogCaptureFixture) -> None:
    kafka = Kafka(JoinGroup=[GROUP_AUTHORIZATION_FAILED] * 20)
    async with member(kafka):
        await until(lambda: not kafka.errors["JoinGroup"])
    assert [each.name for each in caplog.records].count(membership.__name__) == 1
    assert "GROUP_AUTHORIZATION_FAILED" in caplog.text


async def test_a_consumer_that_is_refused_closes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "REFUSED_SECONDS", 60.0)
    kafka = Kafka(JoinGroup=[GROUP_AUTHORIZATION_FAILED] * 20)
    async with asyncio.timeout(5):
        async with member(kafka) as found:
            await until(lambda: found.refused is not None)


async def test_a_task_of_aiokafka_that_ends_by_an_error_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[tuple[str, BaseException]] = []
    monkeypatch.setattr(membership, "end_process", lambda what, error: ends.append((what, error)))

    async def ending(error: Exception | None) -> None:
        if error is not None:
            raise error

    async def end(error: Exception | None, closing: bool = False) -> None:
        task = asyncio.create_task(ending(error))
        never_ends("the fetching", task, lambda: closing)
        await asyncio.wait([task])
        await asyncio.sleep(0)
        task.exception()

    await end(None)
    await end(KafkaError("while it is closed"), closing=True)
    assert ends == []
    unexpected = KafkaError("unexpected")
    await end(unexpected)
    assert ends == [("the fetching of a consumer ended", unexpected)]
