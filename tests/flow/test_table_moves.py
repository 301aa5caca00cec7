"""Owners of a table that are killed, moved and rebuilt agree with the compacted log."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flow.kafka_tools import create_topic, produce
from flow.processes import Worker, worker

PARTITIONS = 4
KEYS = 2000

Rows = dict[int, dict[bytes, bytes]]


class Log:
    """What was written, and what must therefore be in the table."""

    def __init__(self, kafka: str, topic: str) -> None:
        self.kafka = kafka
        self.topic = topic
        self.rows: Rows = {partition: {} for partition in range(PARTITIONS)}
        self.random = random.Random(7)

    def write(self, count: int) -> None:
        """Random updates, one in ten a tombstone."""
        records: list[tuple[int, bytes, bytes | None]] = []
        for _ in range(count):
            number = self.random.randrange(KEYS)
            partition, key = number % PARTITIONS, b"user-%d\0app\0d" % number
            value = None if self.random.random() < 0.1 else self.random.randbytes(40)
            records.append((partition, key, value))
            if value is None:
                self.rows[partition].pop(key, None)
            else:
                self.rows[partition][key] = value
        produce(self.kafka, self.topic, records)


async def owned(process: Worker) -> tuple[dict[int, int], Rows]:
    assert process.process.stdin is not None
    process.process.stdin.write(b"?\n")
    while not (line := await process.line()).startswith("{"):
        pass
    answer: dict[str, Any] = json.loads(line)
    rows = {
        int(partition): {bytes.fromhex(key): bytes.fromhex(value) for key, value in found}
        for partition, found in answer["rows"].items()
    }
    return {int(partition): position for partition, position in answer["positions"].items()}, rows


async def agrees(log: Log, *processes: Worker) -> None:
    """The owners together hold every partition once, each as written."""
    deadline = asyncio.get_running_loop().time() + 30
    while True:
        union: Rows = {}
        holders = 0
        for process in processes:
            _, rows = await owned(process)
            holders += len(rows)
            union |= rows
        if holders == PARTITIONS and union == log.rows:
            return
        assert asyncio.get_running_loop().time() < deadline, {
            "owned": holders,
            "wrong": {p: len(set(union.get(p, {}).items()) ^ set(log.rows[p].items())) for p in log.rows},
        }
        await asyncio.sleep(0.1)


async def test_a_table_survives_kills_moves_and_rebuilds(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    # Segments of 1 MiB that roll after a second and are compacted at once: the log really loses records meanwhile.
    devices = create_topic(
        kafka,
        unique("devices"),
        PARTITIONS,
        cleanup_policy="compact",
        segment_ms="1000",
        segment_bytes="1048576",
        min_cleanable_dirty_ratio="0.01",
        max_compaction_lag_ms="1000",
    )
    log = Log(kafka, devices)
    options: dict[str, Any] = {
        "bootstrap_servers": kafka,
        "group": unique("table"),
        "source": create_topic(kafka, unique("events"), PARTITIONS),
        "devices": devices,
        "partitions": PARTITIONS,
    }
    first_dir, second_dir = tmp_path / "first", tmp_path / "second"
    log.write(4000)
    async with worker("table_worker", data_dir=str(first_dir), **options) as first:
        await first.ready()
        await agrees(log, first)
        log.write(2000)
        await first.kill()
    log.write(2000)
    async with (
        worker("table_worker", data_dir=str(first_dir), **options) as first,
        worker("table_worker", data_dir=str(second_dir), **options) as second,
    ):
        await asyncio.gather(first.ready(), second.ready())
        await agrees(log, first, second)
        log.write(2000)
        assert await second.stop() == 0
        await agrees(log, first)
        shutil.rmtree(second_dir)
        async with worker("table_worker", data_dir=str(second_dir), **options) as second:
            await second.ready()
            log.write(2000)
            await agrees(log, first, second)
