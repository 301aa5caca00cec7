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
