"""The transport inside a test: commits with metadata, pauses, errors, preparation."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faust

from flow.kafka_tools import committed, create_topic, lag, produce, running, until
from flow.processes import worker
from pushcast.stream.batch import TP, Batch, Bounds, Committed
from pushcast.stream.stage import Stage
from pushcast.transport.app import add_batch_stage, make_app

PARTITIONS = 4


class Collect(Stage):
    """Finishes what it gets, unless the partition is to be kept open."""

    def __init__(self) -> None:
        self.prepared: list[dict[TP, Committed]] = []
        self.values: Counter[bytes | None] = Counter()
        self.kept: dict[int, list[Batch]] = {}
        self.keep: set[int] = set()
        self.metadata = "first"

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        self.prepared.append(committed)

    async def handle(self, batch: Batch) -> None:
        self.values.update(record.value for record in batch.records)
        if batch.partition in self.keep:
            self.kept.setdefault(batch.partition, []).append(batch)
        else:
            batch.done_all()

    async def revoking(self, partitions: set[TP]) -> None:
        """Drops what is open."""

    def commit_metadata(self, tp: TP, offset: int) -> str:
        return f"{self.metadata} {tp.partition} {offset}"


def app_with(
    stage: Stage, kafka: str, group: str, topic: str, data_dir: Path, bounds: Bounds | None = None
) -> faust.App:
    app = make_app(
        group, bootstrap_servers=kafka, partitions=PARTITIONS, data_dir=data_dir, slot="0", max_poll_records=100
    )
    add_batch_stage(app, [topic], stage, bounds=bounds or Bounds())
    return app


async def test_offsets_and_metadata_come_back_to_the_next_owner(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    topic, group = create_topic(kafka, unique("in"), PARTITIONS), unique("group")
    produce(kafka, topic, [(partition, None, b"%d" % partition) for partition in range(3)])
    first = Collect()
    app = app_with(first, kafka, group, topic, tmp_path)
    async with running(app):
        await until(lambda: lag(app) == 0 and len(first.values) == 3, "all is done")
    assert [set(first.prepared[0].values()), len(first.prepared)] == [{Committed(None, "")}, 1]
    found = await committed(kafka, group, topic)
    assert found == {0: (1, "first 0 1"), 1: (1, "first 1 1"), 2: (1, "first 2 1"), 3: (None, "")}

    second = Collect()
    async with running(app_with(second, kafka, group, topic, tmp_path)):
        mine = second.prepared[0]
        assert mine[TP(topic, 0)] == Committed(1, "first 0 1")
        assert mine[TP(topic, 3)] == Committed(None, "")
        second.metadata = "idle"
        assert await second.work.commit_now([TP(topic, 0), TP(topic, 3)])
        found = await committed(kafka, group, topic)
        # What the others' metadata is by now depends on the transport's own refresh.
        assert (found[0], found[3]) == ((1, "idle 0 1"), (0, "idle 3 0"))
    assert not second.values


async def test_a_full_partition_stops_its_own_fetching_and_no_other(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    topic, group = create_topic(kafka, unique("in"), PARTITIONS), unique("group")
    stage = Collect()
    stage.keep = {0}
    app = app_with(stage, kafka, group, topic, tmp_path, Bounds(records=300))
    produce(kafka, topic, [(number % 2, None, b"%d-%d" % (number % 2, number // 2)) for number in range(8000)])
    async with running(app):

        def of(partition: int) -> int:
            return sum(1 for value in stage.values if value is not None and value.startswith(b"%d-" % partition))

        def full() -> bool:
            return any(each.partition == 0 and each.paused for each in stage.work.states())

        await until(lambda: full() and of(1) == 4000, "partition 1 is through while partition 0 is full")
        produce(kafka, topic, [(1, None, b"1-late"), (0, None, b"0-late")])
        await until(lambda: b"1-late" in stage.values, "partition 1 goes on")
        state = next(each for each in stage.work.states() if each.partition == 0)
        assert 300 <= state.in_flight_records < 300 + 100
        assert of(0) <= state.in_flight_records
        stage.keep.clear()
        for batch in stage.kept[0]:
            batch.done_all()
        await until(lambda: b"0-late" in stage.values, "partition 0 goes on when its records are done")
        await until(lambda: lag(app) == 0, "all is done")
    assert set(stage.values.values()) == {1}
    assert (await committed(kafka, group, topic))[0][0] == 4001


async def test_an_unexpected_exception_ends_the_process_unacknowledged(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    topic, group = create_topic(kafka, unique("in"), PARTITIONS), unique("group")
    target = create_topic(kafka, unique("out"), PARTITIONS)
    produce(kafka, topic, [(0, None, b"a"), (0, None, b"bug"), (0, None, b"b")])
    options: dict[str, Any] = {
        "source": topic,
        "target": target,
        "partitions": PARTITIONS,
        "data_dir": str(tmp_path),
        "slot": "0",
    }
    async with worker("transport_worker", bootstrap_servers=kafka, group=group, **options) as process:
        assert await asyncio.wait_for(process.process.wait(), 30) == 70
    assert (await committed(kafka, group, topic))[0][0] is None


async def test_nothing_is_handed_over_before_the_stage_is_prepared(
    kafka: str, unique: Callable[[str], str], tmp_path: Path
) -> None:
    class Slow(Collect):
        def __init__(self) -> None:
            super().__init__()
            self.gate = asyncio.Event()
            self.tries = 0

        async def assigned(self, committed: dict[TP, Committed]) -> None:
            self.tries += 1
            if self.tries == 1:
                raise OSError("not yet")
            self.prepared.append(committed)
            await self.gate.wait()

    topic, group = create_topic(kafka, unique("in"), PARTITIONS), unique("group")
    produce(kafka, topic, [(0, None, b"a")])
    stage = Slow()
    app = app_with(stage, kafka, group, topic, tmp_path)

    async def open_gate() -> None:
        await until(
            lambda: bool(stage.prepared) and any(s.in_flight_records for s in stage.work.states()), "it is fetched"
        )
        assert not stage.values
        stage.gate.set()

    opening = asyncio.create_task(open_gate())
    async with running(app):
        await opening
        await until(lambda: stage.values == {b"a": 1}, "it is handed over")


async def test_plain_agents_run_beside_stages(kafka: str, unique: Callable[[str], str], tmp_path: Path) -> None:
    topic, control, group = create_topic(kafka, unique("in")), create_topic(kafka, unique("control")), unique("group")
    stage, seen = Collect(), list[bytes]()
    app = app_with(stage, kafka, group, topic, tmp_path)

    @app.agent(app.topic(control, key_type=bytes, value_type=bytes, value_serializer="raw", key_serializer="raw"))
    async def agent(stream: faust.StreamT[bytes]) -> None:
        async for value in stream:
            seen.append(value)

    produce(kafka, topic, [(0, None, b"a")])
    produce(kafka, control, [(1, b"k", b"c")])
    async with running(app):
        await until(lambda: seen == [b"c"] and stage.values == {b"a": 1}, "both are read")
    assert (await committed(kafka, group, control))[1][0] == 1
