"""Whether a member of a group may still act for its partitions, judged from its own heartbeats. Pure but for the clock.

A process that was stopped, or a machine that slept, wakes up as an owner in its own eyes while the coordinator has
given its partitions away. The last heartbeat tells it before Kafka does.
"""

from __future__ import annotations

import time
from typing import Final

#: Of the session timeout, and at least in seconds: what is decided now reaches its addressee a little later.
MARGIN_SHARE: Final = 0.2
LEAST_MARGIN_SECONDS: Final = 1.0
#: Within it a member gives its partitions back and joins again.
REBALANCE_TIMEOUT_SECONDS: Final = 30.0
#: Of the rebalance timeout, for stages to give their partitions back; the rest is for the last commit and the join.
REVOKING_SHARE: Final = 0.5
# macOS has no CLOCK_BOOTTIME; its CLOCK_MONOTONIC goes on while the machine sleeps.
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boottime_seconds() -> float:
    """The clock of heartbeats: it goes on while the machine sleeps, and never jumps."""
    return time.clock_gettime(_CLOCK)


def holds(heartbeat_at: float, now: float, session_timeout_seconds: float) -> bool:
    """True while no coordinator can have given the partitions away.

    `heartbeat_at`: when the last heartbeat that was answered well had been *sent*, 0 before the first.
    """
    margin = max(LEAST_MARGIN_SECONDS, MARGIN_SHARE * session_timeout_seconds)
    return now - heartbeat_at < session_timeout_seconds - margin
