"""Records that are put together: counted, kept and refused as if each had been put by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from confluent_kafka import KafkaError, KafkaException

from pushcast.kafka.outbox import KafkaOutbox
from pushcast.stream.errors import Full, OutboxFailed
from pushcast.wire.headers import Headers
from twins.kafka import TwinBarrier
from unit.kafka.test_outbox_refusals import FORBIDDEN, Message

LIMIT = 1000
TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)


class Client:
    """Takes records; raises once what `raising` says of the record with that number."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, int, bytes, bytes, Headers]] = []
        self.reports: list[tuple[Callable[[Any, Any], None], Message]] = []
        self.raising: dict[int, Exception] = {}

    def produce(
        self, topic: str, value: Any, key: Any, partition: int, report: Any, *, headers: Any = None, timestamp: int = 0
    ) -> None:
        error = self.raising.pop(len(self.taken), None)
        if error is not None:
            raise error
        self.taken.append((topic, partition, value, key, headers))
        self.reports.append((report, Message(topic, value, partition, headers)))

    def report(self, *errors: KafkaError | None) -> None:
        """Of the oldest records; one error each."""
        for error in errors:
            report, message = self.reports.pop(0)
            report(error, message)


class World:
    def __init__(self) -> None:
        self.failures: list[BaseException] = []
        self.outbox = KafkaOutbox(
            "127.0.0.1:1",
            loop=asyncio.get_running_loop(),
            on_fatal=self.failures.append,
            topics={"receipts": LIMIT, "other": LIMIT},
            patient={"receipts"},
            max_records=4,
            extra={"log_level": 0},
        )
        self.client = Client()
        self.outbox._produce = self.outbox._patience._produce = self.client.produce
        self.barrier = self.outbox.barrier()
        self.ends: list[str] = []

    def put(self, *values: bytes, topic: str = "receipts") -> None:
        self.outbox.put_many(self.barrier, topic, 3, records(*values))

    def close(self) -> None:
        self.barrier.on_acked(lambda: self.ends.append("acked"), lambda refusal: self.ends.append(refusal.reason))

    @property
    def values(self) -> list[bytes]:
        return [taken[2] for taken in self.client.taken]


def records(*values: bytes) -> list[tuple[bytes, bytes, Headers]]:
    return [(value, b"key-" + value[:1], [("name", value[:1])]) for value in values]


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    world.outbox._patience.refusals.close()
    world.outbox._writers.close()


async def test_they_go_to_their_place_in_order_and_their_barrier_waits_for_all_of_them(world: World) -> None:
    world.put(b"1", b"2", b"3")
    world.close()
    assert world.client.taken == [
        ("receipts", 3, value, b"key-" + value, [("name", value)]) for value in (b"1", b"2", b"3")
    ]
    world.client.report(None, None)
    await turns()
    assert (world.ends, world.outbox.unacknowledged, world.outbox.acked_end("receipts", 3)) == ([], 3, None)
    world.client.report(None)
    await turns()
    assert (world.ends, world.outbox.unacknowledged, world.outbox.acked_end("receipts", 3)) == (["acked"], 0, 8)


async def test_a_barrier_waits_for_all_that_was_put_together_and_by_itself(world: World) -> None:
    world.put(b"1", b"2")
    world.outbox.put(world.barrier, "receipts", 3, b"3", b"key", [])
    world.put(b"4")
    world.close()
    for expected in ([], [], [], ["acked"]):
        world.client.report(None)
        await turns()
        assert world.ends == expected
    assert world.outbox.unacknowledged == 0


async def test_one_of_them_that_kafka_never_takes_refuses_their_barrier_once_all_are_reported(world: World) -> None:
    world.put(b"1", b"2", b"3")
    world.close()
    world.client.report(None, TOO_LARGE)
    await turns()
    assert world.ends == []
    world.client.report(None)
    await turns()
    assert (world.ends, world.outbox.unacknowledged) == (["record_too_large"], 0)
    assert world.failures == []


async def test_the_last_of_them_may_be_the_one_that_kafka_never_takes(world: World) -> None:
    world.put(b"1", b"2")
    world.close()
    world.client.report(None, TOO_LARGE)
    await turns()
    assert (world.ends, world.outbox.unacknowledged) == (["record_too_large"], 0)


async def test_one_of_them_that_is_acknowledged_without_an_offset_ends_the_process(world: World) -> None:
    world.put(b"1", b"2", b"3")
    world.close()
    report, message = world.client.reports.pop(1)
    message.at = None
    report(None, message)
    world.client.report(None, None)
    await turns()
    assert "without an offset" in str(world.failures)
    assert world.ends == []


async def test_none_at_all_is_nothing_to_wait_for(world: World) -> None:
    world.put()
    world.close()
    await turns()
    assert (world.ends, world.outbox.unacknowledged) == (["acked"], 0)


async def test_one_that_is_refused_for_now_waits_as_it_was_put(world: World) -> None:
    world.put(b"1", b"2", b"3")
    world.close()
    world.client.report(None, FORBIDDEN, FORBIDDEN)
    await turns()
    assert (world.ends, world.outbox.unacknowledged) == ([], 2)
    place = next(iter(world.outbox._patience.places))
    world.outbox._patience.mark(place)
    world.client.report(None)  # the marker
    await turns()
    assert world.client.taken[-2:] == [
        ("receipts", 3, value, b"key-" + value, [("name", value)]) for value in (b"2", b"3")
    ]
    world.client.report(None, None)
    await turns()
    assert (world.ends, world.outbox.unacknowledged) == (["acked"], 0)


async def test_while_their_place_is_refused_all_of_them_wait(world: World) -> None:
    world.outbox.doubt("receipts", 3, "nobody knows")
    world.put(b"1", b"2")
    assert (world.values, world.outbox.unacknowledged) == ([], 2)


async def test_one_that_its_client_refuses_for_now_waits_with_all_behind_it(world: World) -> None:
    world.outbox._produce = failing_behind_the_first(world.client, KafkaException(FORBIDDEN))
    world.put(b"1", b"2", b"3")
    assert (world.values, world.outbox.refused_topics(3)) == ([b"1"], ["receipts"])
    assert (world.outbox.unacknowledged, world.barrier.puts) == (3, 3)


async def test_one_that_its_client_hiccups_at_is_put_once_and_so_are_those_behind_it(world: World) -> None:
    world.client.raising[1] = KafkaException(TOO_LARGE)
    world.put(b"1", b"2", b"3")
    world.close()
    assert world.values == [b"1", b"2", b"3"]
    world.client.report(None, None, None)
    await turns()
    assert (world.ends, world.outbox.unacknowledged) == (["acked"], 0)


async def test_what_was_reported_before_its_client_hiccups_counts(world: World) -> None:
    produce = world.client.produce

    def slowly(topic: str, value: Any, *rest: Any, **more: Any) -> None:
        if value == b"2" and world.client.reports:
            world.client.report(None)
            raise KafkaException(TOO_LARGE)
        produce(topic, value, *rest, **more)

    world.outbox._produce = slowly
    world.put(b"1", b"2", b"3")
    world.close()
    assert world.outbox.unacknowledged == 2
    world.client.report(None, None)
    await turns()
    assert (world.ends, world.outbox.unacknowledged) == (["acked"], 0)


async def test_one_that_is_too_large_is_refused_and_the_others_are_written(world: World) -> None:
    world.put(b"1", b"2" * LIMIT, b"3")
    world.close()
    assert world.values == [b"1", b"3"]
    world.client.report(None, None)
    await turns()
    assert (world.ends, world.outbox.unacknowledged) == (["record_too_large"], 0)


async def test_a_full_client_says_so_and_counts_what_it_has(world: World) -> None:
    world.outbox._produce = failing_behind_the_first(world.client, BufferError())
    with pytest.raises(Full):
        world.put(b"1", b"2", b"3")
    assert (world.values, world.outbox.unacknowledged, world.barrier.puts) == ([b"1"], 1, 1)


def failing_behind_the_first(client: Client, error: Exception) -> Callable[..., None]:
    """A client's `produce` that takes one record and no other."""

    def produce(*args: Any, **more: Any) -> None:
        if client.taken:
            raise error
        client.produce(*args, **more)

    return produce


async def test_who_puts_without_waiting_for_room_gets_no_further_than_one_by_one(world: World) -> None:
    world.put(*(b"%d" % number for number in range(7)))
    with pytest.raises(Full):
        world.put(b"7", b"8", b"9")
    assert world.outbox.unacknowledged == 8 == len(world.values)


async def test_topics_that_the_topology_does_not_name_and_other_barriers_are_refused(world: World) -> None:
    with pytest.raises(OutboxFailed):
        world.put(b"1", topic="else")
    with pytest.raises(TypeError):
        world.outbox.put_many(TwinBarrier(), "receipts", 3, records(b"1"))
    assert world.values == []
