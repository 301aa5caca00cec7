"""Opens usual timers, many in one look: those of which nobody has told anything, of users who have no other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import islice

from pushcast.handover.fences import Author, Fences
from pushcast.keep.index import waiting_entry
from pushcast.keep.rows import Rows, WrittenTimer
from pushcast.keep.tenure import KeepTenure
from pushcast.model.clock import Clock
from pushcast.model.marks import mark_of
from pushcast.model.words import Lane
from pushcast.stream.batch import Record
from pushcast.stream.cancelling import Cancels
from pushcast.stream.edge import Count
from pushcast.stream.ports import Barrier
from pushcast.wire.keys import is_user
from pushcast.wire.waiting.plain_holds import plain_hold
from pushcast.wire.waiting.plain_timers import waiting_row
from pushcast.wire.waiting.timers import timers_prefix


class PlainIntake:
    """Of all partitions of one stage; it keeps nothing of them. Never awaits, and raises nothing for any record."""

    def __init__(self, rows: Rows, clock: Clock, cancels: Cancels, count: Count) -> None:
        self._rows = rows
        self._clock = clock
        self._cancels = cancels
        self._count = count

    def take(
        self, lane: Lane, fences: Fences, tenure: KeepTenure, barrier: Barrier, records: Sequence[Record], start: int
    ) -> int:
        """Opens the usual ones from `start` on, up to the first that is not usual: `KeepIntake.hold` has to look at
        that one. Returns its place. What becomes of the others is what `hold` would make of them."""
        name, number = lane.encode(), tenure.number
        has_none, listens = self._rows.has_none, self._is_told_anything(tenure)
        opened: list[WrittenTimer] = []
        users = set[bytes]()
        due_now: list[tuple[bytes, bytes]] = []
        due_until = self._clock.now_ms() if lane is Lane.URGENT else -1
        known: Author | None = None
        admitted, at = False, start
        for record in islice(records, start, None):
            plain, user, event = plain_hold(record.headers), record.key, record.value
            if plain is None or user is None or not event or user in users or not is_user(user):
                break
            origin, epoch, due_at, written_at, note_id = plain
            author, partition = _author(origin, epoch)
            # Who plans in this partition has looked whether the user belongs here.
            if partition != number or not has_none(tenure, user):
                break
            if listens and self._is_told(tenure, user, note_id, written_at):
                break
            if author is not known:
                known, admitted = author, fences.admits_all(author)
            at += 1
            if not admitted and not fences.admit(author, record.offset):
                continue
            users.add(user)
            offset, key = record.offset, timers_prefix(user) + note_id
            row = waiting_row(name, offset, due_at, written_at, event)
            opened.append((user, key, row, waiting_entry(key, name, offset, due_at)))
            if due_at <= due_until:
                due_now.append((user, key))
        if opened:
            self._rows.put_written(tenure, barrier, opened)
            if due_now:
                written = tenure.overlay.of_user
                tenure.opened += [(key, written(user)[key]) for user, key in due_now]
            self._count("opened", str(lane), len(opened))
        return at

    def _is_told_anything(self, tenure: KeepTenure) -> bool:
        """Mostly nobody has cancelled anything, or read it."""
        return bool(tenure.read or tenure.forgotten or self._cancels.state.any(tenure.number))

    def _is_told(self, tenure: KeepTenure, user: bytes, note_id: bytes, written_at: int) -> bool:
        """Whether somebody has told something that may bear on this notification."""
        if tenure.forgotten and tenure.forgotten.covers(user, written_at):
            return True
        now_ms, read = self._clock.now_ms(), tenure.read
        name, note = user.decode(), note_id.decode()
        if read and (read.has_threads or read.covers(mark_of(name, note), now_ms)):
            return True
        told = self._cancels.state
        if told.has_threads(tenure.number):
            return True
        return told.any(tenure.number) and told.cancelled(
            tenure.number, name, note, app=None, thread=None, created_at_ms=written_at, now_ms=now_ms
        )


@lru_cache(maxsize=256)
def _author(origin: bytes, epoch: bytes) -> tuple[Author, int | None]:
    """The writer, and its partition."""
    name = origin.decode()
    partition = name.rpartition("/")[2]
    return Author(name, int(epoch), fence=False), int(partition) if partition.isdigit() else None
