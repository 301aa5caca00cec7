"""Topics, records and offsets on the run's broker, and Apps that run inside a test."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable

import faust
from aiokafka import structs
from aiokafka.admin import AIOKafkaAdminClient
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from pushcast.kafka.offsets import watermarks
from pushcast.transport.host import run_apps, state

#: Far beyond what a quiet machine takes: two tests run beside each other, and others may use the machine, too.
DEADLINE_SECONDS = 90.0


def create_topic(bootstrap_servers: str, name: str, partitions: int = 4, **config: str) -> str:
    """Creates a topic; dots in config names are written as underscores."""
    settings = {key.replace("_", "."): value for key, value in config.items()}
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    for future in admin.create_topics([NewTopic(name, partitions, 1, config=settings)]).values():
        future.result(10)
    return name


def ensure_topics(bootstrap_servers: str, names: Iterable[str], partitions: int) -> None:
    """The product's topics, shared by the tests of this broker."""
    names = list(names)
    for topic in names:
        try:
            create_topic(bootstrap_servers, topic, partitions)
        except KafkaException as error:
            if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                raise
    # A created topic may take a moment to be in the broker's metadata; a group that starts before does not know it.
    admin, deadline = AdminClient({"bootstrap.servers": bootstrap_servers}), time.monotonic() + DEADLINE_SECONDS
    while any(len(admin.list_topics(topic, timeout=10).topics[topic].partitions) < partitions for topic in names):
        assert time.monotonic() < deadline, "the topics are not in the metadata"


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
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,
        }
    )
    found: dict[int, list[Message]] = {}
    try:
        for partition in range(partitions):
            low, high = watermarks(consumer, topic, partition)
            if low != high:
                found[partition] = []
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in found])
        unended, deadline = set(found), time.monotonic() + DEADLINE_SECONDS
        while unended:
            assert time.monotonic() < deadline, f"{topic}{unended} does not end"
            message = consumer.poll(0.5)
            if message is None:
                continue
            error = message.error()
            if error is None:
                found[message.partition() or 0].append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                unended.discard(message.partition())
            else:
                raise AssertionError(error.str())
    finally:
        consumer.close()
    return [message for partition in sorted(found) for message in found[partition]]


async def committed(
    bootstrap_servers: str, group: str, topic: str, partitions: int = 4
) -> dict[int, tuple[int | None, str]]:
    """Committed offset (None when there is none) and metadata by partition.

    Read with aiokafka: confluent-kafka takes metadata for a C string, which the answer of a broker does not end as.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    none = structs.OffsetAndMetadata(-1, "")
    by_partition = {each: found.get(structs.TopicPartition(topic, each), none) for each in range(partitions)}
    return {each: (None if at.offset < 0 else at.offset, at.metadata) for each, at in by_partition.items()}


async def until(true: Callable[[], bool], what: str, deadline_seconds: float = DEADLINE_SECONDS) -> None:
    """Polls until the condition holds."""
    deadline = time.monotonic() + deadline_seconds
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {deadline_seconds} s"
        await asyncio.sleep(0.02)


async def seen(true: Callable[[], bool], what: str) -> None:
    """Polls Kafka in another thread until the condition holds: the Apps need the loop."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not await asyncio.to_thread(true):
        assert time.monotonic() < deadline, f"{what}: not within {DEADLINE_SECONDS} s"
        await asyncio.sleep(0.1)


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
