"""Questions in SQL to the receipts that `report export` wrote: by SQLite, on a file that goes afterwards."""

from __future__ import annotations

import csv
import re
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson

from pushcast.model.errors import ConfigurationError

TABLE: Final = "receipts"
_INSERTED_AT_ONCE: Final = 2000
_DAY: Final = re.compile(r"date=(\d{4}-\d\d-\d\d)")
_KINDS: Final = {"int": "INTEGER", "long": "INTEGER", "boolean": "INTEGER"}


def files_of(folder: Path, first_day: str | None = None, last_day: str | None = None) -> list[Path]:
    """Exported files of these days (like 2026-11-28; None: from the first, to the last), in the order of their names.
    Raises ConfigurationError where there is none, and for a form that SQLite cannot read."""
    found = []
    for path in sorted((folder / "receipts").glob("date=*/p=*/part-*")):
        day = _DAY.fullmatch(path.parent.parent.name)
        if day is not None and (first_day or "") <= day[1] <= (last_day or "9999"):
            found.append(path)
    if not found:
        raise ConfigurationError(f"{folder}: no receipts of these days: run `pushcast report export` first")
    for path in found:
        if path.suffix not in _READERS:
            raise ConfigurationError(
                f"{path}: export with --format jsonl or csv; DuckDB and pandas read {path.suffix[1:]}"
            )
    return found


@contextmanager
def loaded(files: Iterable[Path], columns: dict[str, str]) -> Iterator[sqlite3.Connection]:
    """A database with these files as the table `receipts`. `columns`: their kinds by name.

    Raises ConfigurationError for a file that is not as an export writes it."""
    names = list(columns)
    declared = ", ".join(f'"{name}" {_KINDS.get(kind, "TEXT")}' for name, kind in columns.items())
    insert = f"INSERT INTO {TABLE} VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - no text from outside
    with (
        tempfile.TemporaryDirectory(prefix="pushcast-sql-") as place,
        closing(sqlite3.connect(Path(place) / "export.db", isolation_level=None)) as database,
    ):
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute(f"CREATE TABLE {TABLE} ({declared})")
        for path in files:
            rows = _READERS[path.suffix](path, names)
            try:
                while group := list(islice(rows, _INSERTED_AT_ONCE)):
                    database.executemany(insert, group)
            except (KeyError, ValueError, TypeError, AttributeError, sqlite3.Error) as error:
                raise ConfigurationError(f"{path}: not as an export writes it: {type(error).__name__}") from None
        yield database


def ask(database: sqlite3.Connection, query: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """Names of the columns, and the rows. Raises ConfigurationError for what SQLite does not understand."""
    try:
        cursor = database.execute(query)
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise ConfigurationError(f"the query cannot be answered: {error}") from None
    return [name for name, *_ in cursor.description or ()], iter(cursor)


def _json_lines(path: Path, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    with path.open("rb") as file:
        for line in file:
            row = orjson.loads(line)
            yield tuple(row.get(name) for name in names)


def _csv_rows(path: Path, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield tuple(_VALUES.get(row[name], row[name]) for name in names)


_VALUES: Final[dict[str, int | None]] = {"True": 1, "False": 0, "": None}
_READERS: Final = {".jsonl": _json_lines, ".csv": _csv_rows}
