"""What a broker is asked while Java learns from it for the start-up archive: a little of all that Pushcast asks.

`python -m pushcast.kafka.embedded.archive_load SERVERS CLUSTER_ID`, a process of its own: librdkafka may abort the one
that it is in while a broker is young, and whoever waits for this can end it whatever it waits for.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count, islice
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from pushcast.kafka.embedded import readiness

#: It ends with one of these, whichever comes first: a machine that is busy learns less.
ROUNDS: Final = 1_500
SECONDS: Final = 10.0
START_SECONDS: Final = 10.0
PARTITIONS: Final = 8
#: Name and cleanup policy: registers are compacted, all else is deleted by age.
TOPICS: Final = {
    "pushcast-load-0": "delete",
    "pushcast-load-1": "delete",
    "pushcast-load-2": "delete",
    "pushcast-load-3": "compact",
}
#: Linger in milliseconds and how many records are put at a time: urgent events go alone, a flood in batches.
WRITERS: Final = ((0, 1), (0, 2), (5, 20))
READERS: Final = 3  # of librdkafka: tools, hand-overs, reporters
STAGES: Final = 3  # of aiokafka: roles
ROUND_SECONDS: Final = 0.004
ROUNDS_BETWEEN_QUESTIONS: Final = 100
ANSWER_SECONDS: Final = 5.0


class LoadRecord(NamedTuple):
    """A record and where it goes."""

    topic: str
    partition: int
    key: bytes
    value: bytes


def puts() -> Iterator[LoadRecord]:
    """Records of 50 to 449 bytes for all partitions of all topics, with keys that come again. Endless. Pure."""
    topics = list(TOPICS)
    text = bytes(range(32, 122)) * 5
    for number in count():
        topic, partition = topics[number % len(topics)], number // len(topics) % PARTITIONS
        yield LoadRecord(topic, partition, b"user-%d" % (number % 997), text[: 50 + number % 400])


async def load(servers: str, rounds: int = ROUNDS, now: Callable[[], float] = time.monotonic) -> None:
    """Writes, reads, commits and asks for so many rounds, or until SECONDS are over. `now`: monotonic seconds.

    Raises KafkaException or aiokafka's KafkaError when the broker does not do its part.
    """
    client: dict[str, Any] = {"bootstrap.servers": servers, "log_level": 0, "broker.address.family": "v4"}
    admin = AdminClient(client)
    _make_topics(admin)
    ends = now() + SECONDS
    written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    stages = [
        asyncio.create_task(_stage(servers, number, written, goes_on=lambda: now() < ends)) for number in range(STAGES)
    ]
    producers = [_open_producer(client, linger_ms) for linger_ms, _ in WRITERS]
    readers = [_open_reader(client, number) for number in range(READERS)]
    records, put = puts(), 0
    try:
        for number in range(rounds):
            for producer, (_, at_once) in zip(producers, WRITERS, strict=True):
                _put(producer, islice(records, at_once))
                put += at_once
            for reader in readers:
                if reader.consume(500, 0):
                    reader.commit(asynchronous=True)
            if number % ROUNDS_BETWEEN_QUESTIONS == ROUNDS_BETWEEN_QUESTIONS - 1:
                await asyncio.to_thread(_ask, admin)
            await asyncio.sleep(ROUND_SECONDS)
            if now() >= ends:
                break
        written.set_result(put - sum(producer.flush(ANSWER_SECONDS) for producer in producers))
        await asyncio.gather(*stages)
    finally:
        for reader in readers:
            reader.close()


def _make_topics(admin: AdminClient) -> None:
    wanted = [NewTopic(name, PARTITIONS, 1, config={"cleanup.policy": policy}) for name, policy in TOPICS.items()]
    for made in admin.create_topics(wanted).values():
        made.result(ANSWER_SECONDS)


def _open_producer(client: dict[str, Any], linger_ms: int) -> Producer:
    return Producer({**client, "acks": "all", "enable.idempotence": True, "linger.ms": linger_ms})


def _open_reader(client: dict[str, Any], number: int) -> Consumer:
    consumer = Consumer(
        {
            **client,
            "group.id": f"pushcast-load-{number}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 50,
        }
    )
    consumer.subscribe(list(TOPICS)[number:][:2])
    return consumer


def _put(producer: Producer, records: Iterator[LoadRecord]) -> None:
    for record in records:
        producer.produce(record.topic, record.value, record.key, record.partition, headers=[("push-id", b"load")])
    producer.poll(0)


async def _stage(servers: str, number: int, written: asyncio.Future[int], goes_on: Callable[[], bool]) -> None:
    """Reads all topics as a role does, in a group of its own: all that is `written`, or while it `goes_on`."""
    consumer: Any = AIOKafkaConsumer(  # type: ignore[no-untyped-call]
        *TOPICS,
        bootstrap_servers=servers,
        group_id=f"pushcast-load-stage-{number}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        heartbeat_interval_ms=200,
    )
    await consumer.start()
    read = 0
    try:
        while not written.done() or (read < written.result() and goes_on()):
            if batches := await consumer.getmany(timeout_ms=50):
                read += sum(map(len, batches.values()))
                await consumer.commit()
    finally:
        await consumer.stop()


def _ask(admin: AdminClient) -> None:
    """What `status`, audits and the watch over lags ask."""
    places = [TopicPartition(name, partition) for name in TOPICS for partition in range(PARTITIONS)]
    group = "pushcast-load-0"
    admin.list_topics(timeout=ANSWER_SECONDS)
    latest: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    asked: list[Any] = [*admin.list_offsets(dict.fromkeys(places, latest)).values()]
    asked += admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]).values()
    asked += admin.describe_consumer_groups([group]).values()
    for each in asked:
        try:
            each.result(ANSWER_SECONDS)
        except KafkaException:  # the group has only just begun
            continue


def main(arguments: Sequence[str]) -> None:
    """Loads the broker at SERVERS of the cluster CLUSTER_ID, when it is ready."""
    servers, cluster_id = arguments
    readiness.wait(servers, cluster_id, 1, lambda: None, START_SECONDS)
    asyncio.run(load(servers))


if __name__ == "__main__":
    main(sys.argv[1:])
