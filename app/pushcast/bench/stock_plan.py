"""The reference line of `bench plan`: PLAN's work written for stock Faust, as its documentation has it.

`python -m pushcast.bench.stock_plan SERVERS PARTITIONS DATA_DIR`. One agent takes up to 500 events within 50 ms, looks
each user up in a table and writes the same batches and planned records; Kafka has them before the events are
acknowledged.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, cast

import faust
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from pushcast.bench.cluster import BenchCluster
from pushcast.bench.planning import APP, device_rows, produce
from pushcast.model.batch import KIND_NUMBERS, Message, SendBatch, Targets
from pushcast.model.ids import delivery_id, partition_of, token_hash
from pushcast.model.notification import Notification
from pushcast.model.words import Lane, Platform
from pushcast.wire.answers.receipts import Planned, encode_planned
from pushcast.wire.devices.devices import decode_row
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.notifications import NotificationDecoder
from pushcast.wire.sending.batches import encode_batch
from pushcast.wire.topics import PLANNED, send

GROUP = "pushcast-bench-stock"
TOPIC = f"{GROUP}-events"
READY = "the stock agent is ready"
CHANGELOG = f"{GROUP}-devices-changelog"
MAX_TARGETS = 500
WINDOW_SECONDS = 0.05
LANE = Lane.NORMAL
RAW: dict[str, Any] = {"key_type": bytes, "value_type": bytes, "key_serializer": "raw", "value_serializer": "raw"}


def load_stock_devices(cluster: BenchCluster, users: Iterable[int], now_ms: int) -> None:
    """Creates the agent's topics and writes its table's changelog: user to row."""
    partitions = cluster.settings.kafka.partitions
    admin = AdminClient(cluster.client)
    new = [NewTopic(TOPIC, partitions, 1), NewTopic(CHANGELOG, partitions, 1, config={"cleanup.policy": "compact"})]
    for future in admin.create_topics(new).values():
        future.result(30)
    rows = ((partition_of(user, partitions), user, value) for user, _, value in device_rows(users, now_ms))
    produce(cluster, CHANGELOG, rows)


def make_stock_app(servers: str, partitions: int, data_dir: str) -> faust.App:
    """Stock Faust but for Kafka's addresses, partitions and a prompt commit."""
    app = faust.App(
        GROUP,
        broker=f"kafka://{servers}",
        store="rocksdb://",
        datadir=data_dir,
        topic_partitions=partitions,
        topic_disable_leader=True,
        web_enabled=False,
        broker_commit_interval=0.25,
        producer_acks=-1,
        table_standby_replicas=0,
    )
    source = app.topic(TOPIC, **RAW)
    devices = app.Table("devices", partitions=partitions, key_type=bytes, value_type=bytes)
    decoder = NotificationDecoder([APP], {"default": ClassRule(86_400_000)})

    @app.agent(source)
    async def plan(stream: Any) -> None:
        async for taken in stream.take_events(MAX_TARGETS, within=WINDOW_SECONDS):
            by_partition: dict[int, list[tuple[int, Notification]]] = {}
            for event in taken:
                note = decoder.decode(event.key.decode(), event.value, int(event.message.timestamp * 1000))
                place = event.message.tp.partition
                by_partition.setdefault(place, []).append((event.message.offset, note))
            for place, notes in by_partition.items():
                await _write(app, devices, place, notes)

    @app.task  # type: ignore[untyped-decorator]
    async def tell() -> None:
        while app.rebalancing or not cast(Any, app.tables).recovery.completed.is_set():
            await asyncio.sleep(0.1)
        sys.stdout.write(READY + "\n")
        sys.stdout.flush()

    return app


async def _write(app: faust.App, devices: Any, place: int, notes: list[tuple[int, Notification]]) -> None:
    batches: dict[str, SendBatch] = {}
    messages: dict[tuple[str, bytes], Message] = {}
    planned = Planned(LANE)
    for offset, note in notes:
        value = devices.get(note.user.encode())
        counts: Counter[str] = Counter()
        if value is not None:
            row = decode_row(value)
            batch = batches.setdefault(row.platform, SendBatch(LANE, row.platform, []))
            message = messages.get((row.platform, note.content_key))
            if message is None:
                digest = token_hash(note.content_key)
                message = Message(APP, note.klass, note.content, note.options, digest, [], [], [], Targets())
                messages[row.platform, note.content_key] = message
                batch.messages.append(message)
            if message.notification_ids[-1:] != [note.id]:
                message.notification_ids.append(note.id)
                message.created_at.append(note.created_at)
                message.traces.append("")
            index = len(message.notification_ids) - 1
            delivery = delivery_id(note.id, note.user, row.app, row.device)
            target = (
                index, note.user, row.device, delivery, KIND_NUMBERS[row.kind], row.address, row.key_id,
                row.token_hash, row.registered_at, offset, note.expires_at, 0,
            )  # fmt: skip
            for column, item in zip(message.targets.columns(), target, strict=True):
                column.append(item)
            counts[row.platform] += 1
        planned.add(offset, note.id, counts, 0, "" if counts else "no_devices")
    for platform, batch in batches.items():
        await (await app.send(send(Platform(platform), LANE), value=encode_batch(batch), partition=place))
    now_ms = time.time_ns() // 1_000_000
    await (await app.send(PLANNED, value=encode_planned(planned, now_ms), partition=place))


if __name__ == "__main__":
    worker_app = make_stock_app(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    worker_app.finalize()
    sys.argv = [sys.argv[0], "worker", "-l", "info", "--without-web"]
    worker_app.main()
