"""Reports of whole days as files: the last sums of each that was created on the day, as reporters published them.

They lie beside the receipts of the day (`export`). A report may change after its day: exported again, the file has what
is known then, under the same name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import date
from typing import Any, Protocol

import orjson
from confluent_kafka import Message

from pushcast.audit.export import Exported
from pushcast.audit.export_places import ExportPlace
from pushcast.config.settings import Settings
from pushcast.kafka.clients import client_config
from pushcast.model.errors import InvalidInput
from pushcast.settle.logs import Logs
from pushcast.wire.json_errors import written
from pushcast.wire.topics import REPORT


class ReportLog(Protocol):
    """What it needs of `settle.logs.Logs`."""

    def read(self, topic: str, partition: int, start: int | None = None) -> Iterator[Message]: ...


def export_reports_of_day(settings: Settings, day: date, place: ExportPlace) -> list[Exported]:
    """Blocks. Raises PushcastError when Kafka does not answer."""
    kafka = settings.kafka
    with closing(Logs(client_config(kafka.bootstrap_servers, kafka.security, tool=True))) as log:
        known = {partition for _, partition in log.filled([REPORT])}
        return export_reports(log, sorted(known), day, place)


def export_reports(log: ReportLog, partitions: Iterable[int], day: date, place: ExportPlace) -> list[Exported]:
    """One file of JSON lines for each partition that has any, in the order of their keys."""
    found = []
    for partition in partitions:
        newest, unreadable = _newest(log, partition)
        lines: list[bytes] = []
        for _, row in sorted(newest.items()):
            if str(row.get("created_at"))[:10] != str(day):
                continue
            try:
                lines.append(written(row) + b"\n")
            except InvalidInput:
                unreadable += 1
        if not lines:
            continue
        name = f"reports/date={day}/p={partition:02}.jsonl"
        with place.writing(name) as file:
            file.writelines(lines)
        found.append(Exported(place.shown(name), len(lines), 0, unreadable))
    return found


def _newest(log: ReportLog, partition: int) -> tuple[dict[bytes, dict[str, Any]], int]:
    """By record key, the sums of the highest version: what a reporter that was replaced still wrote is older."""
    newest: dict[bytes, dict[str, Any]] = {}
    unreadable = 0
    for message in log.read(REPORT, partition):
        key, value = message.key(), message.value()
        if not isinstance(key, bytes):
            continue
        if value is None:
            newest.pop(key, None)
            continue
        try:
            row = orjson.loads(value)
            version = row["version"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            version = None
        if not isinstance(version, int):
            unreadable += 1
            continue
        if key not in newest or version >= newest[key]["version"]:
            newest[key] = row
    return newest, unreadable
