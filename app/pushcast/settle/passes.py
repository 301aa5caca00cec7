"""When the parked records of one partition are gone through. Pure.

A pass takes every record below the end that the partition had when it began: what may go is sent, what has expired
ends, and what is still held is written to the end of the partition again, where this pass does not come. It begins when
something resumes, when the quiet hours of a record are over, soon after a record came that may go, and rarely for what
expires meanwhile. Rewriting is paid for with time: the more a pass carried over, the longer until the next one that no
resumption asks for.

A breaker closes only when probes get through, and probes are deliveries: each pass sends one record of each app whose
breaker is open, and between passes a probe goes from the head of the partition.
"""

from __future__ import annotations

from dataclasses import dataclass

#: After a record came that may go: its sender may have parked it just before it heard of the resumption.
SOON_SECONDS = 1.0
#: What rewriting may cost a partition on average: bytes of records per second until the next pass.
BYTES_PER_SECOND = 256 << 10
#: However much was carried over: expiry is looked for at least so often.
LONGEST_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Intervals:
    """Seconds between passes that nothing resumed, and between probes of an open breaker."""

    pass_seconds: float = 60.0
    probe_seconds: float = 5.0


class Passes:
    """Schedule of one partition during one assignment. `now`: monotonic seconds."""

    def __init__(self, intervals: Intervals, now: float) -> None:
        self.end = 0  # offsets below it belong to the pass under way
        self._intervals = intervals
        self._began_at = now
        self._next_at = now + intervals.pass_seconds
        self._probe_at = now + intervals.probe_seconds
        self._cost_bytes = 0
        self._resumed = False
        self._timed_at = float("inf")  # when something may go that knows its time
        self._probed: set[tuple[str, str]] = set()
        self._fresh: frozenset[tuple[str, str]] = frozenset()

    def resumed(self) -> None:
        """Something that was held is not any more: a pass begins as soon as none is under way."""
        self._resumed = True

    def may_go(self, now: float) -> None:
        """A record came that nothing holds."""
        self._next_at = min(self._next_at, max(now + SOON_SECONDS, self._began_at + self._cost_seconds()))

    def may_go_at(self, at: float) -> None:
        """A record came that may go then, and not before."""
        self._timed_at = min(self._timed_at, at)

    def wait_seconds(self, head: int, now: float, probing: bool) -> float:
        """Until the record at the head is handled; 0 when it belongs to the pass, or `due` or `probe_due` holds.

        `probing`: some breaker is open, so the time of the next probe counts.
        """
        if head < self.end or self._resumed:
            return 0.0
        at = min(self._next_at, self._timed(), *((self._probe_at,) if probing else ()))
        return max(0.0, at - now)

    def due(self, now: float) -> bool:
        """Whether a pass is to begin, when none is under way."""
        return self._resumed or min(self._next_at, self._timed()) <= now

    def probe_due(self, now: float) -> bool:
        """Whether a probe is to leave between passes."""
        return self._probe_at <= now

    def starting(self) -> None:
        """The end of the partition is about to be asked for: what resumes from here on may want another pass."""
        self._resumed = False

    def begin(self, end: int, now: float, fresh: frozenset[tuple[str, str]] = frozenset()) -> None:
        """A pass over everything below `end`. Call `starting` before.

        `fresh`: (app, platform) of which something waits near the head that was not refused before; it is the probe.
        """
        self.end = end
        self._fresh = fresh
        self._began_at = now
        self._next_at = now + self._intervals.pass_seconds
        self._timed_at = float("inf")  # what is carried over comes again, and says its time
        self._cost_bytes = 0
        self._probes_from(now)

    def begin_probe(self, end: int, now: float, fresh: frozenset[tuple[str, str]] = frozenset()) -> None:
        """A pass over the head of the partition alone, for the sake of its last record. `fresh` as in `begin`."""
        self._fresh = fresh
        self.end = max(self.end, end)
        self._probes_from(now)

    def go_on(self, end: int) -> None:
        """A predecessor's pass had come so far: what it did not commit is gone through at once."""
        self.end = max(self.end, end)

    def no_probe(self, now: float) -> None:
        """Nothing at the head could serve as a probe."""
        self._probe_at = now + self._intervals.probe_seconds

    def _probes_from(self, now: float) -> None:
        self._probe_at = now + self._intervals.probe_seconds
        self._probed.clear()

    def probes(self, app: str, platform: str, *, refused: bool = False) -> bool:
        """Whether this record is the probe of its app in this pass; true once. `refused`: it was, before."""
        if (app, platform) in self._probed or (refused and (app, platform) in self._fresh):
            return False
        self._probed.add((app, platform))
        return True

    def costs(self, size_bytes: int) -> None:
        """A record of the pass was written to the end again, or may come back because its sender is still too busy."""
        self._cost_bytes += size_bytes
        self._next_at = max(self._next_at, self._began_at + min(self._cost_seconds(), LONGEST_SECONDS))

    def _timed(self) -> float:
        """When to look for what knows its time: many such records do not make a pass each."""
        return max(self._timed_at, self._began_at + max(SOON_SECONDS, self._cost_seconds()))

    def _cost_seconds(self) -> float:
        return self._cost_bytes / BYTES_PER_SECOND
