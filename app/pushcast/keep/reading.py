"""What users have read: it ends what is held of it, and what is held later."""

from __future__ import annotations

from typing import Final

from pushcast.keep import rules
from pushcast.keep.joining import Joining, is_leaving
from pushcast.keep.rows import Rows
from pushcast.keep.tenure import KeepTenure
from pushcast.model.errors import InvalidInput
from pushcast.model.marks import mark_of, thread_mark_of
from pushcast.stream.ports import Barrier
from pushcast.wire.events.engagement import Engagement, Event
from pushcast.wire.events.threads import ThreadReader
from pushcast.wire.waiting.timers import Timer, note_id_of

#: So long what is held meanwhile is known to be read.
REMEMBER_MS: Final = 86_400_000


def remember(tenure: KeepTenure, engagement: Engagement) -> None:
    """Marks what was read, for a day."""
    user, until_ms = engagement.user, engagement.at + REMEMBER_MS
    for note_id in engagement.ids:
        tenure.read.add(mark_of(user, note_id), until_ms, engagement.at)
    if engagement.thread is not None:
        mark = thread_mark_of(user, engagement.app or "", engagement.thread)
        tenure.read.add_thread(mark, engagement.up_to or engagement.at, until_ms)


class KeepReading:
    """Of all partitions of one stage. Never awaits: what is read and what is written are one step.

    Marks live in memory: a keeper that takes a partition over reads those of the last day once more (`read_back`). What
    is held when it is read ends in its row, and that is exact.
    """

    def __init__(self, rows: Rows, threads: ThreadReader, joining: Joining) -> None:
        self._rows = rows
        self._joining = joining
        self._threads = threads

    def heard(self, tenure: KeepTenure, barrier: Barrier, engagement: Engagement) -> None:
        """Ends what the keeper holds of it, unless it is leaving."""
        if engagement.event is not Event.READ:
            return
        user = engagement.user
        remember(tenure, engagement)
        for key, timer in self._heard_of(tenure, engagement).items():
            ended = rules.read(timer)
            if ended is None or is_leaving(tenure, key) or self._joining.leaves(tenure, user, timer):
                continue
            if self.is_read(tenure, user, note_id_of(key), timer, engagement.at):
                self._rows.put(tenure, barrier, key, ended)

    def _heard_of(self, tenure: KeepTenure, engagement: Engagement) -> dict[bytes, Timer]:
        """Timers that it may name, by row key. What was named before has ended: it was looked up then, and what was
        held since was asked about."""
        if engagement.thread is not None:
            return self._rows.waiting_of(tenure, engagement.user)
        found: dict[bytes, Timer] = {}
        for note_id in engagement.ids:
            found |= self._rows.named(tenure, engagement.user, note_id)
        return found

    def is_read(self, tenure: KeepTenure, user: str, note_id: str, timer: Timer, now_ms: int) -> bool:
        """Whether a notification that is held, or is about to be, was read."""
        if timer.kind or not tenure.read:
            return False  # what the keeper makes itself; nobody has read anything lately
        if tenure.read.covers(mark_of(user, note_id), now_ms):
            return True
        if not tenure.read.has_threads:
            return False
        try:
            found = self._threads.read(timer.event)
        except InvalidInput:
            return False  # its planner could read it; a keeper of an earlier release cannot
        if found is None:
            return False
        created_at = timer.written_at if found.created_at is None else found.created_at
        return tenure.read.covers_thread(thread_mark_of(user, found.app, found.thread), created_at, now_ms)
