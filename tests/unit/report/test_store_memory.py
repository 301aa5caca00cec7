"""How much memory the stores of a reporter take, however many partitions it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pushcast.report import follow, report_rows
from pushcast.report.apply import BOOKS
from pushcast.report.follow import Follower
from pushcast.report.report_rows import WRITE_BUFFER_BYTES, WRITE_BUFFERS_BYTES
from pushcast.report.store import PartitionStore
from pushcast.wire import topics
from twins.books import entries, planned, receipt
from unit.report.test_consumed import Said

LOGS = dict.fromkeys(BOOKS, "cluster/topic")


def test_what_is_in_no_file_yet_is_bounded_for_all_partitions_together(tmp_path: Path) -> None:
    stores = [PartitionStore(tmp_path / str(number), LOGS) for number in range(3)]
    alone = report_rows._write_buffers.get_usage()
    for each in stores:
        each.apply(topics.RECEIPT, entries(*(receipt(f"n{number}", "u" * 200, "d") for number in range(3000))))
    assert report_rows._write_buffers.get_usage() > alone + 3 * 3000 * 200
    assert report_rows._write_buffers.get_buffer_size() == WRITE_BUFFERS_BYTES >= WRITE_BUFFER_BYTES
    for each in stores:
        each.close()


class Record(Said):
    """A record with content."""

    def __init__(self, topic: str, offset: int, content: bytes) -> None:
        super().__init__(topic, 0, offset)
        self._content = content

    def value(self) -> bytes:
        return self._content


def test_planned_records_are_written_in_smaller_parts_than_receipts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_campaign = planned(*((number, f"n{number}", {"apns": 1}, "") for number in range(500)))
    monkeypatch.setattr(follow, "PLANNED_PART_BYTES", 2 * len(of_campaign))
    follower = Follower({}, "group", tmp_path, LOGS, keep_days=30, partitions=8, fatal=lambda *_: None)
    place = follower.stores[0] = PartitionStore(tmp_path / "0", LOGS)
    parts: list[tuple[str, int]] = []
    apply = place.apply

    def counted(topic: str, records: Any) -> Any:
        parts.append((topic, len(records)))
        return apply(topic, records)

    monkeypatch.setattr(place, "apply", counted)
    books: Any = [Record(topics.PLANNED, number, of_campaign) for number in range(5)]
    books += [Record(topics.RECEIPT, number, receipt(f"n{number}", "u", "d")) for number in range(5)]
    consumer: Any = None  # nothing is read again
    follower._apply(consumer, books)
    offsets = place.offsets()
    place.close()
    assert parts == [(topics.PLANNED, 2), (topics.PLANNED, 2), (topics.PLANNED, 1), (topics.RECEIPT, 5)]
    assert (offsets[topics.PLANNED], offsets[topics.RECEIPT]) == (5, 5)
