"""How a pool of connections stands: for metrics."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LimitedBy(StrEnum):
    """What keeps more requests from being out. WORK: nothing waits. LATENCY: what answers take. GROWTH: the limit is on
    its way up. SETTING: `max_in_flight`. STREAMS: streams, windows or connections."""

    WORK = "work"
    LATENCY = "latency"
    GROWTH = "growth"
    SETTING = "setting"
    STREAMS = "streams"


@dataclass(frozen=True, slots=True)
class PoolStats:
    """Figures of a pool at one moment; `ended` counts closed connections by reason since the start."""

    connections: int
    opening: int
    draining: int
    in_flight: int
    waiting: int
    opened: int
    ended: dict[str, int]
    """Connections that ended, by reason."""
    limit: int
    """Requests that may be out now."""
    limited_by: LimitedBy
    latency_seconds: float
    """Mean of what answers took lately; 0 before the first."""


def limited_by(waiting: int, in_flight: int, limit: int, setting: int, *, slow: bool) -> LimitedBy:
    """`limit`: requests that may be out now, `setting`: at most. `slow`: what answers take holds the limit down."""
    if not waiting:
        return LimitedBy.WORK
    if in_flight * 4 < limit * 3:
        return LimitedBy.STREAMS
    if slow:
        return LimitedBy.LATENCY
    return LimitedBy.GROWTH if limit < setting else LimitedBy.SETTING
