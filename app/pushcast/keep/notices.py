"""What registrars tell of users: zones that changed, and users who are forgotten."""

from __future__ import annotations

from typing import Final

from pushcast.keep import rules
from pushcast.keep.joining import Joining, is_leaving
from pushcast.keep.rows import Rows
from pushcast.keep.tenure import KeepTenure
from pushcast.stream.edge import Count
from pushcast.stream.ports import Barrier
from pushcast.wire.waiting.digests import Head, all_heads_prefix
from pushcast.wire.waiting.notices import Notice, NoticeKind, ThreadsOff
from pushcast.wire.waiting.timers import Timer, note_id_of, timer_key
from pushcast.wire.waiting.usage import usage_key

#: A planner may know that much later than the keeper what a registrar told: one that was killed starts meanwhile.
LATE_MS: Final = 30_000
#: In place of a notification's: no event has it.
_NO_ID: Final = ""


def is_mark_of_forgotten(key: bytes) -> bool:
    """Whether the row of this key says that a user was forgotten."""
    return note_id_of(key) == _NO_ID


class Notices:
    """Of all partitions of one stage. Never awaits: what is read and what is written are one step. Hearing one again
    changes nothing."""

    def __init__(self, rows: Rows, joining: Joining, count: Count) -> None:
        self._rows = rows
        self._joining = joining
        self._count = count

    def heard(self, tenure: KeepTenure, barrier: Barrier, user: str, notice: Notice, written_at: int) -> None:
        """What leaves at this moment goes on: its planner judges it by the same. `written_at`: of the notice."""
        if notice.kind is NoticeKind.FORGOTTEN:
            self._forget(tenure, barrier, user, notice.at)
        elif notice.off is not None:
            self._switch(tenure, barrier, user, notice.off)
        else:
            tenure.moved.add(user.encode(), written_at + LATE_MS)
            self._look_again(tenure, barrier, user)

    def recall(self, tenure: KeepTenure, user: str) -> None:
        """What a predecessor was told of a user who has rows: a record that was written before may come after it."""
        mark = self._rows.timer(tenure, timer_key(user, _NO_ID))
        if mark is not None:
            tenure.forgotten.add(user.encode(), mark.written_at)

    def opened(self, tenure: KeepTenure, user: str, timer: Timer) -> Timer:
        """The row of a new timer, as what was told before makes it. Its planner may not have known that yet."""
        name = user.encode()
        if tenure.forgotten.covers(name, timer.written_at):
            return rules.forgotten(timer)
        if timer.part == 0 and tenure.moved.covers(name, timer.written_at):
            return rules.looked_at_again(timer) or timer
        until = tenure.moved.until(name)
        if timer.part and (tenure.time.now_ms() or timer.written_at) < until:
            # It was judged again since, by a planner that may not have known: once more when that one must know.
            return rules.looked_at_by(timer, until) or timer
        return timer

    def _switch(self, tenure: KeepTenure, barrier: Barrier, user: str, off: ThreadsOff) -> None:
        """Members of digests say from now on whether their user wants them. Anything else its planner judges when it
        is due."""
        self._joining.switching.remember(tenure, user, off)
        for key, timer in self._rows.waiting_of(tenure, user).items():
            if not timer.digest or timer.closes or is_leaving(tenure, key) or self._joining.leaves(tenure, user, timer):
                continue
            row = self._joining.switching.judged(timer, off)
            if row != timer:
                self._rows.put(tenure, barrier, key, row)

    def _look_again(self, tenure: KeepTenure, barrier: Barrier, user: str) -> None:
        """Due times that depend on a zone are found anew, by planners: they know the user's devices."""
        for key, timer in self._rows.waiting_of(tenure, user).items():
            row = None if is_leaving(tenure, key) else rules.looked_at_again(timer)
            if row is not None and row != timer:
                self._rows.put(tenure, barrier, key, row)
                self._count("timers_rezoned", "moved", 1)

    def _forget(self, tenure: KeepTenure, barrier: Barrier, user: str, at: int) -> None:
        """What waits ends, and nothing else of the user stays but who had which notification, and that the user was
        forgotten, for minutes."""
        tenure.forgotten.add(user.encode(), at)
        tenure.switched.pop(user.encode(), None)
        mark, now_ms = timer_key(user, _NO_ID), tenure.time.now_ms() or at
        known = self._rows.timer(tenure, mark)
        if known is None or known.written_at < at:
            self._rows.put(tenure, barrier, mark, rules.mark_of_forgotten(at, now_ms))
        for key, timer in self._rows.timers_of(tenure, user).items():
            if is_leaving(tenure, key) or self._joining.leaves(tenure, user, timer):
                continue
            row = self._forgotten(tenure, timer, at)
            if row != timer:
                self._rows.put(tenure, barrier, key, row)
        # What was written since may be a member: without its digest it would never leave.
        gathering = {timer.digest for timer in self._rows.waiting_of(tenure, user).values() if not timer.closes}
        for key, head in self._rows.heads_of(tenure, user, all_heads_prefix(user)).items():
            if head.name in gathering:
                continue
            if not is_leaving(tenure, key) and not _has_left(head) and head.opened_at <= at:
                self._rows.put(tenure, barrier, key, None)
        others = [*self._rows.badges_of(tenure, user), *self._rows.recallables_of(tenure, user)]
        usage = usage_key(user)
        if self._rows.usage(tenure, usage) is not None:
            others.append(usage)
        for key in others:
            if not is_leaving(tenure, key):
                self._rows.put(tenure, barrier, key, None)
        self._count("users_forgotten", "", 1)

    def _forgotten(self, tenure: KeepTenure, timer: Timer, at: int) -> Timer | None:
        """The row of a timer of such a user; None: none."""
        if timer.kind and timer.waits:
            return None  # nobody knows yet of what the keeper makes itself
        if timer.written_at > at:
            return timer
        if timer.waits:
            return timer if timer.closes else rules.forgotten(timer)
        return rules.remembered_shortly(timer, tenure.time.now_ms() or at)


def _has_left(head: Head) -> bool:
    return head.flushed_at is not None
