"""Receipts and devices as Parquet: row groups of a million, and DuckDB reads them in little memory."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow
import pyarrow.parquet
import pytest

from pushcast.cli import parquet
from pushcast.cli.parquet import write_groups, write_texts
from pushcast.cli.receipt_files import columns, write_parquet
from pushcast.wire.answers.receipts import decode_receipt
from snippets import PAGES, blocks
from twins.books import CREATED_MS, receipt

arrow: Any = pyarrow  # it says nothing of its types
SCHEMA = arrow.schema([("n", arrow.int64())])


def groups_of(rows: Iterable[dict[str, Any]]) -> list[int]:
    """Rows of each row group of a file with these."""
    file = io.BytesIO()
    write_groups(pyarrow.parquet, arrow, SCHEMA, rows, file)
    found = pyarrow.parquet.ParquetFile(file)
    assert found.read()["n"].to_pylist() == list(range(found.metadata.num_rows))
    return [found.metadata.row_group(number).num_rows for number in range(found.num_row_groups)]


@pytest.mark.parametrize(("count", "groups"), [(0, []), (1, [1]), (7, [7]), (10, [10]), (25, [10, 10, 5])])
def test_row_groups_are_full_but_for_the_last_and_rows_keep_their_order(
    count: int, groups: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 10)
    monkeypatch.setattr(parquet, "BATCH_ROWS", 4)
    assert groups_of({"n": number} for number in range(count)) == groups


def test_a_row_group_ends_before_its_columns_take_more_than_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP_BYTES", 9 * 8)  # nine numbers
    monkeypatch.setattr(parquet, "BATCH_ROWS", 4)
    assert groups_of({"n": number} for number in range(25)) == [12, 12, 1]


def test_rows_are_taken_a_batch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "BATCH_ROWS", 4)
    alive: list[int] = []

    class Row(dict[str, Any]):
        def __init__(self, number: int) -> None:
            super().__init__(n=number)
            alive.append(number)

        def __del__(self) -> None:
            alive.remove(self["n"])

    def rows() -> Iterator[Row]:
        for number in range(40):
            yield Row(number)
            assert len(alive) <= 2 * 4 + 1

    assert groups_of(rows()) == [40]


def test_receipts_have_the_types_of_their_schema_and_times_of_utc() -> None:
    file = io.BytesIO()
    count = write_parquet(map(decode_receipt, (receipt("n", "u", "a"), receipt("m", "ü", "b", dry_run=True))), file)
    table = pyarrow.parquet.read_table(file)
    assert (count, table.column_names) == (2, list(columns()))
    assert table.schema.field("created_at").type == arrow.timestamp("ms", tz="UTC")
    row = table.to_pylist()[1]
    assert (row["user"], row["dry_run"], row["reason"], row["attempts"]) == ("ü", True, None, 1)
    assert round(row["created_at"].timestamp() * 1000) == CREATED_MS
    assert pyarrow.parquet.ParquetFile(file).metadata.row_group(0).column(0).compression == "ZSTD"


def test_texts_that_a_row_does_not_say_are_null() -> None:
    file = io.BytesIO()
    assert write_texts("--format parquet", ["a", "b"], [{"a": "1"}, {"b": "2"}], file) == 2
    assert pyarrow.parquet.read_table(file).to_pylist() == [{"a": "1", "b": None}, {"a": None, "b": "2"}]


def test_duckdb_reads_an_export_as_the_page_says_in_the_memory_that_it_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day, partition in (("2026-11-27", 0), ("2026-11-28", 0), ("2026-11-28", 1), ("2026-10-31", 0)):
        path = tmp_path / "export" / "receipts" / f"date={day}" / f"p={partition:02}" / "part-0-9.parquet"
        path.parent.mkdir(parents=True)
        many = 60_000 if partition else 1_000
        write_ids(path, [f"{partition}-{number % (many // 2):032}" for number in range(many)])
    monkeypatch.chdir(tmp_path)
    [page] = [page for page in PAGES if page.name == "reading.md"]
    [block, *_] = blocks(page, "sql")
    assert re.search(r"memory_limit = '256MB'", block.text)
    with duckdb.connect(":memory:") as database:
        database.execute("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")
        found = database.execute(block.text).fetchall()
        limit = database.execute("SELECT current_setting('memory_limit')").fetchall()
    assert [(str(date), *rest) for date, *rest in found] == [
        ("2026-11-28", "apns", "accepted", None, 30_500),
        ("2026-11-27", "apns", "accepted", None, 500),
    ]
    assert limit == [("244.1 MiB",)]


def write_ids(path: Path, ids: list[str]) -> None:
    """Receipts with these delivery ids, each copy counted as one."""
    one = decode_receipt(receipt("n", "u", "a"))
    with path.open("wb") as file:
        write_parquet(({**one, "delivery_id": each} for each in ids), file)
