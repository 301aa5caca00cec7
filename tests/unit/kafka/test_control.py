"""Following the control topic with a client whose answers are scripted; `tests/flow/test_control.py` has a real one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException

from pushcast.kafka import control
from pushcast.kafka.control import ControlTail
from pushcast.model.words import Platform
from pushcast.wire.control.control import Kind, Pause, Subject, encode
from pushcast.wire.control.control_state import ControlState
from twins.leaders import topic_with

TOPIC = "control"
NEWS = Subject(Kind.PAUSE, "news", Platform.APNS)


class Broker:
    """What is written, and what clients are told of it. `deaf`: clients made until now hear nothing any more."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes]] = []
        self.away = False
        self.clients: list[Client] = []
        self.deaf = 0
        self.tells_ends = True  # as a broker does half a second after the last record

    def client(self, _: dict[str, Any]) -> Client:
        self.clients.append(Client(self, len(self.clients)))
        return self.clients[-1]

    def end(self) -> int:
        if self.away:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return len(self.records)


class Message:
    def __init__(self, offset: int, pair: tuple[bytes, bytes] | None) -> None:
        self._offset, self._pair = offset, pair

    def error(self) -> KafkaError | None:
        return None if self._pair else KafkaError(KafkaError._PARTITION_EOF)

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return self._pair[0] if self._pair else None

    def value(self) -> bytes | None:
        return self._pair[1] if self._pair else None


class Client:
    def __init__(self, broker: Broker, number: int) -> None:
        self._broker = broker
        self._number = number
        self._told_end = False
        self._pause = threading.Event()
        self.polls = 0
        self.assigned = -1
        self._position = 0

    def list_topics(self, topic: str, timeout: float) -> Any:
        return topic_with(topic)

    def assign(self, partitions: list[Any]) -> None:
        self.assigned = partitions[0].offset
        self._position = max(0, self.assigned)

    def poll(self, timeout: float) -> Message | None:
        self._pause.wait(0.001)
        self.polls += 1
        if self._broker.away or self._number < self._broker.deaf:
            return None
        if self._position < len(self._broker.records):
            self._position, self._told_end = self._position + 1, False
            return Message(self._position - 1, self._broker.records[self._position - 1])
        if not self._told_end and self._broker.tells_ends:
            self._told_end = True
            return Message(self._position, None)
        return None

    def consume(self, count: int, timeout: float) -> list[Message]:
        return []

    def get_watermark_offsets(self, at: Any, timeout: float) -> tuple[int, int]:
        return 0, self._broker.end()

    def close(self) -> None:
        pass


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    made = Broker()
    monkeypatch.setattr(control, "open_consumer", lambda client, group: made.client(client))
    monkeypatch.setattr(control, "PULSE_SECONDS", 0.0)
    return made


def following(state: ControlState) -> ControlTail:
    def failed(where: str, error: BaseException) -> None:
        raise AssertionError(where) from error

    return ControlTail("nowhere", None, state, fatal=failed, topic=TOPIC)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.002)


async def some_rounds(client: Client) -> None:
    """What it was asked before is answered, and something after it too."""
    wanted = client.polls + 4
    await until(lambda: client.polls >= wanted)


async def moves(state: ControlState) -> None:
    before = state.current_at
    await until(lambda: state.current_at > before)


async def test_the_state_is_current_as_long_as_the_end_of_the_topic_is_known_and_reached(broker: Broker) -> None:
    state = ControlState()
    tail = following(state)
    await tail.start(20)
    await moves(state)
    broker.away = True
    await some_rounds(broker.clients[0])
    stood_at = state.current_at
    await some_rounds(broker.clients[0])
    assert state.current_at == stood_at
    broker.away = False
    await moves(state)
    await tail.close()
    assert len(broker.clients) == 1


async def test_a_client_that_hears_nothing_of_what_is_there_is_not_current_and_is_replaced(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = ControlState()
    tail = following(state)
    broker.records.append((NEWS.key(), encode(Pause(1))))
    await tail.start(20)
    await moves(state)
    broker.deaf = 1
    broker.records.append((Subject(Kind.PAUSE, "chat", Platform.FCM).key(), encode(Pause(2))))
    await some_rounds(broker.clients[0])
    stood_at = state.current_at
    await some_rounds(broker.clients[0])
    assert (state.current_at, len(state.pauses)) == (stood_at, 1)
    monkeypatch.setattr(control, "STUCK_SECONDS", 0.0)
    await until(lambda: len(state.pauses) == 2)
    await moves(state)
    await tail.close()
    assert [client.assigned for client in broker.clients] == [OFFSET_BEGINNING, 1]


def test_a_state_that_nobody_follows_does_not_age() -> None:
    assert ControlState().current_at == float("inf")


@pytest.mark.parametrize("written", [0, 1, 3])
async def test_a_start_waits_for_what_is_there_and_for_no_word_that_nothing_more_is(
    broker: Broker, written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "PULSE_SECONDS", 3_600.0)
    broker.tells_ends = False
    record = NEWS.key(), encode(Pause(1))
    broker.records = [record] * written
    state = ControlState()
    tail = following(state)
    await tail.start(20)
    try:
        assert state.live
        assert len(state.pauses) == min(written, 1)
    finally:
        await tail.close()
