"""RocksDB under a source table: rows and their offset in one write, options that survive reopening."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import rocksdict
from faust.stores import rocksdb
from faust.types import TP

from pushcast.stream.rocks import cannot_be_mended, condemn, condemn_if_damaged, condemned, open_database, rocks_options
from pushcast.stream.tracker import Record

logger = logging.getLogger(__name__)

#: Where the offset is kept. No row can have this key: rows are keyed by UTF-8 user ids, and 0xff is in no UTF-8.
OFFSET_KEY = b"\xff\xffpushcast-offset"

#: Whose log the offset belongs to: `ClusterFacts.log_id`.
LOG_KEY = b"\xff\xffpushcast-log"

#: A copy older than this may have missed tombstones that compaction has removed since (`delete.retention.ms` of the
#: topic is 7 days); it is dropped and rebuilt.
STALE_AFTER_SECONDS = 5 * 86_400

BLOCK_CACHE_BYTES = 256 << 20
WRITE_BUFFER_BYTES = 16 << 20

#: Of all tables with an index together: what they have not written to files yet. Each alone may have 32 MB, and a
#: keeper has one for every partition.
SHARED_WRITE_BUFFERS_BYTES = 24 << 20

#: Of a write buffer, what the filter over its keys takes: 2 % are ten bits for each of 260,000 rows.
MEMTABLE_FILTER_SHARE = 0.02

#: Of blocks that tables with an index have read, together. A keeper reads a row once when it is due; with the others'
#: cache a million timers would take a quarter of a gigabyte of it.
INDEXED_CACHE_BYTES = 8 << 20

#: One block cache for all tables of the process without an index, and one for those with one, so memory does not grow
#: with partitions.
_block_cache = rocksdict.Cache(BLOCK_CACHE_BYTES)

_indexed_cache = rocksdict.Cache(INDEXED_CACHE_BYTES)

#: RocksDB's writers never wait for it: what is above the bound is being written to files.
_write_buffers = rocksdict.WriteBufferManager(SHARED_WRITE_BUFFERS_BYTES, False)


def table_options(*, shares_write_buffers: bool = False, filters_keys: bool = False) -> rocksdict.Options:
    """Options of a table's database. `filters_keys`: what is in no file yet has a Bloom filter, too. A key without
    a row takes 0.3 instead of 0.9 µs, a row that is written 0.2 more."""
    options = rocks_options(_indexed_cache if shares_write_buffers else _block_cache, WRITE_BUFFER_BYTES)
    if filters_keys:
        options.set_memtable_whole_key_filtering(True)
        options.set_memtable_prefix_bloom_ratio(MEMTABLE_FILTER_SHARE)
    if shares_write_buffers:
        options.set_write_buffer_manager(_write_buffers)
    return options


class BatchStore(rocksdb.Store):
    """One database per partition. Not durable against power loss, but never ahead of its offset: it is replayed."""

    stale_after_seconds: float = STALE_AFTER_SECONDS
    #: Whether `SHARED_WRITE_BUFFERS_BYTES` and `INDEXED_CACHE_BYTES` bound its memory.
    shares_write_buffers: bool = False
    #: Whether `table_options` has a filter over what is not yet in a file.
    filters_keys: bool = False
    #: Of the log that the copies are to be of; None: not known, and not asked about.
    log_id: str | None = None

    def database(self, partition: int) -> rocksdict.Rdict:
        """The open database of the partition; opens it when it is not.

        A directory that is broken, stale or a copy of another log is dropped with a warning: recovery rebuilds it from
        the topic.
        Raises what RocksDB raises otherwise, a lock held by another process above all.
        """
        database: rocksdict.Rdict = self._db_for_partition(partition)
        return database

    def _open_for_partition(self, partition: int) -> rocksdict.Rdict:
        path = Path(self.partition_path(partition))
        if condemned(path):
            _drop(path, "it was found broken")
        try:
            database = self._opened(path)
            try:
                stored, log_id = _stored(database), _log_id(database)
            except Exception:
                database.close()  # its lock would keep us from opening what is made in its place
                raise
        except Exception as exc:  # rocksdict raises bare Exception
            if not cannot_be_mended(exc):
                raise
            _drop(path, str(exc))
            return self._named(self._opened(path))
        if stored is not None and time.time() - stored[1] > self.stale_after_seconds:
            database.close()
            _drop(path, f"it was last written {(time.time() - stored[1]) / 86_400:.1f} days ago")
            return self._named(self._opened(path))
        if stored is not None and self.log_id is not None and log_id != self.log_id:
            database.close()
            _drop(path, f"it is a copy of another log ({log_id or 'not noted'}); the topic's is {self.log_id}")
            return self._named(self._opened(path))
        return self._named(database)

    def _opened(self, path: Path) -> rocksdict.Rdict:
        options = table_options(shares_write_buffers=self.shares_write_buffers, filters_keys=self.filters_keys)
        return open_database(path, options)

    def _named(self, database: rocksdict.Rdict) -> rocksdict.Rdict:
        if self.log_id is not None and _log_id(database) != self.log_id:
            database.put(LOG_KEY, self.log_id.encode())
        return database

    def drop_beyond(self, tp: TP, end: int) -> bool:
        """Drops a copy that has applied what the log does not hold (any more). `end`: next offset to be written.

        The log was truncated, or is another one. True when it was dropped.
        """
        stored = self.persisted_offset(tp)
        if stored is None or stored < end:
            return False
        self._dbs.pop(tp.partition).close()
        _drop(Path(self.partition_path(tp.partition)), f"it has offset {stored}, and the log ends at {end}")
        return True

    def condemn(self, partition: int) -> None:
        """Marks the partition's directory: the next opening drops it."""
        condemn(Path(self.partition_path(partition)))

    def broken_by(self, partition: int, error: Exception) -> None:
        """What RocksDB has raised of an open database: where a block of it is damaged the directory is condemned."""
        condemn_if_damaged(Path(self.partition_path(partition)), error)

    def persisted_offset(self, tp: TP) -> int | None:
        """Offset of the last applied record."""
        stored = _stored(self.database(tp.partition))
        return None if stored is None else stored[0]

    def set_persisted_offset(self, tp: TP, offset: int) -> None:
        """Stores an offset without rows."""
        self._write(tp.partition, rocksdict.WriteBatch(raw_mode=True), offset)

    def apply(self, partition: int, records: Sequence[Record]) -> None:
        """One atomic write of the rows, the last value of a key wins and None deletes, and of the last offset."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        for record in records:
            key, value = record.key, record.value
            if key is None:
                continue  # a compacted topic refuses records without key; an older log may hold some
            if value is None:
                delete(key)
            else:
                put(key, value)
        self._write(partition, batch, records[-1].offset)

    def apply_rows(
        self, partition: int, rows: Iterable[tuple[bytes, bytes | None]], offset: int, keys: Iterable[bytes] = ()
    ) -> None:
        """`apply` for rows that are not the records themselves, and for keys without a value; `offset` is that of the
        last record."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        put = batch.put
        for key, value in rows:
            if value is None:
                batch.delete(key)
            else:
                put(key, value)
        for key in keys:
            put(key, b"")
        self._write(partition, batch, offset)

    def _write(self, partition: int, batch: rocksdict.WriteBatch, offset: int) -> None:
        batch.put(OFFSET_KEY, b"%d:%d" % (offset, int(time.time())))
        try:
            self.database(partition).write(batch)
        except Exception as exc:
            self.broken_by(partition, exc)
            raise

    def revoke_partitions(self, table: Any, tps: set[TP]) -> None:
        """Closes at once: the next owner on this machine needs the lock."""
        topics = table.changelog_topic.topics
        for tp in tps:
            if tp.topic in topics and tp.partition in self._dbs:
                self._dbs.pop(tp.partition).close()

    async def stop(self) -> None:
        """Closes every database."""
        while self._dbs:
            self._dbs.popitem()[1].close()
            await asyncio.sleep(0)


def _stored(database: rocksdict.Rdict) -> tuple[int, int] | None:
    """Offset of the last applied record, and the wall time (s) of its writing."""
    value = database.get(OFFSET_KEY)
    if value is None:
        return None
    offset, _, written_at = bytes(value).partition(b":")
    return int(offset), int(written_at)


def _log_id(database: rocksdict.Rdict) -> str | None:
    value = database.get(LOG_KEY)
    return None if value is None else bytes(value).decode()


def _drop(path: Path, why: str) -> None:
    logger.warning("table copy %s is dropped and rebuilt from its topic: %s", path, why)
    shutil.rmtree(path)
