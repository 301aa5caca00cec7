"""How much memory the stores of a reporter take, however many partitions it has."""

from __future__ import annotations

from pathlib import Path

from pushcast.report import store
from pushcast.report.apply import BOOKS
from pushcast.report.store import WRITE_BUFFER_BYTES, WRITE_BUFFERS_BYTES, PartitionStore
from pushcast.wire import topics
from twins.books import entries, receipt

LOGS = dict.fromkeys(BOOKS, "cluster/topic")


def test_what_is_in_no_file_yet_is_bounded_for_all_partitions_together(tmp_path: Path) -> None:
    stores = [PartitionStore(tmp_path / str(number), LOGS) for number in range(3)]
    alone = store._write_buffers.get_usage()
    for each in stores:
        each.apply(topics.RECEIPT, entries(*(receipt(f"n{number}", "u" * 200, "d") for number in range(3000))))
    assert store._write_buffers.get_usage() > alone + 3 * 3000 * 200
    assert store._write_buffers.get_buffer_size() == WRITE_BUFFERS_BYTES >= WRITE_BUFFER_BYTES
    for each in stores:
        each.close()
