"""Receipts of whole days as files: each record of the log in one file of one day, however often it is exported.

A day of a partition goes from the first record at or after its midnight (UTC) to that of the next. Where it ended is
written to `manifest.json`: a day that is exported again has the same files with the same bytes, and the next one begins
there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any, BinaryIO, Final, NamedTuple, Protocol

import msgspec
from confluent_kafka import Message

from pushcast.audit.export_places import ExportPlace
from pushcast.config.settings import Settings
from pushcast.kafka.clients import client_config
from pushcast.model.errors import ConfigurationError, InvalidInput, PushcastError
from pushcast.settle.logs import Logs
from pushcast.wire.answers.receipts import decode_receipt
from pushcast.wire.json_errors import UNREADABLE
from pushcast.wire.topics import RECEIPT

MANIFEST: Final = "manifest.json"
#: In the folder of a day that was exported whole. Hadoop, Spark and Hive know the name, and pass by what begins with _.
WHOLE: Final = "_SUCCESS"
Write = Callable[[Iterable[dict[str, Any]], BinaryIO], int]


class Log(Protocol):
    """What it needs of `settle.logs.Logs`."""

    def offset_at(self, topic: str, partition: int, timestamp_ms: int) -> int: ...
    def bounds(self, topic: str, partition: int) -> tuple[int, int]: ...
    def read(self, topic: str, partition: int, start: int | None = None) -> Iterator[Message]: ...


class Exported(NamedTuple):
    """A file. `gone`: records of its day that Kafka had removed; `unreadable`: records that are in no file."""

    file: str
    rows: int
    gone: int
    unreadable: int


def export_day(
    settings: Settings, day: date, place: ExportPlace, write: Write, suffix: str, now: Callable[[], datetime]
) -> list[Exported]:
    """Writes the receipts of a day. Blocks. Raises PushcastError when Kafka does not answer, ConfigurationError for a
    day that is not over."""
    if now() < _midnight(day + timedelta(days=1)):
        raise ConfigurationError(f"{day} is not over (UTC)")
    kafka = settings.kafka
    with closing(Logs(client_config(kafka.bootstrap_servers, kafka.security, tool=True))) as log:
        return export(log, range(kafka.partitions), day, place, write, suffix)


def export(
    log: Log, partitions: Iterable[int], day: date, place: ExportPlace, write: Write, suffix: str
) -> list[Exported]:
    """As `export_day`, of a log. A partition without records of the day has no file."""
    manifest = _Manifest(place)
    found: list[Exported] = []
    spans = {partition: manifest.span(log, day, partition) for partition in partitions}
    manifest.save()  # before any file: an export that is interrupted finds the same days again
    for partition, (first, end) in spans.items():
        if end == first:
            continue
        name = f"{_folder_of(day)}/p={partition:02}/part-{first}-{end - 1}.{suffix}"
        low, _ = log.bounds(RECEIPT, partition)
        gone = max(0, min(low, end) - first)
        if gone and place.has(name):
            continue  # it was written whole
        rows = _Rows(log, partition, first, end)
        with place.writing(name) as file:
            count = write(rows, file)
        found.append(Exported(place.shown(name), count, gone, rows.unreadable))
    return found


def mark_whole(place: ExportPlace, day: date) -> None:
    """Call it when all files of the day are there."""
    with place.writing(f"{_folder_of(day)}/{WHOLE}"):
        pass


def whole_days(place: ExportPlace, days: Iterable[date]) -> set[date]:
    """Those that were exported whole."""
    return {day for day in days if place.has(f"{_folder_of(day)}/{WHOLE}")}


def _folder_of(day: date) -> str:
    return f"receipts/date={day}"


class _Rows:
    """Receipts of a span, once."""

    def __init__(self, log: Log, partition: int, first: int, end: int) -> None:
        self._log, self._partition, self._first, self._end = log, partition, first, end
        self.unreadable = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for message in self._log.read(RECEIPT, self._partition, self._first):
            offset, value = message.offset(), message.value()
            if offset is None or offset >= self._end:
                return
            if value is None:
                continue  # a fence
            try:
                yield decode_receipt(value)
            except InvalidInput:
                self.unreadable += 1


class _Manifest:
    """Where days begin and end."""

    def __init__(self, place: ExportPlace) -> None:
        """Raises ConfigurationError for a file that is none."""
        self._place = place
        self._days: dict[str, dict[str, tuple[int, int]]] = {}
        if (stored := place.read(MANIFEST)) is not None:
            try:
                self._days = msgspec.json.decode(stored, type=dict[str, dict[str, tuple[int, int]]])
            except UNREADABLE as error:
                shown = place.shown(MANIFEST)
                raise ConfigurationError(f"{shown} is no manifest of an export: {error}") from None

    def span(self, log: Log, day: date, partition: int) -> tuple[int, int]:
        """Offsets of a day: the first, and the one after the last."""
        known = self._days.setdefault(str(day), {}).get(str(partition))
        if known is not None:
            return known
        before = self._days.get(str(day - timedelta(days=1)), {}).get(str(partition))
        after = self._days.get(str(day + timedelta(days=1)), {}).get(str(partition))
        first = _offset(log, partition, day) if before is None else before[1]
        end = _offset(log, partition, day + timedelta(days=1)) if after is None else after[0]
        span = first, max(first, end)
        self._days[str(day)][str(partition)] = span
        return span

    def save(self) -> None:
        """Whole and at once."""
        with self._place.writing(MANIFEST) as file:
            file.write(json.dumps(self._days, indent=1, sort_keys=True).encode() + b"\n")


def _offset(log: Log, partition: int, day: date) -> int:
    return log.offset_at(RECEIPT, partition, int(_midnight(day).timestamp() * 1000))


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def day_of(text: str | None, now: datetime) -> date:
    """A day like 2026-11-28; None: yesterday. Raises PushcastError."""
    if text is None:
        return (now - timedelta(days=1)).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise PushcastError(f"{text!r} is no day like 2026-11-28") from None
