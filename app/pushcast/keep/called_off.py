"""What is called off by id, thread or campaign: what the keeper holds of it ends, and so does what it holds later.

Planners judge a thread or a campaign again when a timer is due. That is too late for a member of a digest, which left
with it, and for a timer that is due when marks of threads are gone (seven days).
"""

from __future__ import annotations

from pushcast.keep import rules
from pushcast.keep.joining import Joining, is_leaving
from pushcast.keep.rows import Rows
from pushcast.keep.tenure import KeepTenure
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.stream.cancelling import Cancels
from pushcast.stream.ports import Barrier
from pushcast.wire.events.cancels import Cancel
from pushcast.wire.events.threads import CampaignLabel, Thread, ThreadReader
from pushcast.wire.waiting.timers import Timer


class CalledOff:
    """Of all partitions of one stage. Never awaits: what is read and what is written are one step."""

    def __init__(self, rows: Rows, joining: Joining, cancels: Cancels, threads: ThreadReader, clock: Clock) -> None:
        self._rows = rows
        self._joining = joining
        self._cancels = cancels
        self._threads = threads
        self._clock = clock

    def heard(self, tenure: KeepTenure, barrier: Barrier, cancel: Cancel) -> None:
        """Ends what waits, unless it is leaving."""
        user = cancel.user
        for key, known in self._named(tenure, cancel).items():
            leaves = is_leaving(tenure, key) or self._joining.leaves(tenure, user, known)
            timer = None if leaves else rules.cancelled(known)
            if timer is not None:
                self._rows.put(tenure, barrier, key, timer)

    def _named(self, tenure: KeepTenure, cancel: Cancel) -> dict[bytes, Timer]:
        """Timers that it names, by row key."""
        found: dict[bytes, Timer] = {}
        for note_id in cancel.ids:
            found |= self._rows.named(tenure, cancel.user, note_id)
        if cancel.thread is not None:
            waiting = self._rows.waiting_of(tenure, cancel.user)
            found |= {key: timer for key, timer in waiting.items() if self._is_in(timer, cancel)}
        return found

    def _is_in(self, timer: Timer, cancel: Cancel) -> bool:
        thread, _ = self._labels(timer)
        if thread is None or (thread.app, thread.thread) != (cancel.app, cancel.thread):
            return False
        return (timer.written_at if thread.created_at is None else thread.created_at) <= cancel.at

    def covers(self, tenure: KeepTenure, user: str, note_id: str, timer: Timer) -> bool:
        """Whether a timer that is about to be opened was called off before."""
        state = self._cancels.state
        if not state.any(tenure.number):
            return False
        thread, campaign = None, None
        if state.campaigns or state.has_threads(tenure.number):
            thread, campaign = self._labels(timer)
        created_at = next((each.created_at for each in (thread, campaign) if each is not None), None)
        return self.names(
            tenure, user, note_id, timer.written_at if created_at is None else created_at, thread, campaign
        )

    def names(
        self,
        tenure: KeepTenure,
        user: str,
        note_id: str,
        created_at: int,
        thread: Thread | None = None,
        campaign: CampaignLabel | None = None,
    ) -> bool:
        """Whether a notification was called off by its id, or by what is known of its thread and campaign."""
        state = self._cancels.state
        return state.any(tenure.number) and state.cancelled(
            tenure.number,
            user,
            note_id,
            app=None if thread is None else thread.app,
            thread=None if thread is None else thread.thread,
            created_at_ms=created_at,
            now_ms=self._clock.now_ms(),
            campaign=None if campaign is None else campaign.campaign,
        )

    def _labels(self, timer: Timer) -> tuple[Thread | None, CampaignLabel | None]:
        """What the keeper makes itself has none, nor has what cannot be read: its planner judges it when it is due."""
        if timer.kind:
            return None, None
        try:
            return self._threads.read(timer.event), self._threads.campaign(timer.event)
        except InvalidInput:
            return None, None
