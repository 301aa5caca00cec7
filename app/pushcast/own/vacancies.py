"""Goes through the marks of this process's partitions, slowly, and has those ended that nobody needs any more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.ownership import token_of
from pushcast.own.decide import is_over
from pushcast.own.tenure import OwnTenure
from pushcast.stream.ports import CallLater, Fatal
from pushcast.stream.runner import Runner
from pushcast.stream.sweeps import ASK_SECONDS, FIRST_SECONDS, SLICE_ROWS, SweepPace
from pushcast.stream.table import Row, Table
from pushcast.wire.devices.ownership import decode_mark


class Vacancies:
    """Of all partitions of one stage. It belongs to the event loop."""

    def __init__(
        self,
        table: Table,
        vacant_ms: int,
        pace: SweepPace,
        *,
        clock: Clock,
        may_write: Callable[[int], bool],
        room: Callable[[], Awaitable[None]],
        end_all: Callable[[OwnTenure, Sequence[bytes]], None],
        fatal: Fatal,
        call_later: CallLater | None = None,
    ) -> None:
        """`vacant_ms`: for how long a mark stands on. `end_all` is told keys of marks whose time has come; it decides
        again, with what is in flight."""
        self._table = table
        self._vacant_ms = vacant_ms
        self._pace = pace
        self._clock = clock
        self._may_write = may_write
        self._room = room
        self._end_all = end_all
        self._fatal = fatal
        self._call_later = call_later

    def runner_of(self, tenure: OwnTenure) -> Runner:
        """Sweeps a partition for as long as it is ours; wake it once."""
        tenure.sweep_due = self._clock.monotonic_seconds() + FIRST_SECONDS
        what = f"sweep of the owners' partition {tenure.number}"
        return Runner(what, partial(self._until, tenure), partial(self._step, tenure), self._fatal, self._call_later)

    def before(self, tenure: OwnTenure) -> int:
        """A token that has been vacant since before this time, in milliseconds, has no mark any more.

        Counted back from the newest claim, by Kafka's time: while no claims come, as when registrars are behind, none
        ends. This process's clock only holds it back.
        """
        return min(tenure.newest_at, self._clock.now_ms()) - self._vacant_ms

    def _until(self, tenure: OwnTenure) -> float:
        return tenure.sweep_due - self._clock.monotonic_seconds()

    async def _step(self, tenure: OwnTenure) -> None:
        """One slice."""
        now = self._clock.monotonic_seconds()
        if not self._may_write(tenure.number):
            tenure.sweep_due = now + ASK_SECONDS  # another process owns the partition
            return
        await self._room()
        rows = self._table.rows_after(tenure.number, tenure.sweep_cursor, SLICE_ROWS)
        if ended := self._ended(rows, self.before(tenure)):
            self._end_all(tenure, ended)
        if len(rows) == SLICE_ROWS:
            tenure.sweep_cursor = rows[-1][0]
            tenure.sweep_due = now + len(rows) / self._pace.rows_per_second
        else:
            tenure.sweep_cursor, tenure.sweep_due = b"", now + self._pace.every_seconds

    @staticmethod
    def _ended(rows: Sequence[Row], before: int) -> list[bytes]:
        """What cannot be read is left alone."""
        found = []
        for key, value in rows:
            try:
                mark = decode_mark(token_of(key), value)
            except (InvalidInput, ValueError):
                continue
            if is_over(mark, before):
                found.append(key)
        return found
