"""Workers that are killed, join and leave: nothing is lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flow.kafka_tools import committed, create_topic, produce, read_all
from flow.processes import Worker, worker

PARTITIONS = 4
RECORDS = 8000


def values(count: int) -> list[bytes]:
    """Every 500th in a partition is one that a worker may hold."""
    return [b"%s-%d" % (b"hold" if number // PARTITIONS % 500 == 250 else b"go", number) for number in range(count)]


def write(kafka: str, topic: str, records: list[bytes]) -> None:
    produce(kafka, topic, [(int(value.split(b"-")[1]) % PARTITIONS, None, value) for value in records])


async def copied(kafka: str, topic: str, enough: Callable[[Counter[bytes]], bool]) -> Counter[bytes]:
    deadline = asyncio.get_running_loop().time() + 30
    while True:
        found = Counter(message.value() or b"" for message in await asyncio.to_thread(read_all, kafka, topic))
        if enough(found):
            return found
        assert asyncio.get_running_loop().time() < deadline, f"{len(found)} copied"
        await asyncio.sleep(0.1)


async def handled(process: Worker, records: int) -> None:
    count = 0
    while count < records:
        line = await process.line()
        count += int(line) if line.isdigit() else 0


async def test_records_finished_out_of_order_before_a_kill_are_not_lost(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    source, target = create_topic(kafka, unique("in"), PARTITIONS), create_topic(kafka, unique("out"), PARTITIONS)
    sent = values(RECORDS)
    held = {value for value in sent if value.startswith(b"hold")}
    write(kafka, source, sent)
    options: dict[str, Any] = {
        "bootstrap_servers": kafka,
        "group": unique("copy"),
        "source": source,
        "target": target,
        "partitions": PARTITIONS,
        "data_dir": str(tmp_path),
        "slot": "0",
    }
    async with worker("transport_worker", **options, hold=True) as first:
        await copied(kafka, target, lambda found: len(found) == RECORDS - len(held))
        await first.kill()
    low = await committed(kafka, options["group"], source)
    assert all(offset is None or offset <= 250 for offset, _ in low.values()), low
    async with worker("transport_worker", **options) as second:
        found = await copied(kafka, target, lambda found: len(found) == RECORDS)
        assert await second.stop() == 0
    assert set(found) == set(sent)
    assert {offset for offset, _ in (await committed(kafka, options["group"], source)).values()} == {
        RECORDS // PARTITIONS
    }


async def test_a_worker_that_joins_and_leaves_loses_and_repeats_nothing(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    source, target = create_topic(kafka, unique("in"), PARTITIONS), create_topic(kafka, unique("out"), PARTITIONS)
    options: dict[str, Any] = {
        "bootstrap_servers": kafka,
        "group": unique("copy"),
        "source": source,
        "target": target,
        "partitions": PARTITIONS,
    }
    sent: list[bytes] = []
    moved = asyncio.Event()

    async def load() -> None:
        while not moved.is_set():
            chunk = [b"go-%d" % number for number in range(len(sent), len(sent) + 400)]
            await asyncio.to_thread(write, kafka, source, chunk)
            sent.extend(chunk)
            await asyncio.sleep(0.05)

    async with worker("transport_worker", **options, data_dir=str(tmp_path / "a")) as first:
        await first.ready()
        loading = asyncio.create_task(load())
        async with worker("transport_worker", **options, data_dir=str(tmp_path / "b")) as second:
            await second.ready()
            await handled(second, 1000)
            assert await second.stop() == 0
        await handled(first, 1000)
        moved.set()
        await loading
        found = await copied(kafka, target, lambda found: len(found) == len(sent))
        assert await first.stop() == 0
    assert set(found) == set(sent)
    assert {value: count for value, count in found.items() if count > 1} == {}
