"""What an app asks of what waits for its user: digests that leave now, and whether anybody waits for a read."""

from __future__ import annotations

import msgspec

from pushcast.keep.joining import is_leaving
from pushcast.keep.rows import Rows
from pushcast.keep.rules import AT_ONCE
from pushcast.keep.tenure import KeepTenure
from pushcast.stream.edge import Count
from pushcast.stream.ports import Barrier
from pushcast.wire.events.engagement import Engagement, Event
from pushcast.wire.waiting.digests import all_heads_prefix
from pushcast.wire.waiting.held import Held
from pushcast.wire.waiting.timers import Timer


class AppsAsking:
    """Of all partitions of one stage. Never awaits: what is read and what is written are one step."""

    def __init__(self, rows: Rows, count: Count) -> None:
        self._rows = rows
        self._count = count

    def heard(self, tenure: KeepTenure, barrier: Barrier, engagement: Engagement) -> None:
        """Heard again after a kill it changes nothing: what was gathered since stays."""
        if engagement.event is Event.FLUSH:
            self._flush(tenure, barrier, engagement)
        elif engagement.event is Event.ACTIVE and engagement.until is not None:
            about = engagement.user, engagement.app or "", engagement.device or ""
            tenure.active.hear(*about, engagement.at, engagement.until)

    def _flush(self, tenure: KeepTenure, barrier: Barrier, engagement: Engagement) -> None:
        """Digests of the app, or of one class of it, that were open then are due at once."""
        for key, head in self._rows.heads_of(tenure, engagement.user, all_heads_prefix(engagement.user)).items():
            if head.app != engagement.app or engagement.klass not in (None, head.klass):
                continue
            if head.flushed_at is None and head.opened_at <= engagement.at and not is_leaving(tenure, key):
                self._rows.put(tenure, barrier, key, msgspec.structs.replace(head, due_at=AT_ONCE))
                self._count("digests_asked", "", 1)

    @staticmethod
    def opened(tenure: KeepTenure, user: str, held: Held, timer: Timer, now_ms: int) -> Timer:
        """The row of a new timer: one that waits for a user to read it elsewhere need not, when nobody is there."""
        if timer.closes or tenure.active.may_be(user, held.if_active, now_ms):
            return timer
        return msgspec.structs.replace(timer, due_at=min(timer.due_at, timer.written_at))
