"""Writes what closes timers and digests: a due record, then the rows that it closes. Nothing here waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from pushcast.keep.exact import KeepHandover
from pushcast.keep.plain_release import Leaving, PlainDues
from pushcast.keep.tenure import KeepTenure
from pushcast.model.words import Lane
from pushcast.stream.callbacks import Guarded, timers
from pushcast.stream.ports import Barrier, CallLater, Outbox, putting_many
from pushcast.wire import topics
from pushcast.wire.headers import Headers
from pushcast.wire.waiting.timers import user_key

#: Rows of so many timers of a partition are worth a write of their own.
MANY: Final = 50
_TOPICS: Final = {str(lane): topics.due(lane) for lane in Lane}
#: Puts rows under a barrier.
Put = Callable[[Barrier], None]
#: Writes the rows of usual timers whose due records Kafka has.
ClosePlain = Callable[[KeepTenure, Sequence[Leaving], Barrier], None]


class DueRecord(NamedTuple):
    """A record of `push.due.<lane>.v1`."""

    lane: str
    value: bytes
    headers: Headers


class _Slice:
    """What one look at the index lets go. One barrier holds all of it, and then one more the rows that it closes."""

    __slots__ = ("barrier", "closes", "firing", "keys", "plain", "writes")

    def __init__(self, barrier: Barrier) -> None:
        self.barrier = barrier
        self.keys: list[bytes] = []  # of the rows under way
        self.closes: list[Put] = []
        self.plain: list[Leaving] = []
        self.writes = False  # also rows that no due record closes
        self.firing: int | None = None  # its number, once it has a due record


class DueRecords:
    """Of all partitions of one stage. A row that is being closed is in `tenure.firing` until Kafka has all of it.

    `close` and `write` belong to a slice: whoever calls them calls `finish` before it awaits anything. Releases of a
    slice are one firing to the next owner: it begins before the first of their due records, and ends when Kafka has
    the last of their rows.
    """

    def __init__(
        self,
        exact: KeepHandover,
        outbox: Outbox,
        guarded: Guarded,
        close_plain: ClosePlain,
        call_later: CallLater | None = None,
        gather_seconds: float = 0.0,
    ) -> None:
        """`gather_seconds`: so long rows of what was let go wait for others, of all partitions, unless somebody waits
        for them. A record alone costs as much to write, and to read back, as a hundred."""
        self._close_plain = close_plain
        self._later = timers(call_later)
        self._gather_seconds = gather_seconds
        self._released: dict[KeepTenure, list[_Slice]] = {}  # whose due records Kafka has, and whose rows wait
        self._gathers = False  # until the rows of all partitions are written
        self._exact = exact
        self._outbox = outbox
        self._put_many = putting_many(outbox)
        self._guarded = guarded
        self._slices: dict[KeepTenure, _Slice] = {}

    def close(self, tenure: KeepTenure, key: bytes, record: DueRecord, put: Put, before: Put | None = None) -> None:
        """Puts the record; `put` writes the rows that it closes, once Kafka has it, and `before` others before them."""
        part = self._fired(tenure, [key])
        topic = _TOPICS[record.lane]
        self._outbox.put(part.barrier, topic, tenure.number, record.value, user_key(key), record.headers)
        if before is not None:
            part.closes.append(before)
        part.closes.append(put)

    def close_plain(self, tenure: KeepTenure, dues: PlainDues) -> None:
        """`close` of usual timers, in their order."""
        part = self._fired(tenure, [key for _, key, *_ in dues.leaving])
        self._put_many(part.barrier, dues.topic, tenure.number, dues.records)
        part.plain += dues.leaving

    def write(self, tenure: KeepTenure, key: bytes, put: Put) -> None:
        """Writes rows that no due record closes."""
        part = self._begun(tenure, [key])
        part.writes = True
        put(part.barrier)

    def finish(self, tenure: KeepTenure) -> None:
        """Ends the slice, if there is one: what is let go from here on belongs to another."""
        part = self._slices.pop(tenure, None)
        if part is not None:
            part.barrier.on_acked(partial(self._guarded, partial(self._is_there, tenure, part)))

    def _is_there(self, tenure: KeepTenure, part: _Slice) -> None:
        """Kafka has its due records."""
        waiting = self._released.setdefault(tenure, [])
        waiting.append(part)
        is_waited_for = tenure.is_full or tenure.blocked or tenure.buckets or part.writes
        if not self._gather_seconds or is_waited_for or sum(len(each.keys) for each in waiting) >= MANY:
            self._close_rows(tenure)
        elif not self._gathers:
            self._gathers = True
            self._later(self._gather_seconds, partial(self._guarded, self._close_all))

    def _close_all(self) -> None:
        self._gathers = False
        for tenure in list(self._released):
            self._close_rows(tenure)

    def _close_rows(self, tenure: KeepTenure) -> None:
        parts = self._released.pop(tenure, [])
        if not parts:
            return  # they were closed before their time
        barrier = self._outbox.barrier()
        for part in parts:
            for put in part.closes:
                put(barrier)
            if part.plain:
                self._close_plain(tenure, part.plain, barrier)
        barrier.on_acked(partial(self._guarded, partial(self._have_ended, tenure, parts)))

    def _have_ended(self, tenure: KeepTenure, parts: Sequence[_Slice]) -> None:
        for part in parts:
            self._ended(tenure, part)

    def _fired(self, tenure: KeepTenure, keys: Sequence[bytes]) -> _Slice:
        part = self._begun(tenure, keys)
        if part.firing is None:
            part.firing = self._exact.begin(tenure.number)
        return part

    def _begun(self, tenure: KeepTenure, keys: Sequence[bytes]) -> _Slice:
        part = self._slices.get(tenure)
        if part is None:
            part = self._slices[tenure] = _Slice(self._outbox.barrier())
            tenure.pending.begun()
        part.keys += keys
        tenure.firing.update(keys)
        return part

    def _ended(self, tenure: KeepTenure, part: _Slice) -> None:
        if part.firing is not None:
            self._exact.firings(tenure.number).end(part.firing)
        tenure.firing.difference_update(part.keys)
        tenure.pending.ended()
        tenure.news.set()
        # A release alone makes nothing else due, unless a rate waits for it; and looking costs more than releasing.
        if tenure.is_full or tenure.blocked or tenure.buckets or part.writes:
            tenure.is_full = False
            tenure.blocked.clear()
            tenure.runner.wake()
