"""Questions in SQL to the receipts that `report export` wrote: Parquet by DuckDB, other forms by SQLite, on a file that
goes afterwards."""

from __future__ import annotations

import csv
import io
import re
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from pushcast.audit import export_duckdb
from pushcast.audit.export_places import ExportPlace
from pushcast.model.errors import ConfigurationError

_INSERTED_AT_ONCE: Final = 2000
_DAY: Final = re.compile(r"receipts/date=(\d{4}-\d\d-\d\d)/")
_PARQUET: Final = ".parquet"
_KINDS: Final = {"int": "INTEGER", "long": "INTEGER", "boolean": "INTEGER"}


def files_of(place: ExportPlace, first_day: str | None = None, last_day: str | None = None) -> list[str]:
    """Exported files of these days (like 2026-11-28; None: from the first, to the last), in the order of their names,
    each part in one form.
    Raises ConfigurationError where there is none, and for forms that nobody reads together."""
    found = []
    for name in place.named("receipts/date=*/p=*/part-*"):
        day = _DAY.match(name)
        if day is not None and (first_day or "") <= day[1] <= (last_day or "9999"):
            found.append(name)
    if not found:
        raise ConfigurationError(f"{place.shown('')}: no receipts of these days: run `pushcast report export` first")
    forms = {Path(name).suffix for name in found}
    if other := forms - _READERS.keys() - {_PARQUET}:
        raise ConfigurationError(f"{place.shown('receipts')}: no export is written as {min(other)}")
    # A day that was exported in two forms has each part twice, with the same receipts.
    found = list({name.rpartition(".")[0]: name for name in found}.values())
    forms = {Path(name).suffix for name in found}
    if _PARQUET in forms and len(forms) > 1:
        raise ConfigurationError(
            f"{place.shown('receipts')}: some days are Parquet and some are not: ask them apart (--from, --to)"
        )
    return found


@contextmanager
def asked(
    place: ExportPlace, files: Sequence[str], columns: dict[str, str], query: str
) -> Iterator[tuple[list[str], Iterator[tuple[Any, ...]]]]:
    """Names of the columns of the answer, and its rows. Raises ConfigurationError as `loaded` and `ask`."""
    if Path(files[0]).suffix == _PARQUET:
        with export_duckdb.opened(place, files) as database:
            yield export_duckdb.ask(database, query)
    else:
        with loaded(place, files, columns) as database:
            yield ask(database, query)


@contextmanager
def loaded(place: ExportPlace, files: Iterable[str], columns: dict[str, str]) -> Iterator[sqlite3.Connection]:
    """A database with these files as the table `receipts`. `columns`: their kinds by name.

    Raises ConfigurationError for a file that is not as an export writes it."""
    names = list(columns)
    declared = ", ".join(f'"{name}" {_KINDS.get(kind, "TEXT")}' for name, kind in columns.items())
    insert = f"INSERT INTO {export_duckdb.TABLE} VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - no text from outside
    with (
        tempfile.TemporaryDirectory(prefix="pushcast-sql-") as folder,
        closing(sqlite3.connect(Path(folder) / "export.db", isolation_level=None)) as database,
    ):
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute(f"CREATE TABLE {export_duckdb.TABLE} ({declared})")
        for name in files:
            try:
                with place.reading(name) as file:
                    rows = _READERS[Path(name).suffix](file, columns)
                    while group := list(islice(rows, _INSERTED_AT_ONCE)):
                        database.executemany(insert, group)
            except (*_BROKEN, sqlite3.Error) as error:
                kind = type(error).__name__
                raise ConfigurationError(f"{place.shown(name)}: not as an export writes it: {kind}") from None
        yield database


def ask(database: sqlite3.Connection, query: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """Names of the columns, and the rows. Raises ConfigurationError for what SQLite does not understand."""
    try:
        cursor = database.execute(query)
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise ConfigurationError(f"the query cannot be answered: {error}") from None
    return [name for name, *_ in cursor.description or ()], _rows(cursor)


def _rows(cursor: sqlite3.Cursor) -> Iterator[tuple[Any, ...]]:
    """Many a row is reckoned when it is asked for: an error may come behind the first ones."""
    try:
        yield from cursor
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise ConfigurationError(f"the query cannot be answered to its end: {error}") from None


def in_json(value: Any) -> Any:
    """A value of an answer as JSON has it: a decimal number, and one beyond 64 bits, as it is nearest; bytes in
    hexadecimal digits; what JSON has no word for as text."""
    if isinstance(value, Decimal) or (isinstance(value, int) and not -(2**63) <= value < 2**63):
        return float(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [in_json(each) for each in value]
    if isinstance(value, dict):
        return {str(name): in_json(each) for name, each in value.items()}
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _json_lines(file: BinaryIO, columns: dict[str, str]) -> Iterator[tuple[Any, ...]]:
    for line in file:
        row = orjson.loads(line)
        yield tuple(row.get(name) for name in columns)


def _csv_rows(file: BinaryIO, columns: dict[str, str]) -> Iterator[tuple[Any, ...]]:
    text = io.TextIOWrapper(file, "utf-8", newline="")
    # A text may be the word True: it is no truth value there.
    words = {name: _TRUTHS if kind == "boolean" else _TEXTS for name, kind in columns.items()}
    try:
        for row in csv.DictReader(text):
            yield tuple(values.get(row[name], row[name]) for name, values in words.items())
    finally:
        text.detach()  # whoever opened the file closes it


#: What a file raises that is not as an export writes it.
_BROKEN: Final = (KeyError, ValueError, TypeError, AttributeError, OverflowError, csv.Error)
_TEXTS: Final[dict[str, int | None]] = {"": None}
_TRUTHS: Final[dict[str, int | None]] = {**_TEXTS, "True": 1, "False": 0}
_READERS: Final = {".jsonl": _json_lines, ".csv": _csv_rows}
