"""Which targets of a job were cancelled: asked before it is handed over, and again of what is at a provider when a
cancel comes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from pushcast.model.clock import Clock
from pushcast.model.words import Lane
from pushcast.send.records import Job
from pushcast.stream.assignment import boottime_seconds
from pushcast.wire.control.cancel_state import CancelState

#: How old the view of the cancels may be. Older, only the urgent lane goes on: it is worth more than a late cancel.
FRESH_SECONDS = 2.0


class Cancelling:
    """Of one stage."""

    def __init__(
        self, state: CancelState, clock: Clock, lane: Lane, unheard: Callable[[int], None] = lambda _: None
    ) -> None:
        """`unheard`: told how many targets leave while a cancel of them may not have been heard."""
        self._state = state
        self._clock = clock
        self._waits = lane is not Lane.URGENT
        self._unheard = unheard
        self.is_old = False  # what is known of cancels, when `is_current` was asked last

    def among(self, job: Job, targets: Iterable[int]) -> list[int]:
        """Those of the targets that must not leave."""
        return self._state.among(job.parcel.record.batch.partition, job.parcel.message, targets, self._clock.now_ms())

    def concerns(self, job: Job, users: Collection[str]) -> bool:
        """Whether a target without a result is cancelled, of these users; nobody: of all. Quick where the job has none
        of them."""
        columns = job.parcel.message.targets.user
        theirs = [target for target in job.open if not users or columns[target] in users]
        return bool(theirs and self.among(job, theirs))

    def is_current(self) -> bool:
        """Whether what is known of cancels is young enough for this lane."""
        self.is_old = boottime_seconds() - self._state.current_at > FRESH_SECONDS
        return not (self.is_old and self._waits)

    def tell_unheard(self, targets: int) -> None:
        """So many are handed over although it is old."""
        self._unheard(targets)
