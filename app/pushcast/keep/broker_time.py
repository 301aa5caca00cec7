"""What time it is by the broker, in one partition during one assignment. Pure; instants are in milliseconds.

Timers are due by the time that the broker stamps on the records of the keeper's own table. A step of the machine's
clock moves nothing, and two keepers in turn agree.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from pushcast.model.clock import Clock

logger = logging.getLogger(__name__)

#: So far clocks may be apart before it is told.
DISAGREEMENT_MS: Final = 2_000
#: Of seconds as floating point, in milliseconds.
_ROUNDING: Final = 1e-6
#: A record is written when none was stamped for so long: monotonic clocks drift.
HEAR_SECONDS: Final = 5.0


class BrokerTime:
    """It never falls, and it is never ahead of the broker: what was stamped, and how long ago that was heard here."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stamped_ms: int | None = None
        self._heard_at = clock.monotonic_seconds()
        self._asked_at = self._heard_at
        self._floor_ms = 0

    def heard(self, stamped_ms: int) -> None:
        """The broker's time of a record that was written during this assignment."""
        self._stamped_ms, self._heard_at = stamped_ms, self._clock.monotonic_seconds()

    def now_ms(self) -> int | None:
        """None: nothing was stamped yet, and nothing is due."""
        if self._stamped_ms is None:
            return None
        passed = self._clock.monotonic_seconds() - self._heard_at
        self._floor_ms = max(self._floor_ms, self._stamped_ms + int(passed * 1000 + _ROUNDING))
        return self._floor_ms

    def asks(self) -> None:
        """A record is written for its time alone."""
        self._asked_at = self._clock.monotonic_seconds()

    def asks_again_in(self) -> float:
        """Seconds until the next one is to be written."""
        return max(self._heard_at, self._asked_at) + HEAR_SECONDS - self._clock.monotonic_seconds()

    def ahead_of_machine_ms(self) -> int:
        """How far the broker is ahead of this machine's clock; below 0: behind it."""
        now_ms = self.now_ms()
        return 0 if now_ms is None else now_ms - self._clock.now_ms()


def too_far_ahead(times: Iterable[BrokerTime]) -> set[BrokerTime]:
    """Those that are ahead of another one by more than `DISAGREEMENT_MS`: their brokers would let timers go early."""
    known = {each: now_ms for each in times if (now_ms := each.now_ms()) is not None}
    first = min(known.values(), default=0)
    return {each for each, now_ms in known.items() if now_ms - first > DISAGREEMENT_MS}


class Disagreement:
    """Between the clocks of this machine and of the brokers of its partitions: told once when it begins, and ends."""

    def __init__(self) -> None:
        self._is_told = False

    def seconds(self, times: Sequence[BrokerTime]) -> float:
        """The largest one."""
        known = [now_ms for each in times if (now_ms := each.now_ms()) is not None]
        apart = max(known, default=0) - min(known, default=0)
        found = max([apart, *(abs(each.ahead_of_machine_ms()) for each in times)])
        if (found > DISAGREEMENT_MS) is not self._is_told:
            self._is_told = not self._is_told
            if self._is_told:
                logger.warning("clock_disagrees: clocks of brokers and of this machine are %.1f s apart", found / 1000)
            else:
                logger.info("clocks of brokers and of this machine agree again")
        return found / 1000
