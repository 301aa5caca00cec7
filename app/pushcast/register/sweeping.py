"""Goes through the rows of this process's partitions, slowly, and has those ended that nobody needs any more."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import is_user_row
from pushcast.register.ports import Counters
from pushcast.register.sweep import Phase, Sweep, SweepRules, pass_of
from pushcast.register.tenure import RegisterTenure
from pushcast.stream.ports import CallLater, Fatal
from pushcast.stream.runner import Runner
from pushcast.stream.sweeps import ASK_SECONDS, FIRST_SECONDS, SLICE_ROWS, SweepPace
from pushcast.stream.table import Row, Table
from pushcast.wire.devices.devices import decode_row
from pushcast.wire.devices.user_rows import decode_user_row

logger = logging.getLogger(__name__)


class Sweeping:
    """Of all partitions of one stage. It belongs to the event loop."""

    def __init__(
        self,
        table: Table,
        rules: SweepRules,
        pace: SweepPace,
        *,
        clock: Clock,
        counters: Counters,
        confirmed: Callable[[str], bool],
        may_write: Callable[[int], bool],
        room: Callable[[], Awaitable[None]],
        end_all: Callable[[RegisterTenure, Sequence[bytes]], None],
        fatal: Fatal,
        call_later: CallLater | None = None,
    ) -> None:
        """`confirmed`: whether an operator lets the passes of this name remove whatever they found. `end_all` is told
        keys of rows whose time has come; it decides again, with what is in flight."""
        self._table = table
        self.rules = rules
        self._pace = pace
        self._clock = clock
        self._counters = counters
        self._confirmed = confirmed
        self._may_write = may_write
        self._room = room
        self._end_all = end_all
        self._fatal = fatal
        self._call_later = call_later

    def runner_of(self, tenure: RegisterTenure) -> Runner:
        """Sweeps a partition for as long as it is ours; wake it once."""
        tenure.sweep = Sweep(self._clock.monotonic_seconds() + FIRST_SECONDS)
        what = f"sweep of partition {tenure.number}"
        return Runner(what, partial(self._until, tenure), partial(self._step, tenure), self._fatal, self._call_later)

    def figures(self, tenures: Iterable[RegisterTenure]) -> Counter[str]:
        """`overdue`: devices that missed a refresh, of the last passes; `braked`: partitions that wait for a word."""
        found = Counter(overdue=0, braked=0)
        for tenure in tenures:
            found["overdue"] += tenure.sweep.tally.overdue
            found["braked"] += tenure.sweep.phase is Phase.BRAKED
        return found

    def _until(self, tenure: RegisterTenure) -> float:
        return tenure.sweep.due - self._clock.monotonic_seconds()

    async def _step(self, tenure: RegisterTenure) -> None:
        """One slice, or one question."""
        sweep, now = tenure.sweep, self._clock.monotonic_seconds()
        if not self._may_write(tenure.number):
            sweep.due = now + ASK_SECONDS  # another process owns the partition
            return
        if sweep.phase is Phase.BRAKED:
            if not self._confirmed(pass_of(self._clock.now_ms())):
                sweep.due = now + ASK_SECONDS
                return
            sweep.remove()
        elif sweep.phase is Phase.RESTING:
            sweep.begin()
        await self._room()
        rows = self._table.rows_after(tenure.number, sweep.cursor, SLICE_ROWS)
        due = self._look(tenure, rows)
        if sweep.phase is Phase.REMOVING and due:
            self._end_all(tenure, due)
        sweep.due = now + len(rows) / self._pace.rows_per_second
        if len(rows) == SLICE_ROWS:
            sweep.cursor = rows[-1][0]
        else:
            self._end_of_rows(tenure, now)

    def _look(self, tenure: RegisterTenure, rows: Sequence[Row]) -> list[bytes]:
        """Keys of the rows whose time has come; counts them in the first pass. What cannot be read is left alone."""
        now_ms, tally, due = self._clock.now_ms(), tenure.sweep.tally, []
        for key, value in rows:
            try:
                row = decode_user_row(value) if is_user_row(key) else decode_row(value)
            except InvalidInput:
                continue
            fate = self.rules.fate(row, now_ms)
            if fate is not None:
                due.append(key)
            if tenure.sweep.phase is Phase.COUNTING:
                tally.add(row, fate, now_ms)
        return due

    def _end_of_rows(self, tenure: RegisterTenure, now: float) -> None:
        sweep = tenure.sweep
        if sweep.phase is Phase.REMOVING:
            sweep.rest()
        elif not sweep.counted(self.rules.max_share):
            self._braked(tenure)
        if sweep.phase is Phase.RESTING:
            self._counters["sweeps", "done"] += 1
            sweep.due = now + self._pace.every_seconds

    def _braked(self, tenure: RegisterTenure) -> None:
        if self._confirmed(pass_of(self._clock.now_ms())):
            tenure.sweep.remove()
            return
        self._counters["sweeps", Phase.BRAKED] += 1
        tally = tenure.sweep.tally
        logger.error(
            "sweep of partition %d: %d of %d devices are stale: none is removed until `pushcast device sweep"
            " --confirm`; look at this machine's clock, and whether apps still refresh",
            *(tenure.number, tally.stale_devices, tally.devices),
        )
