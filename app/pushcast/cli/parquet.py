"""Parquet, which needs a package that only exports need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, BinaryIO, Final

from pushcast.model.errors import ConfigurationError

#: Of a row group, whose columns are in memory together until it is written: the most rows, and the bytes with which it
#: ends before (docs/decisions/0032).
GROUP_ROWS: Final = 1_000_000
GROUP_BYTES: Final = 128 << 20
#: Rows that become columns together: as dictionaries they take ten times as much.
BATCH_ROWS: Final = 2000


def pyarrow_for(option: str) -> tuple[Any, Any]:
    """The package and its writer's module. Raises ConfigurationError where it is not installed."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ConfigurationError(
            f"{option} needs the package pyarrow, which is not installed: pip install 'pushcast[export]'"
        ) from None
    return pyarrow, parquet


def write_groups(parquet: Any, pyarrow: Any, schema: Any, rows: Iterable[dict[str, Any]], file: BinaryIO) -> int:
    """Returns how many rows there were."""
    count, group, held_rows, held_bytes = 0, [], 0, 0
    left = iter(rows)
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while batch := list(islice(left, min(BATCH_ROWS, GROUP_ROWS - held_rows))):
            columns = pyarrow.RecordBatch.from_pylist(batch, schema)
            group.append(columns)
            held_rows += len(batch)
            held_bytes += columns.nbytes
            count += len(batch)
            if held_rows == GROUP_ROWS or held_bytes >= GROUP_BYTES:
                writer.write_table(pyarrow.Table.from_batches(group, schema), row_group_size=GROUP_ROWS)
                group, held_rows, held_bytes = [], 0, 0
        if group:
            writer.write_table(pyarrow.Table.from_batches(group, schema), row_group_size=GROUP_ROWS)
    file.flush()
    return count


def write_texts(option: str, columns: Sequence[str], rows: Iterable[dict[str, str]], file: BinaryIO) -> int:
    """Columns of text; what a row does not say is null. Returns how many rows there were."""
    pyarrow, parquet = pyarrow_for(option)
    schema = pyarrow.schema([(name, pyarrow.string()) for name in columns])
    return write_groups(parquet, pyarrow, schema, rows, file)
