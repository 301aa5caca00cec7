"""Lets usual timers go, of which nothing has to be asked and nothing changes but that they left: their rows are read
and written as bytes, many in one look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, NamedTuple

from pushcast.keep.index import key_of, released_entry, waiting_of
from pushcast.keep.rows import Rows, WrittenTimer
from pushcast.keep.tenure import KeepTenure
from pushcast.model.words import Lane
from pushcast.stream.ports import Barrier
from pushcast.wire import topics
from pushcast.wire.headers import Headers
from pushcast.wire.waiting.held import plain_released_headers
from pushcast.wire.waiting.plain_timers import PlainTimers, released_row
from pushcast.wire.waiting.timers import Timer

_TOPICS: Final = {lane.encode(): topics.due(lane) for lane in Lane}
#: Writes the row of a timer that was let go, whatever it is.
PutReleased = Callable[[KeepTenure, bytes, Timer, Barrier], None]


#: What closes the row of a usual timer: its user, key and entry, what of the row stays (`PlainTimers.read`),
#: and when its event was written. A bare tuple, because tens of thousands are made in a second.
Leaving = tuple[bytes, bytes, bytes, bytes, int]


class PlainDues(NamedTuple):
    """Usual timers of one lane that are due, in their order."""

    topic: str
    records: list[tuple[bytes, bytes, Headers]]  # value, key and headers of the due record of each
    leaving: list[Leaving]
    first_due_at: int  # milliseconds since the epoch; 0: none has a time


def plain_dues(
    tenure: KeepTenure, entries: Sequence[bytes], values: Sequence[bytes | None], start: int
) -> PlainDues | None:
    """Those of the entries of one queue from `start` on, up to the first that is no usual timer, says nothing any more,
    or of which a write is in flight. None: that is the first one. `values`: the table's rows of these entries."""
    records: list[tuple[bytes, bytes, Headers]] = []
    leaving: list[Leaving] = []
    lane, first_due_at, timers = b"", 0, None
    origin, blocked, written = tenure.origin, tenure.blocked, tenure.overlay.of_user
    for entry, value in zip(islice(entries, start, None), islice(values, start, None), strict=True):
        waiting = None if value is None else waiting_of(entry)
        if waiting is None:
            break
        lane, keep_offset, due_at = waiting
        timers = timers or PlainTimers(lane)
        timer, key = timers.read(value or b"", keep_offset, due_at), key_of(entry)
        user = key.partition(b"\0")[0]  # `user_key`
        if timer is None or key in blocked or key in written(user):
            break
        written_at, head, event = timer
        headers = plain_released_headers(origin, b"%b|%d|%b" % (lane, keep_offset, key), written_at, due_at)
        records.append((event, user, headers))
        leaving.append((user, key, entry, head, written_at))
        first_due_at = first_due_at or due_at
    return PlainDues(_TOPICS[lane], records, leaving, first_due_at) if leaving else None


class PlainClosing:
    """Of all partitions of one stage. Never awaits."""

    def __init__(self, rows: Rows, put: PutReleased) -> None:
        """`put`: for those of whose users more was told meanwhile."""
        self._rows = rows
        self._put = put

    def close(self, tenure: KeepTenure, left: Sequence[Leaving], barrier: Barrier) -> None:
        """Writes the rows of those whose due records Kafka has."""
        closed_at = tenure.time.now_ms() or left[0][-1]
        is_told = bool(tenure.waiting or tenure.forgotten)
        rows: list[WrittenTimer] = []
        for user, key, entry, head, written_at in left:
            if is_told and (user in tenure.waiting or tenure.forgotten.covers(user, written_at)):
                timer = self._rows.timer(tenure, key)
                if timer is not None:
                    self._put(tenure, key, timer, barrier)
                continue
            tenure.spent[key] = entry
            rows.append((user, key, released_row(head, closed_at), released_entry(key, closed_at)))
        if rows:
            self._rows.put_written(tenure, barrier, rows)
