"""The outbox against a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
import pytest_asyncio

from flow.kafka_tools import create_topic, read_all, until
from pushcast.kafka.outbox import KafkaOutbox
from pushcast.stream.errors import Full, OutboxFailed, RecordRefused, RecordTooLarge
from pushcast.stream.ports import Acked


@pytest.fixture
def failures() -> list[BaseException]:
    """What the outbox called fatal."""
    return []


@pytest_asyncio.fixture
async def outbox(kafka: str, failures: list[BaseException]) -> AsyncIterator[KafkaOutbox]:
    """A small one: 1,000 records, 1 MiB."""
    outbox = KafkaOutbox(
        kafka, loop=asyncio.get_running_loop(), on_fatal=failures.append, max_records=1000, max_bytes=1 << 20
    )
    yield outbox
    await outbox.close(1.0)


async def test_a_barrier_resolves_when_its_records_can_be_read(
    kafka: str, unique: Callable[[str], str], outbox: KafkaOutbox
) -> None:
    topic = create_topic(kafka, unique("out"))
    barrier = outbox.barrier()
    for number in range(100):
        outbox.put(
            barrier, topic, number % 4, b"%d" % number, b"k", [("h", b"1")], timestamp_ms=1_700_000_000_000 + number
        )
    await asyncio.wait_for(barrier.wait(), 20)
    found = await asyncio.to_thread(read_all, kafka, topic)
    assert sorted(int(message.value() or b"") for message in found) == list(range(100))
    assert {message.partition() == int(message.value() or b"") % 4 for message in found} == {True}
    assert (found[0].key(), found[0].headers(), found[0].timestamp()[1]) == (b"k", [("h", b"1")], 1_700_000_000_000)
    assert [outbox.acked_end(topic, partition) for partition in range(4)] == [25] * 4
    assert outbox.acked_end(topic, 9) is None
    assert outbox.unacknowledged == 0


async def test_what_kafka_has_of_a_process_is_counted_with_the_brokers_time_where_it_keeps_that(
    kafka: str, unique: Callable[[str], str], outbox: KafkaOutbox
) -> None:
    stamped = create_topic(kafka, unique("stamped"), message_timestamp_type="LogAppendTime")
    plain = create_topic(kafka, unique("plain"))
    barrier = outbox.barrier()
    for topic in (stamped, plain):
        outbox.put(barrier, topic, 1, b"1", b"k", [])
        outbox.put_many(barrier, topic, 1, [(b"2", b"k", []), (b"3", b"k", [])])
    await asyncio.wait_for(barrier.wait(), 20)
    last = (await asyncio.to_thread(read_all, kafka, stamped))[-1]
    assert outbox.acked(stamped, 1) == Acked(3, 3, last.timestamp()[1])
    assert outbox.acked(plain, 1) == Acked(3, 3, -1)
    assert outbox.acked(plain, 2) is None


async def test_callbacks_come_once_per_barrier_on_the_loop(
    kafka: str, unique: Callable[[str], str], outbox: KafkaOutbox
) -> None:
    topic = create_topic(kafka, unique("out"))
    called: list[int] = []
    for number in range(200):
        barrier = outbox.barrier()
        for _ in range(3):
            outbox.put(barrier, topic, 0, b"v")
        barrier.on_acked(partial(called.append, number))
    await until(lambda: len(called) == 200, "all barriers call back")
    empty = outbox.barrier()
    empty.on_acked(lambda: called.append(-1))
    assert -1 not in called
    await until(lambda: called[-1] == -1, "an empty barrier calls back")
    assert sorted(called) == sorted([*range(200), -1])


async def test_a_record_above_the_topics_limit_fails_its_barrier_alone(
    kafka: str, unique: Callable[[str], str], failures: list[BaseException]
) -> None:
    topic = create_topic(kafka, unique("out"), max_message_bytes="600000")
    loop = asyncio.get_running_loop()
    outbox = KafkaOutbox(kafka, loop=loop, on_fatal=failures.append, topics={topic: 600_000})
    too_large = b"x" * 700_000
    bad, worse, good = outbox.barrier(), outbox.barrier(), outbox.barrier()
    outbox.put(good, topic, 0, b"small")
    outbox.put(bad, topic, 0, too_large)
    outbox.put(good, topic, 0, b"next")
    outbox.put(worse, topic, 0, b"x" * (9 << 20))  # more than librdkafka takes
    for barrier in (bad, worse):
        with pytest.raises(RecordTooLarge, match=topic) as caught:
            await asyncio.wait_for(barrier.wait(), 20)
        assert caught.value.reason == "record_too_large"
    await asyncio.wait_for(good.wait(), 20)
    refused: list[RecordRefused] = []
    again = outbox.barrier()
    outbox.put(again, topic, 0, too_large)
    again.on_acked(lambda: pytest.fail("acknowledged"), refused.append)
    await until(lambda: len(refused) == 1, "the refusal is told")
    outbox.put(last := outbox.barrier(), topic, 0, b"after")
    await asyncio.wait_for(last.wait(), 20)
    assert [message.value() for message in read_all(kafka, topic)] == [b"small", b"next", b"after"]
    assert failures == []
    assert outbox.unacknowledged == 0
    await outbox.close(1.0)


async def test_a_record_just_below_the_topics_limit_is_taken_by_the_broker(
    kafka: str, unique: Callable[[str], str], failures: list[BaseException]
) -> None:
    topic = create_topic(kafka, unique("out"), max_message_bytes="600000")
    outbox = KafkaOutbox(kafka, loop=asyncio.get_running_loop(), on_fatal=failures.append, topics={topic: 600_000})
    key, headers = b"k" * 256, [(f"header-{number}", b"v" * 50) for number in range(20)]
    beside = 200 + len(key) + sum(len(name) + len(value) + 10 for name, value in headers)
    outbox.put(fits := outbox.barrier(), topic, 0, b"x" * (600_000 - beside), key, headers)
    outbox.put(over := outbox.barrier(), topic, 0, b"x" * (600_001 - beside), key, headers)
    await asyncio.wait_for(fits.wait(), 20)
    with pytest.raises(RecordTooLarge, match=topic):
        await asyncio.wait_for(over.wait(), 20)
    assert failures == []
    await outbox.close(1.0)


async def test_a_refusal_that_nobody_handles_is_fatal(
    kafka: str, unique: Callable[[str], str], outbox: KafkaOutbox, failures: list[BaseException]
) -> None:
    topic = create_topic(kafka, unique("out"), max_message_bytes="10000")
    outbox.put(barrier := outbox.barrier(), topic, 0, b"x" * 20_000)
    barrier.on_acked(lambda: pytest.fail("acknowledged"))
    await until(lambda: len(failures) == 1, "it is told")
    assert isinstance(failures[0], RecordTooLarge)


async def test_a_partition_that_is_not_there_is_refused_at_once(
    kafka: str, unique: Callable[[str], str], outbox: KafkaOutbox, failures: list[BaseException]
) -> None:
    topic = create_topic(kafka, unique("out"))
    outbox.put(first := outbox.barrier(), topic, 0, b"v")
    await asyncio.wait_for(first.wait(), 20)
    barrier = outbox.barrier()
    with pytest.raises(OutboxFailed):
        outbox.put(barrier, topic, 99, b"v")
    assert failures == []


async def test_callers_that_wait_for_room_stay_within_the_bounds(
    kafka: str, unique: Callable[[str], str], outbox: KafkaOutbox
) -> None:
    topic = create_topic(kafka, unique("out"))
    most = 0

    async def caller(partition: int) -> None:
        nonlocal most
        for _ in range(50):
            await outbox.room()
            barrier = outbox.barrier()
            for _ in range(100):
                outbox.put(barrier, topic, partition % 4, b"v" * 100)
            most = max(most, outbox.unacknowledged)

    await asyncio.wait_for(asyncio.gather(*[caller(number) for number in range(16)]), 60)
    await until(lambda: outbox.unacknowledged == 0, "all is acknowledged")
    assert most <= 1000 + 100
    assert len(await asyncio.to_thread(read_all, kafka, topic)) == 16 * 50 * 100


async def test_putting_without_room_is_refused_at_twice_the_bound(
    kafka: str, unique: Callable[[str], str], outbox: KafkaOutbox
) -> None:
    topic = create_topic(kafka, unique("out"))
    barrier = outbox.barrier()

    def flood() -> None:
        while True:
            outbox.put(barrier, topic, 0, b"v" * 1000)

    with pytest.raises(Full):
        flood()
    assert outbox.unacknowledged <= 2000
    await asyncio.wait_for(barrier.wait(), 20)
