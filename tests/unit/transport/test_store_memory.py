"""What a keeper's tables have in memory does not grow with its partitions, nor with what is written to them."""

from __future__ import annotations

import time
from pathlib import Path

import rocksdict

from pushcast.stream.rocks import open_database
from pushcast.transport.store import BLOCK_CACHE_BYTES, INDEXED_CACHE_BYTES, SHARED_WRITE_BUFFERS_BYTES, table_options

PARTITIONS = 8
ROWS = 2_000
ROW_BYTES = 500


def unwritten(databases: list[rocksdict.Rdict]) -> int:
    return sum(int(each.property_int_value("rocksdb.cur-size-all-mem-tables") or 0) for each in databases)


def test_tables_with_an_index_share_their_write_buffers(tmp_path: Path) -> None:
    options = table_options(shares_write_buffers=True)
    databases = [open_database(tmp_path / str(number), options) for number in range(PARTITIONS)]
    for number in range(12):
        for database in databases:
            batch = rocksdict.WriteBatch(raw_mode=True)
            for row in range(ROWS):
                batch.put(b"%d-%d" % (number, row), bytes(ROW_BYTES))
            database.write(batch)
    # RocksDB writes them out beside us, and looks for what to write out whenever a row comes. Tables with buffers of
    # their own would keep all of it.
    assert 12 * PARTITIONS * ROWS * ROW_BYTES > 2 * SHARED_WRITE_BUFFERS_BYTES
    deadline = time.monotonic() + 60
    while unwritten(databases) > 1.5 * SHARED_WRITE_BUFFERS_BYTES:
        assert time.monotonic() < deadline
        for database in databases:
            database.put(b"later", bytes(ROW_BYTES))
        time.sleep(0.05)
    for database in databases:
        database.close()


def test_a_filter_over_keys_changes_no_answer(tmp_path: Path) -> None:
    database = open_database(tmp_path / "owners", table_options(filters_keys=True))
    keys = [b"key-%d" % number for number in range(1_000)]
    for key in keys[::2]:
        database.put(key, key)
    for _ in range(2):
        assert [value for value in map(database.get, keys) if value is not None] == keys[::2]
        assert [key for key, _ in database.items()] == sorted(keys[::2])
        database.flush()
    database.close()


def test_what_tables_with_an_index_have_read_stays_within_a_cache_of_their_own(tmp_path: Path) -> None:
    for shares, bytes_ in ((True, INDEXED_CACHE_BYTES), (False, BLOCK_CACHE_BYTES)):
        database = open_database(tmp_path / str(shares), table_options(shares_write_buffers=shares))
        assert database.property_int_value("rocksdb.block-cache-capacity") == bytes_
        database.close()
