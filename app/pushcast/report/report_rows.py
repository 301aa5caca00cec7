"""The database of a store of reports: how it is opened and read, and what becomes of it where it is damaged."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import rocksdict

from pushcast.stream.rocks import (
    cannot_be_mended,
    condemn_if_damaged,
    condemned,
    open_database,
    read_whole,
    rocks_options,
)

logger = logging.getLogger(__name__)

BLOCK_CACHE_BYTES: Final = 64 << 20
WRITE_BUFFER_BYTES: Final = 8 << 20
#: Of all partitions together: what is in no file yet. Each alone may have 8 MB, and as much that is being written.
WRITE_BUFFERS_BYTES: Final = 48 << 20
#: Of the write buffer, as a share of its size.
MEMTABLE_FILTER_SHARE: Final = 0.1

#: One for all partitions of the process, so that memory does not grow with them.
_block_cache = rocksdict.Cache(BLOCK_CACHE_BYTES)
#: Whoever writes never waits for it: what is above the bound is being written to files.
_write_buffers = rocksdict.WriteBufferManager(WRITE_BUFFERS_BYTES, False)


class ReportRows:
    """Rows by key. Where a block is damaged a read or a write raises what RocksDB says, which ends the process, and the
    next one makes the store anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = self._open()

    def open_anew(self, why: str) -> None:
        """Drops everything."""
        self._database.close()
        self._drop(why)
        self._database = self._open()

    def _open(self) -> rocksdict.Rdict:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        options = rocks_options(_block_cache, WRITE_BUFFER_BYTES)
        options.set_write_buffer_manager(_write_buffers)
        # Nearly every row that is asked for is new: a filter says so in a third of the time of a look into the buffer.
        options.set_memtable_prefix_bloom_ratio(MEMTABLE_FILTER_SHARE)
        options.set_memtable_whole_key_filtering(True)
        if condemned(self._path):
            self._drop("a damaged block was found in it")
        try:
            return open_database(self._path, options)
        except Exception as error:  # rocksdict raises bare Exception
            if not cannot_be_mended(error):
                raise
            self._drop(str(error))
            return open_database(self._path, options)

    def _drop(self, why: str) -> None:
        logger.warning("%s is made anew: %s", self._path, why)
        shutil.rmtree(self._path)

    def _damaged(self, error: Exception) -> Exception:
        condemn_if_damaged(self._path, error)
        return error

    def get(self, key: bytes) -> bytes | None:
        """One row."""
        try:
            value: bytes | None = self._database.get(key)
        except Exception as error:
            raise self._damaged(error) from None
        return value

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Rows of these keys, in their order."""
        try:
            found: Sequence[bytes | None] = self._database.get(list(keys)) or ()
        except Exception as error:
            raise self._damaged(error) from None
        return found

    def write(self, batch: rocksdict.WriteBatch) -> None:
        """All of it or nothing."""
        try:
            self._database.write(batch)
        except Exception as error:
            raise self._damaged(error) from None

    def close(self) -> None:
        """The next owner on this machine needs its lock."""
        self._database.close()

    def scan(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Rows from `start` on, in the order of their keys, while those begin with `prefix`."""
        iterator = self._database.iter()
        iterator.seek(start)
        while iterator.valid():
            key: bytes = iterator.key()
            if not key.startswith(prefix):
                return
            yield key, iterator.value()
            iterator.next()
        try:
            read_whole(iterator)
        except Exception as error:
            raise self._damaged(error) from None
