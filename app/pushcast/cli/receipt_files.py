"""Receipts as lines of JSON, CSV or Parquet. Times are RFC 3339 in text and timestamps in Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO, Final

import orjson

from pushcast.cli.parquet import pyarrow_for, write_groups
from pushcast.wire.schemas import avro_type
from pushcast.wire.times import rfc3339

Rows = Iterable[dict[str, Any]]


def columns() -> dict[str, str]:
    """Name to type (string, int, long, boolean, time), in the order of the schema."""
    schema: Any = avro_type("receipt").parsed
    return {field["name"]: _kind(field["type"]) for field in schema["fields"]}


def _kind(declared: Any) -> str:
    if isinstance(declared, list):
        [declared] = [each for each in declared if each != "null"]
    return "time" if isinstance(declared, Mapping) else str(declared)


def write_jsonl(rows: Rows, file: BinaryIO) -> int:
    """An object a line. Returns how many."""
    count = 0
    for row in _with_text_times(rows):
        file.write(orjson.dumps(row) + b"\n")
        count += 1
    file.flush()
    return count


def write_csv(rows: Rows, file: BinaryIO) -> int:
    """A header, then a row a line; null is empty. Returns how many."""
    text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
    writer = csv.DictWriter(text, list(columns()))
    writer.writeheader()
    count = 0
    for row in _with_text_times(rows):
        writer.writerow(row)
        count += 1
    text.detach()
    file.flush()
    return count


def write_parquet(rows: Rows, file: BinaryIO) -> int:
    """With the package pyarrow. Returns how many. Raises ConfigurationError without it."""
    pyarrow, parquet = pyarrow_for("--output parquet")
    types = {
        "string": pyarrow.string(),
        "int": pyarrow.int32(),
        "long": pyarrow.int64(),
        "boolean": pyarrow.bool_(),
        "time": pyarrow.timestamp("ms", tz="UTC"),
    }
    schema = pyarrow.schema([(name, types[kind]) for name, kind in columns().items()])
    return write_groups(parquet, pyarrow, schema, rows, file)


def _with_text_times(rows: Rows) -> Rows:
    times = [name for name, kind in columns().items() if kind == "time"]
    for row in rows:
        yield {**row, **{name: rfc3339(row[name]) for name in times if row[name] is not None}}


WRITERS: Final[Mapping[str, Callable[[Rows, BinaryIO], int]]] = {
    "jsonl": write_jsonl,
    "csv": write_csv,
    "parquet": write_parquet,
}
