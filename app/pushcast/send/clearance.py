"""Whether targets may go to their provider: what must not leave is ended, what must wait is kept aside.

Asked at each hand-over, the later tries of a process included.
"""

from __future__ import annotations

from collections.abc import Sequence

from pushcast.model.quiet import QuietTerms
from pushcast.send.cancelling import Cancelling
from pushcast.send.decide import (
    BROADCAST_STOPPED,
    CANCELLED,
    CONTENT_KEY_INVALID,
    DOUBTFUL,
    EXPIRED,
    NO_CONTENT_KEY,
    NOT_CONFIGURED,
    SEAL_BROKEN,
    End,
)
from pushcast.send.isolation import Halted, Isolation
from pushcast.send.opening import Opening
from pushcast.send.outcomes import Outcomes
from pushcast.send.records import Job
from pushcast.send.sealing import ContentSealing
from pushcast.wire.sending.parked import Why


class Clearance:
    """Of one stage. Targets that it is asked about hold their budget; the outcomes of those it takes out of a job give
    that back."""

    def __init__(
        self,
        *,
        outcomes: Outcomes,
        isolation: Isolation,
        cancelling: Cancelling,
        opening: Opening,
        sealing: ContentSealing,
        quiet_spread_ms: int = 0,
    ) -> None:
        self._outcomes = outcomes
        self._isolation = isolation
        self._cancelling = cancelling
        self._opening = opening
        self._sealing = sealing
        self._quiet_spread_ms = quiet_spread_ms

    def cleared(self, job: Job, now_ms: int) -> bool:
        """False when nothing is left of the job. Otherwise what is left of it may go, as `Job.handed` has it."""
        parcel = job.parcel
        if parcel.provider is None:
            self._outcomes.end([(parcel, job.indices, NOT_CONFIGURED)])
            return False
        if parcel.earliest_end <= now_ms:
            ends_at = parcel.last_moments
            late = [target for target in job.indices if ends_at[target] <= now_ms]
            if not self._without(job, late, EXPIRED):
                return False
        if not self._without(job, self._cancelling.among(job, job.indices), CANCELLED):
            return False
        message = parcel.message
        if message.notes.broadcast is not None and not self._not_halted(job, message.notes.broadcast):
            return False
        if message.quiet is not None and not self._may_ring(job, message.quiet, now_ms):
            return False
        return self._opened(job) and self._private(job)

    def _not_halted(self, job: Job, broadcasts: Sequence[str | None]) -> bool:
        """Ends what belongs to a stopped broadcast, and keeps what belongs to a held one aside; False when nothing is
        left of the job."""
        halted = {each: self._isolation.halted(each) for each in set(broadcasts) if each is not None}
        if not any(halted.values()):
            return True
        notification = job.parcel.message.targets.notification
        by_target = {target: halted.get(broadcasts[notification[target]] or "") for target in job.indices}
        if held := [target for target, how in by_target.items() if how is Halted.HELD]:
            self._outcomes.park(Job(job.parcel, held, job.tries, job.doubtful), Why.BROADCAST_HELD)
            self._leave_out(job, held)
        stopped = [target for target, how in by_target.items() if how is Halted.STOPPED]
        return self._without(job, stopped, BROADCAST_STOPPED) and bool(job.indices)

    def _may_ring(self, job: Job, terms: QuietTerms, now_ms: int) -> bool:
        """Keeps aside what nobody has judged by the quiet hours of its devices yet, and lies within them; False when
        nothing is left of the job."""
        if not terms.first_try:
            return True
        users, spread_ms = job.parcel.message.targets.user, self._quiet_spread_ms
        if quiet := [target for target in job.indices if terms.until(users[target], spread_ms, now_ms) is not None]:
            self._outcomes.park(Job(job.parcel, quiet, job.tries, job.doubtful), Why.QUIET_HOURS)
            self._leave_out(job, quiet)
        return bool(job.indices)

    def _opened(self, job: Job) -> bool:
        """Opens sealed addresses. What this process has no key for is kept aside, what does not open ends; False when
        nothing is left of the job."""
        opened = self._opening.open(job.parcel.message, job.indices)
        if opened is None:
            return True
        job.opened = opened.message
        if opened.unknown:
            self._outcomes.park(Job(job.parcel, opened.unknown, job.tries, job.doubtful), Why.KEY_UNKNOWN)
            self._leave_out(job, opened.unknown)
        return self._without(job, opened.broken, SEAL_BROKEN) and bool(job.indices)

    def _private(self, job: Job) -> bool:
        """Seals the content for each device, where its class says so; False when nothing is left of the job."""
        private = self._sealing.pieces(job.message, job.indices)
        if private is None:
            return True
        if private.unknown:
            self._outcomes.park(Job(job.parcel, private.unknown, job.tries, job.doubtful), Why.KEY_UNKNOWN)
            self._leave_out(job, private.unknown)
        job.pieces = private.pieces
        return (
            self._without(job, private.without_key, NO_CONTENT_KEY)
            and self._without(job, private.invalid, CONTENT_KEY_INVALID)
            and bool(job.indices)
        )

    def _without(self, job: Job, gone: list[int], end: End) -> bool:
        """Ends these targets instead of handing them over; what may have arrived before is not called so. False when
        nothing is left of the job."""
        if not gone:
            return True
        self._outcomes.end([(job.parcel, gone, DOUBTFUL if job.doubtful else end)])
        self._leave_out(job, gone)
        return bool(job.indices)

    def _leave_out(self, job: Job, gone: list[int]) -> None:
        if job.probe:
            self._isolation.forgo(job.parcel.app, len(gone))
        ended = frozenset(gone)
        job.indices = [target for target in job.indices if target not in ended]
