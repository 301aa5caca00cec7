"""Time as a value that is passed in, so that no test sleeps and no decision reads a hidden clock."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What stages ask for the time."""

    def now_ms(self) -> int:
        """Wall time in milliseconds since the epoch; comparable between machines, may jump."""
        ...

    def monotonic_seconds(self) -> float:
        """Time that never jumps, for windows and deadlines within one process."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_seconds(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self._now_ms = now_ms
        self._monotonic_seconds = 1000.0

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_seconds(self) -> float:
        return self._monotonic_seconds

    def advance(self, seconds: float) -> None:
        """Moves both clocks forward."""
        self._now_ms += round(seconds * 1000)
        self._monotonic_seconds += seconds

    def jump_wall(self, seconds: float) -> None:
        """Moves the wall clock alone, as an NTP step does."""
        self._now_ms += round(seconds * 1000)
