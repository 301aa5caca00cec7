"""When to open another connection, when to close one, and how long to stay away from a server that fails."""

from __future__ import annotations

import random
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
