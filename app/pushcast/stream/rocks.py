"""How every RocksDB of ours is opened, and what becomes of a damaged one: the devices tables' and the reports'.

Each is made from topics. One that is damaged is dropped by the next process, which makes it anew from them.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

import rocksdict

#: What RocksDB says of a directory that cannot be mended, in the words of `rocksdb::Status::ToString`.
BROKEN: Final = ("Corruption", "No such file", "Invalid argument", "not found", "NotFound")

#: What it says while a directory is open elsewhere, in another process or in this one (`env/fs_posix.cc`, `LockFile`).
HELD: Final = ("While lock file", "lock hold by")

_CONDEMNED: Final = "CONDEMNED"


def rocks_options(cache: rocksdict.Cache, write_buffer_bytes: int) -> rocksdict.Options:
    """Given again at every opening, because rocksdict forgets them. `cache`: one for all databases of a process, so
    that its memory does not grow with partitions."""
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(write_buffer_bytes)
    options.set_max_open_files(64)
    options.set_keep_log_file_num(2)
    options.set_compression_type(rocksdict.DBCompressionType.lz4())
    blocks = rocksdict.BlockBasedOptions()
    blocks.set_bloom_filter(10, False)
    blocks.set_block_cache(cache)
    blocks.set_cache_index_and_filter_blocks(True)
    options.set_block_based_table_factory(blocks)
    return options


def open_database(path: Path, options: rocksdict.Options) -> rocksdict.Rdict:
    """Opens the database, or makes it. Raises what RocksDB raises."""
    if (path / "CURRENT").exists():
        # Without `column_families` an existing database is opened with RocksDB's defaults.
        return rocksdict.Rdict(str(path), options=options, column_families={"default": options})
    return rocksdict.Rdict(str(path), options=options)


def cannot_be_mended(error: Exception) -> bool:
    """Whether an opening has raised this because the directory is broken, and not because somebody has it open."""
    text = str(error)
    return any(word in text for word in BROKEN) and not any(word in text for word in HELD)


def condemn_if_damaged(path: Path, error: Exception) -> None:
    """To be told of what an open database has raised. Where a block of it is damaged the directory is condemned."""
    if "Corruption" in str(error):
        with suppress(OSError):  # whoever comes to the same block next says so again
            condemn(path)


def condemn(path: Path) -> None:
    """Marks a directory as broken: the next opening drops it."""
    (path / _CONDEMNED).touch()


def condemned(path: Path) -> bool:
    """Whether the directory was marked."""
    return (path / _CONDEMNED).exists()


def row_count(database: rocksdict.Rdict) -> int:
    """RocksDB's estimate; overwritten rows count until they are compacted."""
    return int(database.property_int_value("rocksdb.estimate-num-keys") or 0)


def read_whole(iterator: rocksdict.RdictIter) -> None:
    """To be called where an iterator has come to its end: a block that it cannot read ends it, too, like the last row.
    Raises what RocksDB says of it."""
    iterator.status()


def nothing_behind(database: rocksdict.Rdict, key: bytes, options: rocksdict.ReadOptions | None = None) -> None:
    """`read_whole` for Rdict's own iterators (`items`, `keys`), which do not tell. `key`: the last one that they gave,
    or where they began."""
    iterator = database.iter(options)
    iterator.seek(key)
    if iterator.valid():  # else `next` reads memory that is no iterator's
        iterator.next()
    read_whole(iterator)
