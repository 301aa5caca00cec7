"""The index of a local copy, on a real RocksDB."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import rocksdict

from pushcast.stream.rocks import open_database
from pushcast.transport.store import table_options
from pushcast.transport.table_index import INDEX, TableIndex


@pytest.fixture
def database(tmp_path: Path) -> Iterator[rocksdict.Rdict]:
    opened = open_database(tmp_path / "copy", table_options())
    yield opened
    opened.close()


def entry_itself(rows: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    return [value for _, value in rows]


def write(index: TableIndex, database: rocksdict.Rdict, *entries: bytes) -> None:
    for key in index.entries(0, [(b"user\0%d" % at, entry) for at, entry in enumerate(entries)]):
        database.put(key, b"")


def test_what_begins_earlier_than_anything_before_it_is_found(database: rocksdict.Rdict) -> None:
    index = TableIndex(entry_itself)
    assert index.read(0, database, b"\x01", b"\x02", 10) == []
    write(index, database, b"\x01m", b"\x01q")
    assert index.read(0, database, b"\x01", b"\x01p", 10) == [b"\x01m"]
    index.forget(database, [b"\x01m"])
    assert index.read(0, database, b"\x01", b"\x02", 10) == [b"\x01q"]
    write(index, database, b"\x01a")
    assert index.read(0, database, b"\x01", b"\x02", 10) == [b"\x01a", b"\x01q"]


def test_whatever_is_written_read_and_forgotten_in_whatever_order_a_read_finds_what_is_there(
    database: rocksdict.Rdict,
) -> None:
    rnd = random.Random(5)
    index, there = TableIndex(entry_itself), set[bytes]()
    for _ in range(3_000):
        entry = bytes((rnd.randrange(3), rnd.randrange(40)))
        match rnd.randrange(3):
            case 0:
                write(index, database, entry)
                there.add(entry)
            case 1:
                gone = sorted(there)[: rnd.randrange(3)]
                index.forget(database, gone)
                there.difference_update(gone)
            case _:
                first = rnd.choice([entry[:1], entry])
                before = rnd.choice([bytes((entry[0] + 1,)), first + b"\x14", b"\x03"])
                limit = rnd.choice([1, 4, 100])
                found = sorted(each for each in there if first <= each < before)[:limit]
                assert index.read(0, database, first, before, limit) == found


def test_a_queue_whose_beginning_was_forgotten_is_not_walked_over_again(database: rocksdict.Rdict) -> None:
    index = TableIndex(entry_itself)
    entries = [b"\x01%05d" % number for number in range(2_000)]
    write(index, database, *entries)
    index.forget(database, entries[:-1])
    assert index.read(0, database, b"\x01", b"\x02", 1) == entries[-1:]
    database.put(INDEX + entries[0], b"")  # behind its back: a walk from the queue's first byte on would find it
    assert index.read(0, database, b"\x01", b"\x02", 1) == entries[-1:]
    index.clear(0)
    assert index.read(0, database, b"\x01", b"\x02", 1) == entries[:1]


def test_what_is_no_row_has_no_entries() -> None:
    index = TableIndex(entry_itself)
    assert list(index.entries(0, [(b"\0push-fence", b"x"), (b"u\0t\0n", None), (b"\xff\xffpushcast", b"x")])) == []
