"""`bench report`: receipts and planned records into an empty report store, until nothing is behind."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

from pushcast.bench.base import Options, Result, Row
from pushcast.bench.cluster import BenchCluster, bench_cluster, is_ready, role
from pushcast.bench.planning import Produced, produce
from pushcast.model.ids import delivery_id, partition_of
from pushcast.model.words import Lane
from pushcast.runtime import whereabouts
from pushcast.wire import topics
from pushcast.wire.answers.receipts import Planned, PlannedFacts, Receipt, encode_planned, encode_receipt

RECEIPTS, REBUILD = "report/receipts", "report/rebuild"
ITEMS = 400_000
#: Of one campaign and of chats: half of the receipts each.
CAMPAIGNS = 10
PLANNED_ROWS = 500
WAIT_SECONDS = 300.0
CONFIGURATION: dict[str, Any] = {"apps": {"news": {}}, "reports": {}}


def run(options: Options) -> Result:
    """Half of the receipts belong to ten campaigns, half to notifications of their own."""
    items = options.items or ITEMS
    now_ms = time.time_ns() // 1_000_000
    with bench_cluster(options, CONFIGURATION) as cluster:
        partitions = cluster.settings.kafka.partitions
        options.say(f"writing {items} receipts and what was planned for them")
        produce(cluster, topics.PLANNED, _planned(items, partitions, now_ms))
        produce(cluster, topics.RECEIPT, _receipts(items, partitions, now_ms))
        wanted = sum(cluster.ends(topics.RECEIPT)) + sum(cluster.ends(topics.PLANNED))
        with role(cluster, "reporter", "--slot", "b") as process:
            start = process.reading()
            process.until(lambda: _applied(cluster) >= wanted, "everything is applied", WAIT_SECONDS)
            row = process.row(RECEIPTS, items, start)
    rows = [row, Row(REBUILD, row.items, row.seconds, row.cpu_seconds, row.rss_bytes)]
    return Result(
        [each for each in rows if options.wants(each.name)], {"partitions": partitions, "campaigns": CAMPAIGNS}
    )


def _note(number: int) -> str:
    return f"campaign-{number // 2 % CAMPAIGNS}" if number % 2 else f"chat-{number}"


def _place(number: int, partitions: int) -> tuple[str, int]:
    user = f"user-{number}"
    return user, partition_of(user.encode(), partitions)


def _planned(items: int, partitions: int, now_ms: int) -> Iterator[tuple[int, None, bytes]]:
    open_records = [Planned(Lane.BULK) for _ in range(partitions)]
    facts = PlannedFacts("news", "default", now_ms, now_ms, now_ms + 86_400_000, False, "", 0)
    for number in range(items):
        _, partition = _place(number, partitions)
        record = open_records[partition]
        record.add(number, _note(number), {"apns": 1}, facts=facts)
        if len(record) == PLANNED_ROWS:
            yield partition, None, encode_planned(record, now_ms)
            open_records[partition] = Planned(Lane.BULK)
    for partition, record in enumerate(open_records):
        if len(record):
            yield partition, None, encode_planned(record, now_ms)


def _receipts(items: int, partitions: int, now_ms: int) -> Iterator[Produced]:
    for number in range(items):
        user, partition = _place(number, partitions)
        receipt = Receipt(
            delivery_id(_note(number), user, "news", "d"), _note(number), user, "news", "d", "apns", Lane.BULK,
            "default", "accepted", None, "00000000-0000-0000-0000-000000000000", 200, 1, False, 0, partition, number,
            now_ms, now_ms + number % 5000,
        )  # fmt: skip
        yield partition, user.encode(), encode_receipt(receipt)


def _applied(cluster: BenchCluster) -> int:
    """Records that the reporter has applied."""
    for entry in whereabouts.read_all(cluster.settings.data_dir):
        if is_ready(cluster, entry.pid):
            with urllib.request.urlopen(f"http://{entry.host}:{entry.port}/_info", timeout=5) as answer:
                return int(json.load(answer)["applied"])
    return 0
