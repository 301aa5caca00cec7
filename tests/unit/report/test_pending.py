"""Rows over those that are stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pushcast.report.pending import PendingRows


class Stored:
    """Counts the questions for single rows."""

    def __init__(self, **rows: bytes) -> None:
        self.rows = {key.encode(): value for key, value in rows.items()}
        self.asked: list[bytes] = []

    def get(self, key: bytes, /) -> bytes | None:
        self.asked.append(key)
        return self.rows.get(key)

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        return [self.get(key) for key in keys]

    def scan(self, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter([(key, row) for key, row in sorted(self.rows.items()) if key >= start and key.startswith(prefix)])


def test_rows_under_a_prefix_are_as_they_are_now_and_are_read_once() -> None:
    stored = Stored(x1=b"1", x2=b"2", x3=b"3", y1=b"4")
    changes = PendingRows(stored)
    stored.asked.clear()
    changes.put(b"x2", None)
    changes.put(b"x3", b"new")
    changes.put(b"x0", b"0")
    changes.put(b"y2", b"5")
    assert changes.under(b"x") == [(b"x0", b"0"), (b"x1", b"1"), (b"x3", b"new")]
    assert stored.asked == []
