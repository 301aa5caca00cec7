"""What PLAN holds of one partition while it owns it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from pushcast.handover.copies import Copies
from pushcast.handover.fences import Fences
from pushcast.model.words import Source
from pushcast.plan.entry import Entry
from pushcast.plan.recent import Recent
from pushcast.plan.windows import PartitionWindows
from pushcast.stream.batch import TP, Record
from pushcast.stream.runner import Runner
from pushcast.stream.tenure import Pending
from pushcast.wire.headers import Headers
from pushcast.wire.waiting.closings import Closing
from pushcast.wire.waiting.held import Released


class LookAgain(NamedTuple):
    """A notification of a user without devices, to be looked up once more at `at` (monotonic seconds)."""

    at: float
    entry: Entry
    record: Record


class PlanTenure:
    """Windows, second look-ups and unfinished records of one partition during one assignment."""

    def __init__(
        self,
        tp: TP,
        windows: PartitionWindows,
        recent: Recent,
        origin: Headers,
        runner: Callable[[PlanTenure], Runner],
        source: Source = Source.NOTIFICATION,
    ) -> None:
        self.source = source  # of the account of every record
        self.tp = tp
        self.number = tp.partition
        self.windows = windows
        self.recent = recent
        self.origin = origin  # headers of every output
        self.fences = Fences()  # of the source itself: keepers fence each other off in what they release
        self.copies = Copies()  # of what the keeper let go
        self.released: dict[int, Released] = {}  # what the keeper says of parts of a local time, by offset
        self.closes: dict[int, Closing] = {}  # how released records end, by offset
        self.taken_to = 0  # records below this offset are under way: a batch that is handed over again skips them
        self.later: deque[LookAgain] = deque()  # users without devices, to be looked up once more
        self.complete: list[Entry] = []  # all outputs acknowledged, the planned record not yet written
        self.pending = Pending()  # source records that were taken and are not done
        self.runner = runner(self)

    def wait_seconds(self, now: float) -> float | None:
        """Until the next window closes or the next user is looked up once more; None when nothing waits."""
        due = self.windows.next_due()
        if self.later and (due is None or self.later[0].at < due):
            due = self.later[0].at
        return None if due is None else due - now

    def close(self) -> None:
        """No turn begins any more. What is in windows is for the caller to flush first, or for the next owner."""
        self.runner.stop()
