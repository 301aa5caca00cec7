"""Questions in SQL to exported receipts: the same answers from JSON lines, CSV and Parquet."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pushcast.audit.export_places import LocalPlace
from pushcast.audit.export_sql import asked, files_of
from pushcast.cli import report
from pushcast.cli.receipt_files import WRITERS, columns
from pushcast.model.errors import ConfigurationError
from pushcast.wire.answers.receipts import decode_receipt
from twins.books import receipt

QUERY = "SELECT outcome, count(*) AS n, max(attempts), min(reason), sum(dry_run) FROM receipts GROUP BY 1 ORDER BY 1"


def export(folder: Path, form: str, day: str, *values: bytes) -> Path:
    path = folder / "receipts" / f"date={day}" / "p=00" / f"part-{len(values)}.{form}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        WRITERS[form]([decode_receipt(value) for value in values], file)
    return path


def answer(folder: Path, query: str, *days: str | None) -> tuple[list[str], list[tuple[Any, ...]]]:
    place = LocalPlace(folder)
    with asked(place, files_of(place, *days), columns(), query) as (names, rows):
        return names, list(rows)


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_a_query_is_answered_over_the_days_that_are_asked_for(form: str, tmp_path: Path) -> None:
    export(tmp_path, form, "2026-11-27", receipt("n", "u", "a", "dead"))
    export(tmp_path, form, "2026-11-28", receipt("n", 'ü, "x"', "a"), receipt("m", "u", "a", "dead", dry_run=True))
    names, rows = answer(tmp_path, QUERY)
    assert names == ["outcome", "n", "max(attempts)", "min(reason)", "sum(dry_run)"]
    assert rows == [("accepted", 1, 1, None, 0), ("dead", 2, 1, "provider_error", 1)]
    assert answer(tmp_path, "SELECT count(*) FROM receipts", "2026-11-28", None)[1] == [(2,)]
    assert answer(tmp_path, "SELECT count(*) FROM receipts", None, "2026-11-27")[1] == [(1,)]
    assert answer(tmp_path, "SELECT user FROM receipts WHERE outcome = 'accepted'")[1] == [('ü, "x"',)]
    assert answer(tmp_path, "SELECT created_at FROM receipts LIMIT 1")[1][0][0].endswith("Z")


def test_a_day_that_was_exported_in_two_forms_counts_once(tmp_path: Path) -> None:
    for form in ("csv", "jsonl", "parquet"):
        export(tmp_path, form, "2026-11-28", receipt("n", "u", "a"))
    assert files_of(LocalPlace(tmp_path)) == ["receipts/date=2026-11-28/p=00/part-1.parquet"]
    (tmp_path / "receipts/date=2026-11-28/p=00/part-1.parquet").unlink()
    export(tmp_path, "csv", "2026-11-29", receipt("n", "u", "a"))
    assert answer(tmp_path, "SELECT count(*) FROM receipts")[1] == [(2,)]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_text_that_says_true_stays_a_text(form: str, tmp_path: Path) -> None:
    export(tmp_path, form, "2026-11-28", receipt("n", "True", "False", dry_run=True))
    assert answer(tmp_path, "SELECT user, device, dry_run FROM receipts")[1] == [("True", "False", 1)]


def test_no_days_another_form_and_a_query_that_sqlite_refuses_are_told(tmp_path: Path) -> None:
    place = LocalPlace(tmp_path)
    with pytest.raises(ConfigurationError, match="report export"):
        files_of(place)
    export(tmp_path, "jsonl", "2026-11-28", receipt("n", "u", "a"))
    with pytest.raises(ConfigurationError, match="no receipts of these days"):
        files_of(place, "2026-11-29")
    for query in ("SELECT weather FROM receipts", "SELECT 1; SELECT 2", "x"):
        with pytest.raises(ConfigurationError, match="cannot be answered"):
            answer(tmp_path, query)
    part = tmp_path / "receipts" / "date=2026-11-29" / "p=00" / "part-1.parquet"
    part.parent.mkdir(parents=True)
    part.touch()
    with pytest.raises(ConfigurationError, match="ask them apart"):
        files_of(place)
    assert files_of(place, "2026-11-29") == ["receipts/date=2026-11-29/p=00/part-1.parquet"]
    part.rename(part.with_suffix(".orc"))
    with pytest.raises(ConfigurationError, match=r"\.orc"):
        files_of(place)


def test_parquet_that_duckdb_cannot_read_and_queries_that_it_refuses_are_told(tmp_path: Path) -> None:
    path = export(tmp_path, "parquet", "2026-11-28", receipt("n", "u", "a"))
    for query in ("SELECT weather FROM receipts", "x", "INSTALL httpfs FROM 'http://127.0.0.1:9'"):
        with pytest.raises(ConfigurationError, match="cannot be answered"):
            answer(tmp_path, query)
    path.write_bytes(b"PAR1")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        answer(tmp_path, "SELECT 1")


def test_parquet_without_duckdb_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(tmp_path, "parquet", "2026-11-28", receipt("n", "u", "a"))
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ConfigurationError, match=r"pushcast\[sql\]"):
        answer(tmp_path, "SELECT 1")


@pytest.mark.parametrize(("form", "damaged"), [("jsonl", b'{"a":1'), ("jsonl", b"[]\n"), ("csv", b"a,b\n1,2\n")])
def test_a_file_that_no_export_wrote_is_named(form: str, damaged: bytes, tmp_path: Path) -> None:
    export(tmp_path, form, "2026-11-28", receipt("n", "u", "a")).write_bytes(damaged)
    with pytest.raises(ConfigurationError, match=r"part-1\.\w+: not as an export writes it"):
        answer(tmp_path, "SELECT 1")


def told(folder: Path, query: str, output: str = "json") -> Any:
    found = CliRunner().invoke(report.app, ["sql", query, "--folder", str(folder), "--output", output])
    assert found.exit_code == 0, (found.output, found.exception)
    return json.loads(found.stdout) if output == "json" else found.stdout


def test_shares_and_times_of_duckdb_are_json(tmp_path: Path) -> None:
    """A share is a decimal number there: `--output json` ended with a traceback."""
    export(tmp_path, "parquet", "2026-11-28", receipt("n", "u", "a"), receipt("m", "u", "a", "dead"))
    [row] = told(tmp_path, "SELECT round(100.0 * count(*) / 3, 1) AS share, 1.5 AS part FROM receipts")
    assert (row["share"], row["part"]) == (66.7, 1.5)
    values = "170141183460469231731687303715884105727::HUGEINT, INTERVAL 90 SECOND, 'a'::BLOB, [1.5], {'a': 1.5}"
    [row] = told(tmp_path, f"SELECT {values}, current_time")
    assert list(row.values())[:5] == [1.7014118346046923e38, "0:01:30", "61", [1.5], {"a": 1.5}]
    assert told(tmp_path, "") == []


def test_bytes_of_sqlite_are_json(tmp_path: Path) -> None:
    export(tmp_path, "jsonl", "2026-11-28", receipt("n", "u", "a"))
    assert told(tmp_path, "SELECT x'ff' AS bytes FROM receipts") == [{"bytes": "ff"}]


def test_an_error_behind_the_first_rows_is_told_as_one_of_the_query(tmp_path: Path) -> None:
    export(tmp_path, "jsonl", "2026-11-28", receipt("n", "1", "a"), receipt("m", "{", "a"))
    with pytest.raises(ConfigurationError, match="cannot be answered to its end: malformed JSON"):
        answer(tmp_path, "SELECT json(user) FROM receipts")


@pytest.mark.parametrize(
    ("form", "line"), [("jsonl", b'{"attempts": 18446744073709551615}\n'), ("csv", b"x" * 200_000 + b"\n")]
)
def test_a_file_with_a_number_or_a_line_beyond_all_bounds_is_named(form: str, line: bytes, tmp_path: Path) -> None:
    path = export(tmp_path, form, "2026-11-28", receipt("n", "u", "a"))
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(ConfigurationError, match=path.name):
        answer(tmp_path, QUERY)
