"""Topics, records and offsets on the run's broker, and Apps that run inside a test."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable

import faust
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from pushcast.kafka.host import run_apps, state

DEADLINE_SECONDS = 30.0


def create_topic(bootstrap_servers: str, name: str, partitions: int = 4, **config: str) -> str:
    """Creates a topic; dots in config names are written as underscores."""
    settings = {key.replace("_", "."): value for key, value in config.items()}
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    for future in admin.create_topics([NewTopic(name, partitions, 1, config=settings)]).values():
        future.result(10)
    return name


def produce(
    bootstrap_servers: str, topic: str, records: Iterable[tuple[int, bytes | None, bytes | None]], **settings: str
) -> None:
    """Writes (partition, key, value) and waits for the acknowledgements."""
    failures: list[str] = []
    producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 5, **settings})

    def delivered(error: object, _: Message) -> None:
        if error is not None:
            failures.append(str(error))

    for partition, key, value in records:
        producer.produce(topic, value, key, partition, delivered)
        producer.poll(0)
    assert producer.flush(DEADLINE_SECONDS) == 0
    assert not failures


def read_all(bootstrap_servers: str, topic: str, partitions: int = 4) -> list[Message]:
    """Every record that is in the topic now, partition after partition in offset order."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "reader", "enable.partition.eof": True})
    found: list[Message] = []
    try:
        for partition in range(partitions):
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            if low == high:
                continue
            consumer.assign([TopicPartition(topic, partition, low)])
            ended, deadline = False, time.monotonic() + DEADLINE_SECONDS
            while not ended:
                assert time.monotonic() < deadline, f"{topic}[{partition}] does not end"
                for message in consumer.consume(5000, 0.2):
                    if message.error() is None:
                        found.append(message)
                    elif message.error().name() == "_PARTITION_EOF":
                        ended = True
                    else:
                        raise AssertionError(str(message.error()))
    finally:
        consumer.close()
    return found


def committed(bootstrap_servers: str, group: str, topic: str, partitions: int = 4) -> dict[int, tuple[int, str | None]]:
    """Committed offset (-1001 when none) and metadata by partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": group})
    try:
        wanted = [TopicPartition(topic, partition) for partition in range(partitions)]
        return {found.partition: (found.offset, found.metadata) for found in consumer.committed(wanted, timeout=10)}
    finally:
        consumer.close()


async def until(true: Callable[[], bool], what: str, deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Polls until the condition holds."""
    deadline = time.monotonic() + deadline_seconds
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {deadline_seconds} s"
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running(*apps: faust.App) -> AsyncIterator[None]:
    """Runs Apps, entered when they are ready; stops them in order and checks that none crashed."""
    stop, ready = asyncio.Event(), asyncio.Event()
    run = asyncio.create_task(run_apps(apps, on_ready=ready.set, stop=stop))
    try:
        await until(lambda: ready.is_set() or run.done(), "the Apps are ready")
        assert not run.done(), run.result()
        yield
    finally:
        stop.set()
        assert await asyncio.wait_for(run, DEADLINE_SECONDS) == 0


def lag(app: faust.App) -> int | None:
    """Records that the App has not finished; None while unknown."""
    return state(app).lag_records
