"""Closes the rows of timers that predecessors let go without living to close them."""

from __future__ import annotations

from pushcast.keep import rules
from pushcast.keep.badging import Badging
from pushcast.keep.capping import Capping
from pushcast.keep.digests import flushed
from pushcast.keep.rows import Rows
from pushcast.keep.tenure import KeepTenure
from pushcast.stream.edge import Count
from pushcast.stream.ports import Barrier
from pushcast.wire.waiting.digests import closed_by
from pushcast.wire.waiting.timers import user_key


class Completing:
    """Of all partitions of one stage. A row that is closed already stays as it is."""

    def __init__(self, rows: Rows, capping: Capping, badges: Badging, count: Count) -> None:
        self._rows = rows
        self._capping = capping
        self._badges = badges
        self._count = count

    def complete(self, tenure: KeepTenure, barrier: Barrier, name: str, now_ms: int) -> None:
        """Closes the row of what a due record of this name closes."""
        push = closed_by(name)
        if push is not None:
            key, upto, at = push
            head = self._rows.head(tenure, key)
            if head is None or head.flushed_at:
                return
            self._rows.put(tenure, barrier, key, flushed(head, at, upto, is_push=True))
        else:
            lane, offset, row_key = name.split("|", 2)
            key = row_key.encode()
            timer = self._rows.timer(tenure, key)
            if timer is None or not timer.waits or timer.name != f"{lane}|{offset}":
                return
            self._capping.left(tenure, barrier, key, timer, now_ms)
            row = rules.released(timer, now_ms)
            self._rows.put(tenure, barrier, key, row)
            self._badges.recovered(tenure, barrier, row, user_key(key).decode())
        self._count("void_timers", "completed", 1)
