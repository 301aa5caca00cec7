"""Questions in SQL to exports in Parquet: by DuckDB, which reads the columns that are asked for where they lie."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any, Final

from pushcast.audit.export_places import ExportPlace, RemotePlace
from pushcast.model.errors import ConfigurationError
from pushcast.wire.times import rfc3339

TABLE: Final = "receipts"
#: What does not fit is written to a folder that goes afterwards.
MEMORY: Final = "512MB"
_ROWS_AT_ONCE: Final = 2000


@contextmanager
def opened(place: ExportPlace, files: Sequence[str]) -> Iterator[Any]:
    """A connection to DuckDB that knows these files as the table `receipts`. Raises ConfigurationError without the
    package, and for a file that is no Parquet."""
    duckdb = _package()
    with tempfile.TemporaryDirectory(prefix="pushcast-sql-") as folder:
        # Nothing is fetched from DuckDB's servers: what reading Parquet needs is in the package.
        options = {
            "memory_limit": MEMORY,
            "temp_directory": folder,
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "TimeZone": "UTC",
        }
        with closing(duckdb.connect(":memory:")) as database:
            for name, value in options.items():
                database.execute(f"SET {name} = '{value}'")
            if isinstance(place, RemotePlace):
                database.register_filesystem(place.files)
            paths = [place.shown(name) for name in files]
            try:
                database.read_parquet(paths, union_by_name=True, hive_partitioning=False).create_view(TABLE)
            except duckdb.Error as error:
                raise ConfigurationError(f"the export cannot be read: {error}") from None
            yield database


def ask(database: Any, query: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """Names of the columns, and the rows; times are text as RFC 3339. Raises ConfigurationError for what DuckDB does
    not understand."""
    duckdb = _package()
    try:
        cursor = database.execute(query)
        if cursor is None:  # of nothing but white space and comments
            return [], iter(())
        return [name for name, *_ in cursor.description or ()], _rows(cursor, duckdb.Error)
    except duckdb.Error as error:
        raise ConfigurationError(f"the query cannot be answered: {error}") from None


def _rows(cursor: Any, problem: type[Exception]) -> Iterator[tuple[Any, ...]]:
    try:
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            for row in rows:
                yield tuple(_text_of(value) if isinstance(value, datetime) else value for value in row)
    except problem as error:
        raise ConfigurationError(f"the query cannot be answered to its end: {error}") from None


def _text_of(at: datetime) -> str:
    return rfc3339(round(at.timestamp() * 1000))


def _package() -> Any:
    try:
        import duckdb
    except ImportError:
        raise ConfigurationError(
            "SQL over Parquet needs the package duckdb: pip install 'pushcast[sql]'. Exports in jsonl or csv need none"
        ) from None
    return duckdb
