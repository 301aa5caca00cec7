"""The outbox and a place that Kafka refuses: on a client that reports what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from confluent_kafka import KafkaError, KafkaException

from pushcast.kafka.outbox import KafkaOutbox
from pushcast.stream.errors import OutboxFailed, RecordRefused
from pushcast.wire.headers import PROBE, is_probe
from twins.kafka import TwinBarrier

FORBIDDEN = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)


class Message:
    """A delivery report's record."""

    def __init__(self, topic: str, value: bytes | None, partition: int, headers: Any) -> None:
        self._topic, self._value, self._partition, self._headers = topic, value, partition, headers
        self.at: int | None = 7

    def __len__(self) -> int:
        return len(self._value or b"")

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return self._partition

    def value(self) -> bytes | None:
        return self._value

    def key(self) -> bytes | None:
        return None

    def headers(self) -> None:
        """A report says nothing of them, and nothing of the timestamp."""

    def sent(self) -> Any:
        return self._headers

    def offset(self) -> int | None:
        return self.at

    def timestamp(self) -> tuple[int, int]:
        return 2, 1_800_000_000_000


class Client:
    """Keeps reports until the test gives them."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Message, Callable[[Any, Any], None]]] = []
        self.put_failure: Exception | None = None

    def poll(self, timeout: float) -> int:
        return 0

    def produce(
        self, topic: str, value: Any, key: Any, partition: int, report: Any, *, headers: Any = None, timestamp: int = 0
    ) -> None:
        if self.put_failure is not None and value is not None:
            raise self.put_failure
        self.waiting.append((Message(topic, value, partition, headers), report))

    def report(self, error: KafkaError | None) -> list[Message]:
        """All that wait."""
        waiting, self.waiting = self.waiting, []
        for message, report in waiting:
            report(error, message)
        return [message for message, _ in waiting]


class World:
    def __init__(self) -> None:
        self.failures: list[BaseException] = []
        self.outbox = KafkaOutbox(
            "127.0.0.1:1",
            loop=asyncio.get_running_loop(),
            on_fatal=self.failures.append,
            patient={"receipts"},
            optional={"where"},
            extra={"log_level": 0},
        )
        self.client = Client()
        self.outbox._produce = self.client.produce
        self.outbox._patience._produce = self.client.produce
        self.acked = 0
        self.refused: list[RecordRefused] = []

    def put(self, topic: str, value: bytes, name: str = "name") -> None:
        barrier = self.outbox.barrier()
        self.outbox.put(barrier, topic, 3, value, None, [(name, b"x")], 5)
        barrier.on_acked(self.ack, self.refused.append)

    def ack(self) -> None:
        self.acked += 1

    async def report(self, error: KafkaError | None) -> list[Message]:
        found = self.client.report(error)
        for _ in range(5):
            await asyncio.sleep(0)
        return found


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    world.outbox._patience.refusals.close()
    world.outbox._writers.close()


async def test_a_forbidden_record_waits_and_is_written_when_a_marker_is_taken(world: World) -> None:
    world.put("receipts", b"1")
    await world.report(FORBIDDEN)
    world.put("receipts", b"2")
    assert (world.failures, world.acked, world.outbox.unacknowledged) == ([], 0, 2)
    assert world.client.waiting == [], "nothing goes to a refused place"
    assert world.outbox.refused_topics(3) == ["receipts"]
    world.outbox._patience.mark(next(iter(world.outbox._patience.refusals.places)))
    [marker] = await world.report(None)
    assert is_probe(marker.value(), marker.sent())
    again = await world.report(None)
    assert [(each.value(), each.sent()) for each in again] == [(b"1", [("name", b"x")]), (b"2", [("name", b"x")])]
    assert (world.acked, world.outbox.unacknowledged, world.outbox.refused()) == (2, 0, [])


async def test_a_marker_that_is_refused_leaves_everything_waiting(world: World) -> None:
    world.put("receipts", b"1")
    await world.report(FORBIDDEN)
    world.outbox._patience.mark(next(iter(world.outbox._patience.refusals.places)))
    [marker] = await world.report(FORBIDDEN)
    assert dict(marker.sent()) == {PROBE: b"1"}
    assert (world.acked, world.outbox.unacknowledged, world.client.waiting) == (0, 1, [])


UNREADABLE = UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")


@pytest.mark.parametrize("topic", ["devices", "receipts"])
@pytest.mark.parametrize(
    "failure",
    [
        KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)),
        TypeError("no bytes"),
        OverflowError("int too big to convert"),
        ValueError("embedded null character"),
        UNREADABLE,
    ],
)
async def test_a_record_that_the_client_does_not_take_is_refused_and_ends_nothing_else(
    failure: Exception, topic: str, world: World
) -> None:
    world.client.put_failure = failure
    world.put(topic, b"1")
    world.client.put_failure = None
    world.put(topic, b"2")
    await world.report(None)
    assert (len(world.refused), world.acked, world.failures) == (1, 1, [])
    assert (world.outbox.unacknowledged, world.outbox.refused()) == (0, [])


async def test_a_header_whose_name_is_no_text_never_reaches_the_client_which_would_crash_of_it(world: World) -> None:
    world.put("devices", b"1", "\ud800")
    await world.report(None)
    assert ([each.reason for each in world.refused], world.client.waiting) == (["invalid_record"], [])
    assert world.outbox.unacknowledged == 0


async def test_what_waited_for_a_place_and_is_too_large_for_it_is_refused_then(world: World) -> None:
    world.put("receipts", b"1")
    await world.report(FORBIDDEN)
    world.put("receipts", b"2")
    world.outbox._patience.mark(next(iter(world.outbox._patience.refusals.places)))
    world.client.put_failure = KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
    await world.report(None)
    assert ([each.reason for each in world.refused], world.outbox.refused()) == (["record_too_large"] * 2, [])
    assert (world.outbox.unacknowledged, world.failures) == (0, [])


async def test_a_topic_whose_records_cannot_wait_ends_the_process_as_ever(world: World) -> None:
    world.put("devices", b"1")
    await world.report(FORBIDDEN)
    assert isinstance(world.failures[0], OutboxFailed)
    assert world.acked == 0


async def test_a_topic_that_the_process_can_do_without_is_refused_to_the_barrier_alone(world: World) -> None:
    barrier = world.outbox.barrier()
    world.outbox.put(barrier, "where", 0, b"1")
    waiting = asyncio.ensure_future(barrier.wait())
    await world.report(FORBIDDEN)
    with pytest.raises(RecordRefused, match="where"):
        await waiting
    assert (world.failures, world.outbox.refused(), world.outbox.unacknowledged) == ([], [], 0)


async def test_an_error_of_the_producer_ends_the_process_whatever_the_topic(world: World) -> None:
    world.put("receipts", b"1")
    await world.report(KafkaError(KafkaError.INVALID_PRODUCER_EPOCH))
    assert isinstance(world.failures[0], OutboxFailed)


async def test_a_barrier_of_another_outbox_is_refused_before_anything_is_counted(world: World) -> None:
    with pytest.raises(TypeError, match="TwinBarrier counts the records of another kind of outbox"):
        world.outbox.put(TwinBarrier(), "receipts", 3, b"1")
    assert (world.client.waiting, world.outbox.unacknowledged) == ([], 0)
