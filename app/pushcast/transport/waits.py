"""What an App waits for: transactions that others keep open, and take-overs that do not get on. For health and metrics.

Pure: times are passed in, CLOCK_BOOTTIME seconds.
"""

from __future__ import annotations

from collections.abc import Collection

from faust.types import TP

from pushcast.handover.reading import TailHeld


class Waits:
    """Of one App, on its loop."""

    def __init__(self) -> None:
        self._partitions: dict[TP, float] = {}  # that stand before an open transaction, since when
        self._tails: dict[object, dict[TP, float]] = {}  # the same of outputs, by the take-over that reads them
        self._failed: dict[object, str] = {}  # by take-over: what its last attempt failed of

    def hold(self, held: Collection[TP], now_seconds: float) -> None:
        """The last fetch found these partitions before an open transaction, and no others."""
        self._partitions = {tp: self._partitions.get(tp, now_seconds) for tp in held}

    def failed(self, takeover: object, error: Exception, now_seconds: float) -> None:
        """An attempt of a take-over failed, and the next one follows."""
        self._failed[takeover] = str(error) or type(error).__name__
        before = self._tails.pop(takeover, {})
        if isinstance(error, TailHeld):
            self._tails[takeover] = {tp: before.get(tp, now_seconds) for tp in (TP(*spot) for spot in error.spots)}

    def over(self, takeover: object) -> None:
        """It has succeeded, or its partitions have gone."""
        self._failed.pop(takeover, None)
        self._tails.pop(takeover, None)

    def problems(self) -> list[str]:
        """Why take-overs do not get on, one sentence each."""
        return [f"a take-over is held up, and tried again: {reason}" for reason in self._failed.values()]

    def held_seconds(self, now_seconds: float) -> dict[TP, float]:
        """Partitions of inputs, tables and outputs that wait for the end of a transaction, and for how long."""
        since = dict(self._partitions)
        for tails in self._tails.values():
            for tp, began in tails.items():
                since[tp] = min(began, since.get(tp, began))
        return {tp: now_seconds - began for tp, began in since.items()}
