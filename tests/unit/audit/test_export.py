"""Days of receipts as files. Numbers are those of the acceptance facts (doors.md, D)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from pushcast.audit.export import MANIFEST, Log, day_of, export, export_day
from pushcast.audit.export_places import LocalPlace
from pushcast.cli.receipt_files import write_csv, write_jsonl
from pushcast.config.settings import Settings
from pushcast.model.errors import ConfigurationError, PushcastError
from twins.books import receipt

DAY = date(2026, 11, 27)
NEXT = date(2026, 11, 28)
MIDNIGHT_MS = int(datetime(2026, 11, 28, tzinfo=UTC).timestamp() * 1000)


@dataclass
class Record:
    number: int
    at_ms: int
    content: bytes | None

    def offset(self) -> int:
        return self.number

    def value(self) -> bytes | None:
        return self.content


@dataclass
class Topic:
    """A log by partition. `low`: what is before it is gone."""

    partitions: dict[int, list[Record]] = field(default_factory=dict)
    low: int = 0

    def write(self, partition: int, at_ms: int, note: str | None) -> None:
        log = self.partitions.setdefault(partition, [])
        value = None if note is None else b"weather" if note == "?" else receipt(note, "u", "d")
        log.append(Record(len(log), at_ms, value))

    def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int:
        log = self.partitions[partition]
        return next((each.number for each in log if each.at_ms >= timestamp_ms and each.number >= self.low), len(log))

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        return self.low, len(self.partitions[partition])

    def read(self, topic: str, partition: int, start: int | None = None) -> Iterator[Any]:
        yield from self.partitions[partition][max(self.low, start or 0) :]


def topic() -> Topic:
    """Around midnight; clocks of producers differ, so times go back and forth."""
    found = Topic()
    for number, shift in enumerate((-9000, -5000, -7000, -1, 0, -3, 4000, 2000)):
        found.write(0, MIDNIGHT_MS + shift, f"n{number}")
        found.write(1, MIDNIGHT_MS + shift, None if number == 2 else "?" if number == 3 else f"m{number}")
    found.partitions[2] = []
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def notes(folder: Path) -> list[str]:
    lines = [line for name, body in files(folder).items() if name.endswith("jsonl") for line in body.splitlines()]
    return [json.loads(line)["notification_id"] for line in lines]


def run(log: Log, day: date, folder: Path, write: Any = write_jsonl, suffix: str = "jsonl") -> Any:
    return export(log, range(3), day, LocalPlace(folder), write, suffix)


def test_r11_a_day_that_is_exported_again_has_the_same_files_with_the_same_bytes(tmp_path: Path) -> None:
    log = topic()
    first = run(log, DAY, tmp_path)
    before = files(tmp_path)
    log.write(0, MIDNIGHT_MS - 1, "late")  # of a clock that is slow
    again = run(log, DAY, tmp_path)
    assert files(tmp_path) == before
    assert first == again
    assert [(each.rows, each.unreadable) for each in first] == [(4, 0), (2, 1)]
    assert list(before) == [
        MANIFEST,
        "receipts/date=2026-11-27/p=00/part-0-3.jsonl",
        "receipts/date=2026-11-27/p=01/part-0-3.jsonl",
    ]


def test_a_day_whose_export_was_interrupted_goes_on_with_the_same_files_though_records_went_meanwhile(
    tmp_path: Path,
) -> None:
    log, whole = topic(), tmp_path / "whole"
    run(log, DAY, whole)

    def failing(rows: Any, file: Any) -> int:
        write_jsonl(rows, file)
        raise ConnectionError("Kafka is away")

    folder = tmp_path / "part"
    with pytest.raises(ConnectionError):
        run(log, DAY, folder, failing)
    log.low = 2  # retention
    found = run(log, DAY, folder)
    assert [(Path(each.file).name, each.gone) for each in found] == [("part-0-3.jsonl", 2), ("part-0-3.jsonl", 2)]
    assert [path.name for path in folder.rglob("*") if path.is_file()].count("part-0-3.jsonl") == 2


def test_r11_every_record_is_in_one_file_of_one_day_whichever_day_is_exported_first(tmp_path: Path) -> None:
    for name, days in (("a", (DAY, NEXT)), ("b", (NEXT, DAY))):
        log = topic()
        for day in days:
            run(log, day, tmp_path / name)
            log.write(0, MIDNIGHT_MS + 5000, f"later{day}")
        found = notes(tmp_path / name)
        assert len(found) == len(set(found))
        assert {f"n{number}" for number in range(8)} | {f"m{number}" for number in (0, 1, 4, 5, 6, 7)} <= set(found)


def test_what_kafka_has_removed_is_told_and_a_whole_file_stays(tmp_path: Path) -> None:
    log = topic()
    run(log, DAY, tmp_path / "early")
    before = files(tmp_path / "early")
    log.low = 2
    assert run(log, DAY, tmp_path / "early") == []
    assert files(tmp_path / "early") == before
    (tmp_path / "late").mkdir()
    (tmp_path / "late" / MANIFEST).write_text('{"2026-11-26": {"0": [0, 0]}}')
    first, *_ = run(log, DAY, tmp_path / "late")
    assert (first.gone, first.rows) == (2, 2)


def test_files_are_csv_when_asked_for(tmp_path: Path) -> None:
    run(topic(), DAY, tmp_path, write_csv, "csv")
    [name, *_] = [name for name in files(tmp_path) if name.endswith("csv")]
    assert files(tmp_path)[name].startswith(b"delivery_id,")


def test_a_day_that_is_not_over_and_one_that_is_none_are_refused(tmp_path: Path) -> None:
    now = datetime(2026, 11, 28, 23, 59, tzinfo=UTC)
    with pytest.raises(ConfigurationError, match="2026-11-28 is not over"):
        export_day(Settings(), NEXT, LocalPlace(tmp_path), write_jsonl, "jsonl", lambda: now)
    assert day_of(None, now) == DAY
    with pytest.raises(PushcastError, match="is no day"):
        day_of("yesterday", now)
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(ConfigurationError, match="no manifest"):
        run(topic(), DAY, tmp_path)
