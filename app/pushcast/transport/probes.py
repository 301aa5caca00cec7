"""What live and ready mean, decided from the transport's figures. Pure but for what `Liveness` remembers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from pushcast.transport.app_state import AppState

#: A transaction that is open for longer is worth a word.
TRANSACTION_SECONDS = 10.0


def readiness(groups: Iterable[AppState], now_seconds: float, session_timeout_seconds: float) -> list[str]:
    """Why the process cannot do its work (yet): a group without assignment or heartbeat, tables in recovery, a lag not
    known, a record of a later release. `now_seconds`: CLOCK_BOOTTIME."""
    problems = []
    for group in groups:
        problems += [f"{group.name}: {problem}" for problem in group.problems]
        problems += [
            f"{group.name}: {place} waits for the end of an open transaction, for {seconds:.0f} s by now"
            for place, seconds in group.held_seconds.items()
            if seconds > TRANSACTION_SECONDS
        ]
        problems += [
            f"{group.name}: {waits_for}"
            for waits_for in dict.fromkeys(partition.waits_for for partition in group.partitions)
            if waits_for is not None
        ]
        silent_seconds = now_seconds - group.last_heartbeat_at
        if group.last_heartbeat_at and silent_seconds > session_timeout_seconds:
            problems.append(
                f"{group.name}: no heartbeat for {silent_seconds:.0f} s, its partitions may be others' by now"
            )
        elif not group.assigned:
            problems.append(f"{group.name}: no partitions assigned yet")
        elif not group.recovered:
            problems.append(f"{group.name}: tables are recovering or partitions are being prepared")
        elif not group.lag_known:
            problems.append(f"{group.name}: the end of the log is not known yet")
    return problems


class _Mark(NamedTuple):
    oldest_at_ms: int | None
    unfinished: int
    lag: int | None
    since_seconds: float


class Liveness:
    """A process is alive while each partition makes progress, has nothing to do, or cannot reach the broker.

    Progress: the oldest unfinished record is another one, or fewer are unfinished, or the lag shrank. An outage must
    not make a supervisor kill what waits for it, so a group whose last heartbeat is older than the session
    timeout is not judged, and patience starts anew afterwards. `stall_seconds` must exceed the longest window of any
    class: a record waits in its window unfinished. That the loop ticks is shown by an answer at all.
    """

    def __init__(
        self, *, stall_seconds: float, session_timeout_seconds: float, boottime_seconds: Callable[[], float]
    ) -> None:
        self._stall_seconds = stall_seconds
        self._session_timeout_seconds = session_timeout_seconds
        self._boottime_seconds = boottime_seconds
        self._marks: dict[tuple[str, str, int], _Mark] = {}

    def problems(self, groups: Sequence[AppState]) -> list[str]:
        """Partitions without progress for longer than `stall_seconds`. Call it regularly: it compares with the last."""
        now = self._boottime_seconds()
        marks: dict[tuple[str, str, int], _Mark] = {}
        problems = []
        for group in groups:
            if now - group.last_heartbeat_at > self._session_timeout_seconds:
                continue  # the broker is away, or never answered
            for partition in group.partitions:
                if partition.waits_for is not None:
                    continue  # for another release: the same process again would wait, too
                if not partition.in_flight_records and not partition.lag_records:
                    continue
                key = (group.name, partition.topic, partition.partition)
                seen = _Mark(partition.oldest_unfinished_at_ms, partition.in_flight_records, partition.lag_records, now)
                before = self._marks.get(key)
                if before is not None and not _progress(before, seen):
                    seen = seen._replace(since_seconds=before.since_seconds)
                marks[key] = seen
                stalled = now - seen.since_seconds
                if stalled > self._stall_seconds:
                    place = f"{partition.topic}[{partition.partition}]"
                    problems.append(f"{group.name}: {place} has made no progress for {stalled:.0f} s")
        self._marks = marks
        return problems


def _progress(before: _Mark, now: _Mark) -> bool:
    if now.oldest_at_ms != before.oldest_at_ms or now.unfinished < before.unfinished:
        return True
    return before.lag is not None and now.lag is not None and now.lag < before.lag
