"""A table that is up to date, and whose log is shorter all at once: its copy holds what nobody else has read."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import faust
import pytest
from faust.types import TP

from pushcast.transport import consumer as consumer_module
from pushcast.transport.app import add_devices_table, make_app
from pushcast.transport.jumps import Jump
from pushcast.transport.records import FetchedRecord
from pushcast.transport.table import SourceTable

TAIL = TP("push.device.v1", 0)


def row(offset: int) -> FetchedRecord:
    key, value = b"u%d\0app\0d" % offset, b"row"
    return FetchedRecord(
        TAIL.topic, TAIL.partition, offset, int(time.time() * 1000), 0, key, value, None, len(key), len(value), ()
    )


class Ended(BaseException):
    """Of the process."""


def consumer_of(app: faust.App) -> Any:
    async def ignore(*_: object) -> None:
        return

    made = cast(Any, app.transport).create_consumer(ignore, on_partitions_revoked=ignore, on_partitions_assigned=ignore)
    made.thread.thread_loop.close()
    return made


async def test_the_process_ends_and_the_next_one_reads_the_table_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[BaseException] = []

    def end(what: str, error: BaseException) -> None:
        ends.append(error)
        raise Ended

    monkeypatch.setattr(consumer_module, "end_process", end)
    app = make_app("group", bootstrap_servers="k:1", partitions=1, data_dir=tmp_path)
    table: SourceTable = add_devices_table(app, TAIL.topic)
    cast(Any, app.tables)._changelogs[TAIL.topic] = table
    consumer = consumer_of(app)
    recovery = cast(Any, app.tables).recovery
    recovery.add_active(table, TAIL)
    consumer._tables.apply(TAIL, [row(offset) for offset in range(40)])
    assert consumer.tails() == {}, "it is brought up to date"
    monkeypatch.setattr(type(consumer), "restored", True)
    assert consumer.tails() == {TAIL: 40}
    with pytest.raises(Ended):
        consumer._jump({TAIL: Jump(40, 0, cut=True)})
    assert "goes on at 0" in str(ends[0])
    store = table._store_of()
    store._dbs.pop(0).close()
    assert store.persisted_offset(TAIL) is None, (
        "else rows of the log that is gone would stay, and newer ones be skipped"
    )
    store._dbs.pop(0).close()
