"""`bench report`: receipts and planned records into an empty report store, until nothing is behind.

`report/memory`, for which one has to ask, tells whether a reporter's memory keeps growing.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from typing import Any

from pushcast.bench import meter
from pushcast.bench.base import Options, Result, Row
from pushcast.bench.cluster import BenchCluster, bench_cluster, is_ready, role
from pushcast.bench.planning import Produced, produce
from pushcast.model.ids import delivery_id, partition_of
from pushcast.model.words import Lane
from pushcast.runtime import whereabouts
from pushcast.wire import topics
from pushcast.wire.answers.receipts import Planned, PlannedFacts, Receipt, encode_planned, encode_receipt

RECEIPTS, REBUILD, MEMORY = "report/receipts", "report/rebuild", "report/memory"
ITEMS = 400_000
#: Of `report/memory`: in waves, each a burst of planned records with the receipts behind it, as campaigns have them.
MEMORY_ITEMS = 4_000_000
WAVE_ITEMS = 400_000
#: Of one campaign and of chats: half of the receipts each.
CAMPAIGNS = 10
PLANNED_ROWS = 500
WAIT_SECONDS = 300.0
CONFIGURATION: dict[str, Any] = {"apps": {"news": {}}, "reports": {}}


def run(options: Options) -> Result:
    """Half of the receipts belong to ten campaigns, half to notifications of their own."""
    if options.shapes is not None and options.wants(MEMORY):
        return _memory(options)
    items = options.items or ITEMS
    with bench_cluster(options, CONFIGURATION) as cluster:
        wanted = _write(cluster, options, range(items))
        with role(cluster, "reporter", "--slot", "b") as process:
            start = process.reading()
            process.until(partial(_has_applied, cluster, wanted), "everything is applied", WAIT_SECONDS)
            row = process.row(RECEIPTS, items, start)
    rows = [row, Row(REBUILD, row.items, row.seconds, row.cpu_seconds, row.rss_bytes)]
    return Result([each for each in rows if options.wants(each.name)], _setup(cluster))


def _memory(options: Options) -> Result:
    """The row has the peak; `setup.resident_mb` the memory at the start and after each wave."""
    items = options.items or MEMORY_ITEMS
    with bench_cluster(options, CONFIGURATION) as cluster, role(cluster, "reporter", "--slot", "b") as process:
        start, found = process.reading(), [meter.resident_bytes(process.pid)]
        for first in range(0, items, WAVE_ITEMS):
            wanted = _write(cluster, options, range(first, min(first + WAVE_ITEMS, items)))
            process.until(partial(_has_applied, cluster, wanted), "a wave is applied", WAIT_SECONDS)
            found.append(meter.resident_bytes(process.pid))
        row = process.row(MEMORY, items, start)
    more = {"wave_items": WAVE_ITEMS, "resident_mb": [round(size / 1e6) for size in found]}
    return Result([row], _setup(cluster) | more)


def _setup(cluster: BenchCluster) -> dict[str, Any]:
    return {"partitions": cluster.settings.kafka.partitions, "campaigns": CAMPAIGNS}


def _write(cluster: BenchCluster, options: Options, numbers: range) -> int:
    """Returns how many records the topics have then."""
    now_ms, partitions = time.time_ns() // 1_000_000, cluster.settings.kafka.partitions
    options.say(f"writing {len(numbers)} receipts and what was planned for them")
    produce(cluster, topics.PLANNED, _planned(numbers, partitions, now_ms))
    produce(cluster, topics.RECEIPT, _receipts(numbers, partitions, now_ms))
    return sum(cluster.ends(topics.RECEIPT)) + sum(cluster.ends(topics.PLANNED))


def _note(number: int) -> str:
    return f"campaign-{number // 2 % CAMPAIGNS}" if number % 2 else f"chat-{number}"


def _place(number: int, partitions: int) -> tuple[str, int]:
    user = f"user-{number}"
    return user, partition_of(user.encode(), partitions)


def _planned(numbers: range, partitions: int, now_ms: int) -> Iterator[tuple[int, None, bytes]]:
    open_records = [Planned(Lane.BULK) for _ in range(partitions)]
    facts = PlannedFacts("news", "default", now_ms, now_ms, now_ms + 86_400_000, False, "", 0)
    for number in numbers:
        _, partition = _place(number, partitions)
        record = open_records[partition]
        record.add(number, _note(number), {"apns": 1}, facts=facts)
        if len(record) == PLANNED_ROWS:
            yield partition, None, encode_planned(record, now_ms)
            open_records[partition] = Planned(Lane.BULK)
    for partition, record in enumerate(open_records):
        if len(record):
            yield partition, None, encode_planned(record, now_ms)


def _receipts(numbers: range, partitions: int, now_ms: int) -> Iterator[Produced]:
    for number in numbers:
        user, partition = _place(number, partitions)
        receipt = Receipt(
            delivery_id(_note(number), user, "news", "d"), _note(number), user, "news", "d", "apns", Lane.BULK,
            "default", "accepted", None, "00000000-0000-0000-0000-000000000000", 200, 1, False, 0, partition, number,
            now_ms, now_ms + number % 5000,
        )  # fmt: skip
        yield partition, user.encode(), encode_receipt(receipt)


def _has_applied(cluster: BenchCluster, records: int) -> bool:
    return _applied(cluster) >= records


def _applied(cluster: BenchCluster) -> int:
    """Records that the reporter has applied."""
    for entry in whereabouts.read_all(cluster.settings.data_dir):
        if is_ready(cluster, entry.pid):
            with urllib.request.urlopen(f"http://{entry.host}:{entry.port}/_info", timeout=5) as answer:
                return int(json.load(answer)["applied"])
    return 0
