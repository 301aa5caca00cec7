"""Whether this process may still believe that its partitions are its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

#: Of the session timeout: a coordinator that counts from another moment than we do, and a request that is on its way.
MARGIN_SHARE = 0.2
#: Kafka answers, as far as is known: heartbeats come every second.
FRESH_SECONDS = 2.0


def boottime_seconds() -> float:
    """The clock of heartbeats: it goes on while the machine sleeps. macOS has no CLOCK_BOOTTIME."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Lease:
    """Holds while the last good heartbeat is younger than the session timeout less a margin.

    Afterwards the coordinator may have given the partitions to another process, and whatever left now could reach a
    device twice. Times in CLOCK_BOOTTIME seconds.
    """

    def __init__(self, session_timeout_seconds: float, now: Callable[[], float] = boottime_seconds) -> None:
        self.seconds = session_timeout_seconds * (1 - MARGIN_SHARE)
        self._now = now
        self._held = True

    def holds(self, last_heartbeat_at: float) -> bool:
        """`last_heartbeat_at`: 0 before the first. Says so in the log when that changes."""
        holds = self._now() - last_heartbeat_at <= self.seconds
        if holds is not self._held:
            self._held = holds
            if holds:
                logger.warning("the group's coordinator answers again: sending goes on")
            else:
                logger.warning("no heartbeat for %.1f s: nothing is sent until there is one", self.seconds)
        return holds

    def is_fresh(self, last_heartbeat_at: float) -> bool:
        """Whether Kafka has answered just now."""
        return self._now() - last_heartbeat_at <= FRESH_SECONDS
