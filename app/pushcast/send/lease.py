"""Whether this process may still believe that its partitions are its own."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pushcast.stream.assignment import boottime_seconds, holds

logger = logging.getLogger(__name__)

#: Kafka answers, as far as is known: heartbeats come every second.
FRESH_SECONDS = 2.0


class Lease:
    """Holds while the last good heartbeat is younger than the session timeout less a margin.

    Afterwards the coordinator may have given the partitions to another process, and whatever left now could reach a
    device twice. Times in CLOCK_BOOTTIME seconds.
    """

    def __init__(self, session_timeout_seconds: float, now: Callable[[], float] = boottime_seconds) -> None:
        self._timeout_seconds = session_timeout_seconds
        self._now = now
        self._held = True

    def holds(self, last_heartbeat_at: float) -> bool:
        """`last_heartbeat_at`: 0 before the first. Says so in the log when that changes."""
        held = holds(last_heartbeat_at, self._now(), self._timeout_seconds)
        if held is not self._held:
            self._held = held
            if held:
                logger.warning("the group's coordinator answers again: sending goes on")
            else:
                logger.warning("no heartbeat for too long: nothing is sent until there is one")
        return held

    def is_fresh(self, last_heartbeat_at: float) -> bool:
        """Whether Kafka has answered just now."""
        return self._now() - last_heartbeat_at <= FRESH_SECONDS
