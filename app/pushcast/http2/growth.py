"""When to open another connection, when to close one, and how long to stay away from a server that fails."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """A pool at one tick. `stream_limits` has an entry per connection that may be used fully; `settling` counts those
    on their way there. `idle_share` is the part of the tick in which this thread had nothing to do."""

    waiting: int
    in_flight: int
    stream_limits: list[int]
    short_of_streams: bool
    settling: int
    idle_share: float


def connections_to_add(load: Load, max_connections: int, grow_idle_share: float) -> int:
    """Half as many again while streams are what limits: not while the thread is busy (each further connection makes a
    push dearer: 2.4 to 3.4 us from 1 to 16), and not while others are still coming up."""
    present = len(load.stream_limits)
    if not present or load.settling or not load.waiting or not load.short_of_streams:
        return 0
    if load.idle_share < grow_idle_share:
        return 0
    return max(0, min((present + 1) // 2, max_connections - present))


def one_too_many(load: Load) -> bool:
    """The others could carry twice what is out now."""
    if len(load.stream_limits) < 2 or load.waiting:
        return False
    return load.in_flight * 2 <= sum(load.stream_limits) - max(load.stream_limits)


def backoff_seconds(failures: int, base_seconds: float, cap_seconds: float, rng: random.Random) -> float:
    """The wait after the failure number `failures` (from 0) in a row: doubling, capped, its upper half jittered."""
    ceiling = min(cap_seconds, base_seconds * 2.0 ** min(failures, 32))
    return ceiling * (0.5 + rng.random() / 2)


class Spare:
    """Whether a connection has been one too many for so long that it is closed."""

    def __init__(self, after_seconds: float) -> None:
        self._after_seconds = after_seconds
        self._since: float | None = None

    def is_over(self, now: float, load: Load) -> bool:
        """Ask at every tick."""
        if not one_too_many(load):
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since >= self._after_seconds:
            self._since = now
            return True
        return False


class Ticks:
    """When the last tick was, and what it has cost this thread since. `cpu_clock` in seconds."""

    def __init__(self, now: float, cpu_clock: Callable[[], float]) -> None:
        self._cpu_clock = cpu_clock
        self.begin(now)

    def begin(self, now: float) -> None:
        """Ticking begins, or goes on after a pause."""
        self._at, self._cpu = now, self._cpu_clock()

    def late_seconds(self, now: float, every_seconds: float) -> float:
        """How much later than it should this tick comes."""
        return max(0.0, now - self._at - every_seconds)

    def idle_share(self, now: float) -> float:
        """The part of the time since the last tick in which this thread had nothing to do. This is the last tick from
        here on."""
        elapsed, cpu = now - self._at, self._cpu
        self.begin(now)
        return 1.0 - (self._cpu - cpu) / elapsed if elapsed > 0 else 0.0
