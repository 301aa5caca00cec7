"""A copy of a table with a damaged block: no read takes it for the end of the table, and the next start rebuilds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faust
import pytest
import rocksdict
from faust.types import TP

from pushcast.stream.rocks import open_database
from pushcast.transport.app import add_devices_table, make_app
from pushcast.transport.store import OFFSET_KEY, table_options
from pushcast.transport.table import SourceTable
from pushcast.transport.table_index import INDEX

ROWS = 2_000
TOPIC = "push.device.v1"


def key(number: int) -> bytes:
    return b"u%04d\0app\0d" % number


def fill(path: Path, end: bytes = b"1999:4000000000") -> None:
    """A copy as a table has it, in one file."""
    database = open_database(path, table_options())
    batch = rocksdict.WriteBatch(raw_mode=True)
    for number in range(ROWS):
        batch.put(key(number), b"%d" % (number * 7_919 % 10_007) * 30)
        batch.put(INDEX + key(number), b"%d" % (number * 7_919 % 10_007) * 30)
    batch.put(OFFSET_KEY, end)
    database.write(batch)
    database.flush()
    database.close()


def damage(path: Path, share: float) -> None:
    (file,) = path.glob("*.sst")
    data = bytearray(file.read_bytes())
    at = int(len(data) * share)
    for index in range(at, at + 20):
        data[index] ^= 0xFF
    file.write_bytes(data)


@pytest.fixture
def app(tmp_path: Path) -> faust.App:
    return make_app("group", bootstrap_servers="k:1", partitions=1, data_dir=tmp_path)


@pytest.fixture
def table(app: faust.App) -> Iterator[SourceTable]:
    made = add_devices_table(app, TOPIC)
    made.guard("register")
    made.index_by(lambda rows: [key for key, _ in rows])
    yield made
    for database in made._store_of()._dbs.values():
        database.close()


def path_of(table: SourceTable) -> Path:
    path = Path(table._store_of().partition_path(0))
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


READS: dict[str, Callable[[SourceTable], Any]] = {
    "get": lambda table: [table.get(0, key(number)) for number in range(ROWS)],
    "get_many": lambda table: table.get_many(0, [key(number) for number in range(ROWS)]),
    "multi_scan": lambda table: table.multi_scan(0, [key(number)[:6] for number in range(ROWS)]),
    "rows_after": lambda table: table.rows_after(0, b"", 10 * ROWS),
    "scan": lambda table: table.scan(0, b"u"),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_read_that_comes_to_it_raises_and_the_next_start_makes_the_copy_anew(
    table: SourceTable, read: Callable[[SourceTable], Any]
) -> None:
    path = path_of(table)
    fill(path)
    damage(path, 0.25)
    with pytest.raises(Exception, match="Corruption"):
        read(table)
    store = table._store_of()
    store._dbs.pop(0).close()
    assert store.persisted_offset(TP(TOPIC, 0)) is None, "it is rebuilt from its topic"


def test_entries_of_an_index_behind_it_are_not_taken_for_gone(table: SourceTable) -> None:
    path = path_of(table)
    fill(path)
    damage(path, 0.75)
    with pytest.raises(Exception, match="Corruption"):
        table.index(0, b"u", b"v", 10 * ROWS)
    assert (path / "CONDEMNED").exists()


def test_a_damaged_block_that_holds_the_offset_is_found_when_it_is_opened(
    table: SourceTable, caplog: pytest.LogCaptureFixture
) -> None:
    path = path_of(table)
    database = open_database(path, table_options())
    database.put(OFFSET_KEY, b"1999:4000000000")
    database.flush()
    database.close()
    damage(path, 0.01)
    assert table._store_of().persisted_offset(TP(TOPIC, 0)) is None
    assert "dropped and rebuilt" in caplog.text


def test_an_error_that_is_no_damage_condemns_nothing(table: SourceTable) -> None:
    path = path_of(table)
    fill(path)
    with pytest.raises(KeyError):
        table.get(0, None)  # type: ignore[arg-type]
    assert not (path / "CONDEMNED").exists()


def test_a_copy_that_another_has_open_is_left_alone(table: SourceTable) -> None:
    path = path_of(table)
    held = open_database(path, table_options())
    held.put(key(1), b"row")
    with pytest.raises(Exception, match="lock"):
        table.get(0, key(1))
    assert held.get(key(1)) == b"row"
    held.close()
    assert table.get(0, key(1)) == b"row"
