"""Parquet, which needs a package that only exports need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, BinaryIO, Final

from pushcast.model.errors import ConfigurationError

#: Rows of a row group, which are in memory together.
GROUP_ROWS: Final = 50_000


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
    count = 0
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        left = iter(rows)
        while group := list(islice(left, GROUP_ROWS)):
            writer.write_table(pyarrow.Table.from_pylist(group, schema))
            count += len(group)
    file.flush()
    return count


def write_texts(option: str, columns: Sequence[str], rows: Iterable[dict[str, str]], file: BinaryIO) -> int:
    """Columns of text; what a row does not say is null. Returns how many rows there were."""
    pyarrow, parquet = pyarrow_for(option)
    schema = pyarrow.schema([(name, pyarrow.string()) for name in columns])
    return write_groups(parquet, pyarrow, schema, rows, file)
