"""Reads of one copy, on a real RocksDB."""

from __future__ import annotations

import random
from pathlib import Path

from pushcast.handover.guard import VOID_PREFIX
from pushcast.stream.rocks import open_database
from pushcast.transport.store import table_options
from pushcast.transport.table_reads import multi_scan
from pushcast.wire import row_fences


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
