"""`stage/apns`: SendBatch records in Kafka → sender process → APNs simulator → receipts acknowledged → commit."""

from __future__ import annotations

import json
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from pushcast.bench import sink
from pushcast.bench.base import Options, Result, Row
from pushcast.bench.cluster import BenchCluster, ProcessUnderTest, bench_cluster, role
from pushcast.model.batch import Message, SendBatch, Targets
from pushcast.model.errors import PushcastError
from pushcast.model.ids import delivery_id, token_hash
from pushcast.model.notification import Content
from pushcast.model.notification import Options as SendOptions
from pushcast.model.words import Lane, Platform
from pushcast.simulators.configuration import provider_settings
from pushcast.wire import groups, topics
from pushcast.wire.batches import encode_batch

ROW = "stage/apns"
CHAT_ROW = "stage/chat"
ITEMS = 200_000
WARM_UP_ITEMS = 10_000
TARGETS_PER_RECORD = 500
BODY = "x" * 800  # with title, data and quotes a payload of about 1 KB
TTL_MS = 3_600_000
TIMEOUT_SECONDS = 300.0
TOPIC = topics.send(Platform.APNS, Lane.BULK)
GROUP = groups.send(Platform.APNS, Lane.BULK)


def run(options: Options) -> Result:
    """500 targets a record, a notification id and a device of their own each: one content for all of them in
    `stage/apns`, one for each in `stage/chat` (a tenth of the items)."""
    items = options.items or ITEMS
    setup: dict[str, Any] = {"targets_per_record": TARGETS_PER_RECORD, "body_chars": len(BODY), "sink": "pushcast sim"}
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="pushcast-bench-sim-") as folder,
        simulator(Path(folder)) as sim,
        bench_cluster(options, {"apps": {"news": {"apns": provider_settings(sim)}}}) as cluster,
        role(cluster, "sender", "--platform", "apns", "--lane", "bulk", "--slot", "b") as process,
    ):
        setup["partitions"] = cluster.settings.kafka.partitions
        for name, chat in ((ROW, False), (CHAT_ROW, True)):
            if not options.wants(name):
                continue
            options.say(f"{name}: warming up with {WARM_UP_ITEMS} pushes")
            load(cluster, process, WARM_UP_ITEMS, chat)
            count = max(1, items // 10) if chat else items
            rows.append(measured(cluster, process, sim, name, count, chat, options))
    return Result(rows, setup)


def measured(
    cluster: BenchCluster,
    process: ProcessUnderTest,
    sim: dict[str, Any],
    name: str,
    items: int,
    chat: bool,
    options: Options,
) -> Row:
    """One row of the SEND stage: send records are written, and its receipts are awaited."""
    before = sum(cluster.ends(topics.RECEIPT))
    accepted_before = _accepted(sim)
    options.say(f"{name}: {items} pushes")
    start = process.reading()
    load(cluster, process, items, chat)
    row = process.row(name, items, start)
    receipts, accepted = sum(cluster.ends(topics.RECEIPT)) - before, _accepted(sim) - accepted_before
    if receipts != items or accepted != items:
        raise PushcastError(f"{items} pushes became {accepted} at the simulator and {receipts} receipts")
    return row


def load(cluster: BenchCluster, process: ProcessUnderTest, items: int, chat: bool) -> None:
    """Produces send records and returns when the sender has committed all of them: their receipts are acknowledged."""
    partitions = cluster.settings.kafka.partitions
    producer = Producer({**cluster.client, "acks": "all", "linger.ms": 5})
    for number, value in enumerate(records(items, chat, int(time.time() * 1000))):
        producer.produce(TOPIC, value, None, number % partitions)
        producer.poll(0)
    left = producer.flush(TIMEOUT_SECONDS)
    if left:
        raise PushcastError(f"{left} send records could not be produced")
    ends = cluster.ends(TOPIC)
    process.until(lambda: cluster.committed(GROUP, TOPIC) == ends, "all send records are committed", TIMEOUT_SECONDS)


def records(items: int, chat: bool, now_ms: int) -> Iterator[bytes]:
    """Encoded send records, the last one smaller when `items` is no multiple."""
    for first in range(0, items, TARGETS_PER_RECORD):
        numbers = range(first, min(first + TARGETS_PER_RECORD, items))
        parts = [range(number, number + 1) for number in numbers] if chat else [numbers]
        yield encode_batch(SendBatch(Lane.BULK, Platform.APNS, [_message(part, now_ms) for part in parts]))


def _message(numbers: range, now_ms: int) -> Message:
    targets = Targets()
    columns = targets.columns()
    ids = [f"{now_ms:x}-{number:012x}" for number in numbers]
    for index, (number, notification) in enumerate(zip(numbers, ids, strict=True)):
        user, device = f"user-{number}", f"device-{number}"
        address = f"{number:064x}".encode()
        target = (
            index,
            user,
            device,
            delivery_id(notification, user, "news", device),
            0,
            address,
            "",
            token_hash(address),
            now_ms,
            number,
            now_ms + TTL_MS,
            0,
        )
        for column, value in zip(columns, target, strict=True):
            column.append(value)
    return Message(
        app="news",
        klass="digest",
        content=Content("Goal!", f"{numbers.start} {BODY}", {"match": "4711"}),
        options=SendOptions(),
        content_hash=token_hash(str(numbers.start).encode()),
        notification_ids=ids,
        created_at=[now_ms] * len(ids),
        traces=[""] * len(ids),
        targets=targets,
    )


@contextmanager
def simulator(folder: Path) -> Iterator[dict[str, Any]]:
    """`pushcast sim apns --checks off` in a process of its own; its line of JSON."""
    with sink.simulator(Platform.APNS, folder) as sim:
        yield dict(sim.line)


def _accepted(sim: dict[str, Any]) -> int:
    with urllib.request.urlopen(f"{sim['control_url']}/stats", timeout=10) as answer:  # noqa: S310 - loopback, our own
        return int(json.load(answer)["accepted"])
