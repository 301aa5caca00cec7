"""The control topic on a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from flow.kafka_tools import create_topic, produce, until
from pushcast.kafka.control import ControlTail, ControlUnreadable
from pushcast.kafka.embedded import temporary_cluster
from pushcast.model.words import Lane, Platform
from pushcast.wire.control.control import BreakerRecord, Kind, Pause, Subject, encode
from pushcast.wire.control.control_state import ControlState

NEWS = Subject(Kind.PAUSE, "news", Platform.APNS)
CHAT = Subject(Kind.PAUSE, "chat", Platform.APNS, Lane.BULK)
BREAKER = Subject(Kind.BREAKER, "news", Platform.FCM)


class Failures:
    def __init__(self) -> None:
        self.all: list[BaseException] = []

    def __call__(self, _: str, error: BaseException) -> None:
        self.all.append(error)


def write(kafka: str, topic: str, *records: tuple[Subject, Pause | BreakerRecord | None]) -> None:
    values = [(0, subject.key(), None if entry is None else encode(entry)) for subject, entry in records]
    produce(kafka, topic, values)


async def test_a_process_knows_everything_before_it_starts_and_hears_of_every_change(
    kafka: str, unique: Callable[[str], str]
) -> None:
    topic = create_topic(kafka, unique("control"), 1, cleanup_policy="compact")
    produce(kafka, topic, [(0, b"weather", b"rain")])
    write(kafka, topic, (NEWS, Pause(1)), (CHAT, Pause(2)), (CHAT, None), (BREAKER, BreakerRecord("open", "x", 1, 2)))
    state, failures = ControlState(), Failures()
    heard: list[object] = []
    state.subscribe(heard.append)
    tail = ControlTail(kafka, None, state, fatal=failures, topic=topic)
    await tail.start(30)
    assert (list(state.pauses), heard, state.ignored) == ([NEWS], [], {"key_invalid": 1})
    assert state.held("news", Platform.FCM, Lane.URGENT)
    write(kafka, topic, (CHAT, Pause(3)), (NEWS, None))
    await until(lambda: len(heard) == 2, "both changes are heard")
    assert list(state.pauses) == [CHAT]
    await tail.close()
    assert failures.all == []


async def test_an_empty_topic_is_read_at_once(kafka: str, unique: Callable[[str], str]) -> None:
    state = ControlState()
    tail = ControlTail(kafka, None, state, fatal=Failures(), topic=create_topic(kafka, unique("control"), 1))
    await tail.start(30)
    assert state.live
    await tail.close()


async def test_a_topic_that_is_not_there_is_named_with_what_to_do(kafka: str, unique: Callable[[str], str]) -> None:
    name = unique("control")
    with pytest.raises(ControlUnreadable, match=f"{name} does not exist: run `pushcast topology apply`"):
        await ControlTail(kafka, None, ControlState(), fatal=Failures(), topic=name).start(30)


async def test_a_cluster_that_does_not_answer_is_named_after_a_bound() -> None:
    with pytest.raises(ControlUnreadable, match=r"push\.control\.v1 was not read within 1 s"):
        await ControlTail("127.0.0.1:1", None, ControlState(), fatal=Failures()).start(1)


@pytest.mark.slow
async def test_a_broker_that_dies_and_comes_back_is_followed_on() -> None:
    with temporary_cluster() as cluster:
        kafka = cluster.bootstrap_servers
        topic = create_topic(kafka, "control", 1)
        write(kafka, topic, (NEWS, Pause(1)))
        state, failures = ControlState(), Failures()
        tail = ControlTail(kafka, None, state, fatal=failures, topic=topic)
        await tail.start(30)
        cluster.kill_broker(0)
        assert state.paused("news", Platform.APNS, Lane.BULK)
        await asyncio.to_thread(cluster.start_broker, 0)
        write(kafka, topic, (CHAT, Pause(2)))
        await until(lambda: state.paused("chat", Platform.APNS, Lane.BULK), "the pause is heard")
        await tail.close()
        assert failures.all == []
