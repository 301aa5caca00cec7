"""Reads of one copy, on a real RocksDB."""

from __future__ import annotations

import random
from pathlib import Path

from pushcast.handover.guard import VOID_PREFIX
from pushcast.stream.rocks import open_database
from pushcast.transport.store import LOG_KEY, OFFSET_KEY, table_options
from pushcast.transport.table_index import INDEX
from pushcast.transport.table_reads import internal_rows, multi_scan
from pushcast.wire.devices import row_fences


def test_rows_of_many_prefixes_are_those_of_each_whatever_lies_between_them(tmp_path: Path) -> None:
    rnd = random.Random(3)
    database = open_database(tmp_path / "copy", table_options())
    rows = {f"u{rnd.randrange(60)}\0{rnd.randrange(3)}".encode(): b"%d" % at for at in range(40)}
    for key, value in {**rows, row_fences.KEY: b"fence", VOID_PREFIX + b"u1": b"7"}.items():
        database.put(key, value)
    for _ in range(200):
        prefixes = [f"u{rnd.randrange(70)}{rnd.choice(['', chr(0)])}".encode() for _ in range(rnd.randrange(12))]
        if rnd.random() < 0.2:
            prefixes += [b"", b"\0", b"\xff", b"z"]
        assert multi_scan(database, prefixes) == [
            sorted((key, value) for key, value in rows.items() if key.startswith(prefix)) for prefix in prefixes
        ]
    database.close()


def test_what_a_guard_goes_on_from_is_the_fences_and_void_keys_whatever_else_a_copy_keeps(tmp_path: Path) -> None:
    database = open_database(tmp_path / "copy", table_options())
    kept = {row_fences.KEY: b"fence", row_fences.OLD_KEY: b"7", VOID_PREFIX + b"u1": b"3", VOID_PREFIX + b"u2": b"4"}
    others = {OFFSET_KEY: b"9:1", LOG_KEY: b"log", INDEX + b"\x01entry": b"", b"u1\0news\0d": b"row"}
    for key, value in {**kept, **others}.items():
        database.put(key, value)
    assert dict(internal_rows(database)) == kept
    database.close()
