"""The export of each day that is over, by the reporter that has partition 0, in a process of its own.

In a process of its own, because decoding millions of receipts would keep a reporter's readers waiting. Whose partition
0 is decides Kafka. Two that believe it is theirs write the same names with the same bytes.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, NamedTuple

import structlog

from pushcast.audit.export import whole_days
from pushcast.audit.export_places import absolute, place_of
from pushcast.config.doors import ReportExport
from pushcast.model.clock import Clock, SystemClock
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample
from pushcast.runtime.child import child_command

log = structlog.get_logger()

#: Of these exports the owner's process looks after one.
OWNER_PARTITION: Final = 0
EVERY_SECONDS: Final = 60.0
#: A reporter that has just started gets its partitions within seconds.
UNOWNED_SECONDS: Final = 5.0
#: After an export that failed.
AGAIN_SECONDS: Final = 600.0
#: Whole days that topics of receipts still have (push.receipt.v1 keeps 7 days).
DAYS_BACK: Final = 6
#: Readers and writers of everything else go first.
NICENESS: Final = 10
MAX_SHOWN_CHARS: Final = 500


class ExportEnd(NamedTuple):
    """How an export's process ended. `files`: as `pushcast report export --output json` tells them."""

    code: int
    files: list[dict[str, Any]]
    said: str


#: Exports a day.
ExportDay = Callable[[date], Awaitable[ExportEnd]]


def days_due(now: datetime, after_seconds: float) -> list[date]:
    """Days that are over for so long and that Kafka still has, the oldest first."""
    last = (now - timedelta(seconds=after_seconds)).date() - timedelta(days=1)
    return [last - timedelta(days=back) for back in reversed(range(DAYS_BACK))]


class DailyExport:
    """Create it on the loop."""

    def __init__(
        self,
        options: ReportExport,
        is_owner: Callable[[], bool],
        export: ExportDay | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`is_owner`: whether this process has partition 0."""
        self._options = options
        self._is_owner = is_owner
        self._export = export or child_export(options)
        self._clock = clock or SystemClock()
        self._again_at = 0.0
        self._last_day: date | None = None

    async def run(self, every_seconds: float = EVERY_SECONDS) -> None:
        """Until it is cancelled, which ends an export that runs."""
        while True:
            await self.look()
            await asyncio.sleep(every_seconds if self._is_owner() else min(every_seconds, UNOWNED_SECONDS))

    async def look(self) -> None:
        """Exports what is due; nothing for a while after a failure."""
        if not self._is_owner() or self._clock.monotonic_seconds() < self._again_at:
            return
        day: date | None = None
        try:
            now = datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
            days = days_due(now, self._options.after_seconds)
            done = await asyncio.to_thread(self._whole, days)
            self._last_day = max(done, default=None)
            for day in days:
                if day in done:
                    continue
                ended = await self._export(day)
                if ended.code:
                    self._failed(day, f"exit {ended.code}: {ended.said}")
                    return
                self._last_day = max(day, self._last_day or day)
                sums = {name: sum(file[name] for file in ended.files) for name in ("rows", "gone", "unreadable")}
                log.info("day_exported", day=str(day), files=len(ended.files), **sums)
        except Exception as error:  # the folder, the package that reaches it, the process, or what it said
            self._failed(day, f"{type(error).__name__}: {error}")

    def _whole(self, days: Iterable[date]) -> set[date]:
        return whole_days(place_of(self._options.folder), days)

    def _failed(self, day: date | None, problem: str) -> None:
        self._again_at = self._clock.monotonic_seconds() + AGAIN_SECONDS
        log.error("day_not_exported", day=str(day), problem=problem)

    def samples(self) -> Iterable[Sample]:
        """For `Metrics.add_source`. Of the owner alone: what others last knew says nothing."""
        if self._is_owner():
            yield Sample(Name.REPORT_EXPORTED, 0 if self._last_day is None else _end_seconds(self._last_day))


def _end_seconds(day: date) -> float:
    return datetime.combine(day + timedelta(days=1), time(), UTC).timestamp()


def child_export(options: ReportExport, command: Callable[..., Iterable[str]] = child_command) -> ExportDay:
    """`pushcast report export` of a day, with the configuration of this process."""

    async def export(day: date) -> ExportEnd:
        places = "--folder", absolute(options.folder), "--format", options.format
        words = command("report", "export", "--day", str(day), *places, "--output", "json")
        child = await asyncio.create_subprocess_exec(
            *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        with suppress(OSError):  # it has ended already
            os.setpriority(os.PRIO_PROCESS, child.pid, NICENESS)
        try:
            out, said = await child.communicate()
        except BaseException:
            with suppress(ProcessLookupError):
                child.terminate()
            raise
        code = child.returncode or 0
        lines = said.decode(errors="replace").strip().splitlines()
        return ExportEnd(code, [] if code else json.loads(out), lines[-1][:MAX_SHOWN_CHARS] if lines else "")

    return export
