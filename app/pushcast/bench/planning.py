"""What the benchmarks of PLAN share: devices written straight into their topic, events, and the count of what came."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from pushcast.bench.cluster import BenchCluster
from pushcast.model.device import DeviceRow
from pushcast.model.errors import PushcastError
from pushcast.model.ids import device_row_key, partition_of, token_hash
from pushcast.wire.answers.receipts import decode_planned
from pushcast.wire.devices.row_writer import RowWriter
from pushcast.wire.schemas import AvroType, avro_type
from pushcast.wire.topics import DEVICE, PLANNED

APP = "news"
FLUSH_SECONDS = 300.0
TTL_MS = 3_600_000
SEED = 11

#: What every device follows.
TOPICS = ("team/7",)

Produced = tuple[int, bytes, bytes]  # partition, key, value
#: What the device of a user of this number follows.
Follows = Callable[[int], tuple[str, ...]]


def all_alike(_: int) -> tuple[str, ...]:
    """Every device follows the same."""
    return TOPICS


def device_rows(
    users: Iterable[int],
    now_ms: int,
    schema: AvroType | None = None,
    app: str = APP,
    follows: Follows = all_alike,
) -> Iterator[tuple[bytes, bytes, bytes]]:
    """(user, row key, row) of one device per user, APNs and FCM in turn, with every field filled in.

    `schema`: of an earlier release; None: as REGISTER writes them now.
    """
    rng = random.Random(SEED)
    encode = RowWriter().encode if schema is None else partial(_encode_as, schema)
    for number in users:
        user = f"user-{number}"
        device = f"device-{number}"
        if number % 2:
            # The simulators' verdicts by the beginning of a token begin otherwise: of a million random tokens one or
            # two would have one, and its device would never get its push.
            platform, address = "apns", f"1{rng.getrandbits(252):063x}".encode()
        else:
            platform, address = "fcm", f"{rng.getrandbits(132):033x}:APA91b{rng.getrandbits(400):0100x}".encode()
        row = DeviceRow(
            app, device, platform, "token", address, "", token_hash(address), "active", now_ms, now_ms, "de-DE",
            "Europe/Berlin", "7.1", follows(number),
        )  # fmt: skip
        yield user.encode(), device_row_key(user, app, device), encode(row)


def _encode_as(schema: AvroType, row: DeviceRow) -> bytes:
    known = msgspec.structs.asdict(row)
    return schema.encode({field["name"]: known[field["name"]] for field in schema.source["fields"]})


def load_devices(
    cluster: BenchCluster,
    users: Iterable[int],
    now_ms: int,
    schema: AvroType | None = None,
    app: str = APP,
    follows: Follows = all_alike,
) -> None:
    """Writes rows to `push.device.v1` as REGISTER would; returns when they are acknowledged."""
    partitions = cluster.settings.kafka.partitions
    rows = device_rows(users, now_ms, schema, app, follows)
    produce(cluster, DEVICE, ((partition_of(user, partitions), key, value) for user, key, value in rows))


def event(shape: str, form: str, number: int, run: str, now_ms: int) -> bytes:
    """`alert`: one notification for all users; `chat`: id, text and thread of its own."""
    if shape == "alert":
        value: dict[str, Any] = {"id": run, "title": "Goal!", "body": f"1:0 in the 88th minute ({run})"}
    else:
        value = {
            "id": f"{run}-{number}",
            "title": f"Message {number}",
            "body": f"Are you coming to the match at eight? ({run} {number})",
            "options": {"thread_id": f"thread-{number % 5000}"},
        }
    value |= {"app": APP, "data": {"match": "4711"}, "created_at": now_ms, "expires_at": now_ms + TTL_MS}
    return json.dumps(value).encode() if form == "json" else avro_type("notification").encode(value)


def events(shape: str, form: str, items: int, users: int, run: str, partitions: int, now_ms: int) -> Iterator[Produced]:
    """Every user in turn, in the same order for the same arguments but not the order of the keys."""
    order = list(range(users))
    random.Random(SEED).shuffle(order)
    keys = [(partition_of(key, partitions), key) for key in (f"user-{number}".encode() for number in order)]
    same = event(shape, form, 0, run, now_ms) if shape == "alert" else None
    for number in range(items):
        partition, key = keys[number % users]
        yield partition, key, event(shape, form, number, run, now_ms) if same is None else same


def produce(cluster: BenchCluster, topic: str, records: Iterable[tuple[int, bytes | None, bytes]]) -> None:
    """Returns when all are acknowledged."""
    producer = Producer(
        {
            **cluster.client,
            "acks": "all",
            "linger.ms": 20,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 1_000_000,
        }
    )
    for number, (partition, key, value) in enumerate(records):
        while True:
            try:
                producer.produce(topic, value, key, partition)
                break
            except BufferError:
                producer.poll(0.1)
        if not number % 1000:
            producer.poll(0)
    left = producer.flush(FLUSH_SECONDS)
    if left:
        raise PushcastError(f"{left} records for {topic} could not be produced")


def planned_since(cluster: BenchCluster, starts: list[int]) -> int:
    """Deliveries that the planned records from these offsets on state."""
    consumer = Consumer({**cluster.client, "group.id": "pushcast-bench", "enable.auto.commit": False})
    ends = cluster.ends(PLANNED)
    total = 0
    try:
        wanted = [TopicPartition(PLANNED, number, start) for number, start in enumerate(starts) if start < ends[number]]
        left = {at.partition for at in wanted}
        consumer.assign(wanted)
        while left:
            message = consumer.poll(FLUSH_SECONDS)
            if message is None or message.error() is not None:
                raise PushcastError(f"{PLANNED} could not be read")
            total += sum(count for _, _, count, _ in decode_planned(message.value() or b"").rows())
            if (message.offset() or 0) + 1 >= ends[message.partition() or 0]:
                left.discard(message.partition() or 0)
    finally:
        consumer.close()
    return total
