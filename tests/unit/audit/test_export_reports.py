"""Reports of a day as files: the last word on each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pushcast.audit import export, export_reports
from pushcast.audit.export import Exported
from pushcast.audit.export_places import LocalPlace
from pushcast.audit.export_reports import export_reports as exported
from pushcast.cli import report
from pushcast.report.notes import Note
from pushcast.report.published import key_of, value_of

DAY = date(2026, 11, 27)
NOON_MS = 1_795_780_800_000


class Said:
    def __init__(self, key: bytes | None, value: bytes | None) -> None:
        self._said = key, value

    def key(self) -> bytes | None:
        return self._said[0]

    def value(self) -> bytes | None:
        return self._said[1]


def note(name: str, planned: int, version: int, created_at: int = NOON_MS) -> Said:
    said = Note(name, "notification", "news", created_at=created_at, planned={"apns": planned})
    return Said(key_of(said, 1), value_of(said, 1, version, NOON_MS))


class Log:
    def __init__(self, *said: Said) -> None:
        self.said = said

    def read(self, topic: str, partition: int, start: int | None = None) -> Iterator[Any]:
        return iter(self.said if partition == 1 else ())


def lines(path: Path) -> list[tuple[str, int]]:
    rows = map(json.loads, path.read_text().splitlines())
    return [(row["id"], row["planned"]) for row in rows]


def test_the_last_word_on_each_report_of_the_day_is_in_the_file_of_its_partition(tmp_path: Path) -> None:
    day_ms = 86_400_000
    log = Log(
        note("b", 1, 5), note("a", 2, 6), note("b", 9, 7), note("b", 4, 6),
        note("before", 1, 1, NOON_MS - day_ms), note("after", 1, 1, NOON_MS + day_ms),
        note("gone", 1, 1), Said(note("gone", 1, 1).key(), None),
        Said(b"x", b"weather"), Said(b"y", b"{}"), Said(None, b"{}"),
    )  # fmt: skip
    [found] = exported(log, range(3), DAY, LocalPlace(tmp_path))
    path = Path(found.file)
    assert path == tmp_path / "reports" / "date=2026-11-27" / "p=01.jsonl"
    assert (found.rows, found.unreadable, lines(path)) == (2, 2, [("a", 2), ("b", 9)])
    first = path.read_bytes()
    exported(log, range(3), DAY, LocalPlace(tmp_path))
    assert path.read_bytes() == first


def test_a_version_that_is_no_number_is_of_somebody_else(tmp_path: Path) -> None:
    strange = Said(note("a", 1, 1).key(), b'{"version":"9"}')
    [found] = exported(Log(strange, note("a", 2, 6), strange), range(3), DAY, LocalPlace(tmp_path))
    assert (found.unreadable, lines(Path(found.file))) == (2, [("a", 2)])


def test_the_command_names_every_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    receipts = Exported("receipts.jsonl", 7, 2, 1)
    monkeypatch.setattr(report, "connect_by_user", lambda: None)
    monkeypatch.setattr(export, "export_day", lambda *_: [receipts])
    monkeypatch.setattr(export_reports, "export_reports_of_day", lambda *_: [Exported("reports.jsonl", 3, 0, 0)])
    where = ["--folder", str(tmp_path)]
    text = CliRunner().invoke(report.app, ["export", "--day", "2026-11-27", *where])
    assert text.exit_code == 0, text.output
    assert "7  receipts.jsonl, 2 gone from Kafka, 1 unreadable" in text.stdout
    assert "3  reports.jsonl" in text.stdout
    assert "7 receipts and 3 reports in 2 files" in text.stderr
    assert (tmp_path / "receipts" / "date=2026-11-27" / "_SUCCESS").exists()
    said = CliRunner().invoke(report.app, ["export", "--output", "json", *where])
    assert [row["rows"] for row in json.loads(said.stdout)] == [7, 3]


def test_a_strangers_report_that_is_nested_too_deep_is_left_out_and_counted(tmp_path: Path) -> None:
    """orjson reads it and cannot write it: the export of the day ended, every ten minutes again."""
    deep = b"[" * 500 + b"]" * 500
    strange = b'{"version":1,"created_at":"2026-11-27T00:00:00Z","deep":' + deep + b"}"
    log = Log(note("a", 2, 6), Said(b"strange", strange))
    [found] = exported(log, [1], DAY, LocalPlace(tmp_path))
    assert (found.rows, found.unreadable) == (1, 1)
    assert lines(Path(found.file)) == [("a", 2)]
