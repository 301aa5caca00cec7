"""Counts what is due within a day in each partition, again and again, without holding anything up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Final

from pushcast.keep.index import QUEUES, DueTimes, rate_of, until
from pushcast.keep.outlook import Outlook, OutlookRules
from pushcast.keep.queues import paced_in
from pushcast.keep.tenure import KeepTenure
from pushcast.model.clock import Clock
from pushcast.model.forecast import HORIZON_MS, Forecast
from pushcast.stream.ports import CallLater, Fatal
from pushcast.stream.runner import Runner
from pushcast.stream.table import Table

logger = logging.getLogger(__name__)

EVERY_SECONDS: Final = 30.0
#: Of the time, for all counts of a partition: one of a million timers takes a second, and timers leave meanwhile.
MAX_SHARE: Final = 0.02
#: Entries between two turns of the loop for others; and of one count: beyond them it says that there is more.
SLICE_ENTRIES: Final = 500
MAX_ENTRIES: Final = 2_000_000


class Census:
    """Of all partitions of one stage. It belongs to the event loop."""

    def __init__(
        self, table: Table, clock: Clock, fatal: Fatal, rules: OutlookRules | None, call_later: CallLater | None = None
    ) -> None:
        """`rules` None: nobody asks what is due."""
        self._outlook = None if rules is None else Outlook(table, rules)
        self._told: set[tuple[int, str]] = set()  # partition, and what is too slow there
        self._table = table
        self._clock = clock
        self._fatal = fatal
        self._call_later = call_later
        #: All partitions are to be counted at one time, and the loop would turn once for a slice of each.
        self._alone = asyncio.Lock()

    def runner_of(self, tenure: KeepTenure) -> Runner:
        """Runs every half a minute from when it is first woken, and less often where a count takes long."""
        what = f"keep: forecast of partition {tenure.number}"
        return Runner(what, partial(self._wait, tenure), partial(self._work, tenure), self._fatal, self._call_later)

    def _wait(self, tenure: KeepTenure) -> float | None:
        return None if self._outlook is None else tenure.count_again_at - self._clock.monotonic_seconds()

    async def _work(self, tenure: KeepTenure) -> None:
        async with self._alone:
            await self._count(tenure)

    async def _count(self, tenure: KeepTenure) -> None:
        assert self._outlook is not None, "it does not run"
        now_ms, began = self._clock.now_ms(), self._clock.monotonic_seconds()
        found, left = Forecast(now_ms), MAX_ENTRIES
        for queue in QUEUES:
            first, last = queue, until(queue, now_ms + HORIZON_MS)
            while left > 0 and (entries := self._table.index(tenure.number, first, last, SLICE_ENTRIES)):
                found.add_ascending(DueTimes(entries))
                first = entries[-1] + b"\0"
                left -= len(entries)
                await asyncio.sleep(0)
        for queue in paced_in(self._table, tenure.number):
            left -= await self._outlook.of_rate(tenure.number, rate_of(queue), queue, found, left)
        found.complete = left > 0
        await self._outlook.of_fullest_minute(tenure.number, found)
        self._tell(tenure.number, found.to_expire)
        tenure.forecast = found
        ended = self._clock.monotonic_seconds()
        tenure.count_again_at = ended + max(EVERY_SECONDS, (ended - began) / MAX_SHARE)

    def _tell(self, partition: int, to_expire: Mapping[str, int]) -> None:
        """Once for as long as it lasts."""
        for cause, count in to_expire.items():
            if (partition, cause) not in self._told:
                told = "keep: about %d notifications of partition %d expire before they may leave: %s is too slow"
                logger.warning(told, count, partition, cause)
        self._told = {told for told in self._told if told[0] != partition} | {(partition, each) for each in to_expire}
