"""How every RocksDB of ours is opened: the devices tables' and the reports'."""

from __future__ import annotations

from pathlib import Path

import rocksdict


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


def row_count(database: rocksdict.Rdict) -> int:
    """RocksDB's estimate; overwritten rows count until they are compacted."""
    return int(database.property_int_value("rocksdb.estimate-num-keys") or 0)
