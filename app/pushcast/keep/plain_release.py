"""Lets usual timers go, of which nothing has to be asked and nothing changes but that they left: their rows are read
and written as bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from pushcast.keep.index import IndexPlace, released_entry, waiting_of
from pushcast.keep.rows import Rows
from pushcast.keep.tenure import KeepTenure
from pushcast.model.words import Lane
from pushcast.stream.ports import Barrier
from pushcast.wire import topics
from pushcast.wire.headers import Headers
from pushcast.wire.held import plain_released_headers
from pushcast.wire.plain_timers import plain_timer, released_row
from pushcast.wire.timers import Timer, user_key

_TOPICS: Final = {lane.encode(): topics.due(lane) for lane in Lane}
#: Writes the row of a timer that was let go, whatever it is.
PutReleased = Callable[[KeepTenure, bytes, Timer, Barrier], None]


class PlainDue(NamedTuple):
    """What the due record of a usual timer says, and what closes its row. `head`: see `PlainTimer`."""

    topic: str
    user: bytes
    key: bytes
    event: bytes
    headers: Headers
    written_at: int
    head: bytes
    entry: bytes


def plain_due(tenure: KeepTenure, place: IndexPlace, value: bytes) -> PlainDue | None:
    """None: it is no usual timer, or its entry says nothing any more. `value`: the table's row, of which no write is in
    flight."""
    waiting = waiting_of(place.entry)
    if waiting is None:
        return None
    lane, keep_offset, due_at = waiting
    timer, key = plain_timer(value, lane, keep_offset, due_at), place.key
    if timer is None:
        return None
    name = b"%b|%d|%b" % (lane, keep_offset, key)
    headers = plain_released_headers(tenure.origin, name, timer.written_at, due_at)
    return PlainDue(_TOPICS[lane], user_key(key), key, timer.event, headers, timer.written_at, timer.head, place.entry)


class PlainClosing:
    """Of all partitions of one stage. Never awaits."""

    def __init__(self, rows: Rows, put: PutReleased) -> None:
        """`put`: for those of whose users more was told meanwhile."""
        self._rows = rows
        self._put = put

    def close(self, tenure: KeepTenure, left: Sequence[PlainDue], barrier: Barrier) -> None:
        """Writes the rows of those whose due records Kafka has."""
        closed_at = tenure.time.now_ms() or left[0].written_at
        for due in left:
            if due.user in tenure.waiting or (tenure.forgotten and tenure.forgotten.covers(due.user, due.written_at)):
                timer = self._rows.timer(tenure, due.key)
                if timer is not None:
                    self._put(tenure, due.key, timer, barrier)
                continue
            tenure.spent[due.key] = due.entry
            row, entry = released_row(due.head, closed_at), released_entry(due.key, closed_at)
            self._rows.put_written(tenure, barrier, due.user, due.key, row, entry)
