"""The simulators' time: the machine's, moved by whoever tests."""

from __future__ import annotations

import time


class SimulatorClock:
    """Wall time plus an offset, or standing still.

    Judges what providers judge by the clock (provider tokens, OAuth tokens, quotas, receipts, expirations). Answer
    delays run on the loop's own time and are not touched.
    """

    def __init__(self) -> None:
        self._offset_seconds = 0.0
        self._frozen_at: float | None = None

    def now(self) -> float:
        """Seconds since the epoch."""
        if self._frozen_at is not None:
            return self._frozen_at
        return time.time() + self._offset_seconds

    def now_ms(self) -> int:
        return int(self.now() * 1000)

    def advance(self, seconds: float) -> None:
        if self._frozen_at is not None:
            self._frozen_at += seconds
        self._offset_seconds += seconds

    def set(self, epoch_seconds: float) -> None:
        if self._frozen_at is not None:
            self._frozen_at = epoch_seconds
        self._offset_seconds = epoch_seconds - time.time()

    def freeze(self, frozen: bool = True) -> None:
        """Stands still from now on, or goes on from where it stood."""
        now = self.now()
        self._frozen_at = now if frozen else None
        self._offset_seconds = now - time.time()

    def reset(self) -> None:
        self._frozen_at = None
        self._offset_seconds = 0.0
