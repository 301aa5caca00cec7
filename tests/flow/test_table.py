"""The devices table inside a test."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import faust
import pytest
import rocksdict

from flow.kafka_tools import create_topic, produce, running, until
from pushcast.stream.batch import Batch, Bounds, Record
from pushcast.stream.stage import Stage
from pushcast.transport.app import add_batch_stage, add_devices_table, make_app
from pushcast.transport.store import OFFSET_KEY
from pushcast.transport.table import SourceTable
from pushcast.wire.devices.row_fences import records

PARTITIONS = 2


class Ignore(Stage):
    async def handle(self, batch: Batch) -> None:
        batch.done_all()


@pytest.fixture
def topics(kafka: str, unique: Callable[[str], str]) -> tuple[str, str]:
    """A compacted devices topic and an event topic."""
    return (
        create_topic(kafka, unique("devices"), PARTITIONS, cleanup_policy="compact"),
        create_topic(kafka, unique("events"), PARTITIONS),
    )


def app_with_table(
    kafka: str, topics: tuple[str, str], data_dir: Path, stale_after_seconds: float | None = None
) -> tuple[faust.App, SourceTable]:
    app = make_app(f"group-of-{topics[0]}", bootstrap_servers=kafka, partitions=PARTITIONS, data_dir=data_dir, slot="0")
    table = add_devices_table(app, topics[0], stale_after_seconds=stale_after_seconds)
    add_batch_stage(app, [topics[1]], Ignore(), bounds=Bounds())
    return app, table


def database_dir(data_dir: Path) -> Path:
    """The directory of partition 0."""
    (found,) = data_dir.glob("**/*-0.db")
    return found


async def test_rows_are_there_after_recovery_and_follow_the_topic(
    kafka: str, topics: tuple[str, str], tmp_path: Path
) -> None:
    rows = [(0, b"u1\0a\0d1", b"1"), (0, b"u1\0a\0d2", b"2"), (0, b"u10\0a\0d", b"3"), (1, b"u2\0a\0d", b"4")]
    produce(kafka, topics[0], rows)
    app, table = app_with_table(kafka, topics, tmp_path)
    applied: list[tuple[int, list[int]]] = []

    def note(partition: int, records: Sequence[Record]) -> None:
        applied.append((partition, [record.offset for record in records]))

    async with running(app):
        table.on_applied(note)
        assert table.scan(0, b"u1\0") == [(b"u1\0a\0d1", b"1"), (b"u1\0a\0d2", b"2")]
        assert table.multi_scan(0, [b"u9\0", b"u10\0", b"u1\0", b"u10\0"]) == [
            [],
            [(b"u10\0a\0d", b"3")],
            [(b"u1\0a\0d1", b"1"), (b"u1\0a\0d2", b"2")],
            [(b"u10\0a\0d", b"3")],
        ]
        assert table.get(1, b"u2\0a\0d") == b"4"
        assert table.get(1, b"u3\0a\0d") is None
        assert [table.position(partition) for partition in range(PARTITIONS)] == [3, 1]
        produce(kafka, topics[0], [(0, b"u1\0a\0d1", None), (0, b"u1\0a\0d3", b"5")])
        await until(lambda: table.position(0) == 5, "the tail is applied")
        assert table.scan(0, b"u1\0") == [(b"u1\0a\0d2", b"2"), (b"u1\0a\0d3", b"5")]
        assert [offset for partition, offsets in applied if partition == 0 for offset in offsets] == [3, 4]
        assert len(table.scan(0, b"")) == 3
        produce(kafka, topics[0], [(0, key, value) for key, value in records("register/0", 7).items()])
        await until(lambda: table.position(0) == 7, "the fences of both releases are applied")
        assert len(table.scan(0, b"")) == 3


async def test_recovery_ends_at_a_transaction_marker(kafka: str, topics: tuple[str, str], tmp_path: Path) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": kafka, "transactional.id": topics[0]})
    await asyncio.to_thread(producer.init_transactions, 20)
    producer.begin_transaction()
    producer.produce(topics[0], b"1", b"u1\0a\0d", 0)
    await asyncio.to_thread(producer.commit_transaction, 20)
    app, table = app_with_table(kafka, topics, tmp_path)
    async with running(app):  # the last offset of partition 0 is the marker
        assert table.scan(0, b"") == [(b"u1\0a\0d", b"1")]


@pytest.mark.parametrize("broken", ["truncated", "stale", "condemned", "garbage"])
async def test_a_copy_that_is_broken_or_stale_is_rebuilt(
    kafka: str, topics: tuple[str, str], tmp_path: Path, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    produce(kafka, topics[0], [(0, b"u%d\0a\0d" % number, b"x" * 100) for number in range(500)])
    app, table = app_with_table(kafka, topics, tmp_path)
    async with running(app):
        assert len(table.scan(0, b"")) == 500
    path = database_dir(tmp_path)
    match broken:
        case "truncated":
            for manifest in path.glob("MANIFEST-*"):
                manifest.write_bytes(manifest.read_bytes()[:10])
        case "garbage":
            (path / "CURRENT").write_bytes(b"nonsense")
        case "condemned":
            (path / "CONDEMNED").touch()
        case "stale":
            database = rocksdict.Rdict(str(path), rocksdict.Options(raw_mode=True))
            # A ghost, whose tombstone was compacted away while this copy was not looked after.
            database[b"ghost\0a\0d"] = b"g"
            database[OFFSET_KEY] = b"499:%d" % (time.time() - 100)
            database.close()
    app, table = app_with_table(kafka, topics, tmp_path, stale_after_seconds=50)
    with caplog.at_level(logging.WARNING, "pushcast.transport.store"):
        async with running(app):
            rows = table.scan(0, b"")
    assert len(rows) == 500
    assert "dropped and rebuilt" in caplog.text


async def test_a_restart_keeps_the_copy_and_its_options(
    kafka: str, topics: tuple[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    produce(kafka, topics[0], [(0, b"u%d\0a\0d" % number, b"x") for number in range(50)])
    app, table = app_with_table(kafka, topics, tmp_path)
    async with running(app):
        assert table.position(0) == 50
    app, table = app_with_table(kafka, topics, tmp_path)
    applied: list[int] = []
    table.on_applied(lambda partition, records: applied.append(len(records)))
    async with running(app):
        assert len(table.scan(0, b"")) == 50
    assert applied == []
    options = max(database_dir(tmp_path).glob("OPTIONS-*"), key=lambda each: each.stat().st_mtime).read_text()
    assert "filter_policy=bloomfilter" in options
    assert "compression=kLZ4Compression" in options
    assert "dropped" not in caplog.text


@pytest.mark.parametrize("foreign", ["of another log", "beyond the end"])
async def test_a_copy_of_another_log_is_dropped_with_one_line_and_rebuilt(
    kafka: str, topics: tuple[str, str], tmp_path: Path, foreign: str, caplog: pytest.LogCaptureFixture
) -> None:
    produce(kafka, topics[0], [(0, b"u%d\0a\0d" % number, b"x") for number in range(50)])
    app, table = app_with_table(kafka, topics, tmp_path)
    table.copy_of("cluster/one")
    async with running(app):
        assert len(table.scan(0, b"u")) == 50
    database = rocksdict.Rdict(str(database_dir(tmp_path)), rocksdict.Options(raw_mode=True))
    database[b"stranger\0a\0d"] = b"of another cluster"
    if foreign == "beyond the end":
        database[OFFSET_KEY] = b"400:%d" % time.time()
    database.close()
    app, table = app_with_table(kafka, topics, tmp_path)
    table.copy_of("cluster/one" if foreign == "beyond the end" else "cluster/two")
    with caplog.at_level(logging.WARNING, "pushcast.transport.store"):
        async with running(app):
            assert len(table.scan(0, b"")) == 50
    dropped = [record for record in caplog.records if "dropped and rebuilt" in record.getMessage()]
    assert len(dropped) == 1
    assert str(database_dir(tmp_path)) in dropped[0].getMessage()


async def test_a_copy_of_this_log_is_kept(
    kafka: str, topics: tuple[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    produce(kafka, topics[0], [(0, b"u\0a\0d", b"x")])
    for _ in range(2):
        app, table = app_with_table(kafka, topics, tmp_path)
        table.copy_of("cluster/one")
        async with running(app):
            assert table.get(0, b"u\0a\0d") == b"x"
    assert "dropped" not in caplog.text
