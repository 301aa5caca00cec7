"""What an App waits for: transactions that others keep open, logs that cannot be read, and take-overs that do not get
on. For health and metrics.

Pure: times are passed in, CLOCK_BOOTTIME seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping

from faust.types import TP

from pushcast.handover.reading import TailHeld
from pushcast.transport.records import Unreadable


class Waits:
    """Of one App, on its loop."""

    def __init__(self) -> None:
        self._partitions: dict[TP, float] = {}  # that stand before an open transaction, since when
        self._tails: dict[object, dict[TP, float]] = {}  # the same of outputs, by the take-over that reads them
        self._failed: dict[object, str] = {}  # by take-over: what its last attempt failed of
        self._unreadable: dict[TP, Unreadable] = {}  # where logs hold what is no record

    def hold(self, held: Collection[TP], now_seconds: float) -> None:
        """The last fetch found these partitions before an open transaction, and no others."""
        self._partitions = {tp: self._partitions.get(tp, now_seconds) for tp in held}

    def unreadable(self, found: Mapping[TP, Unreadable], read: Container[TP]) -> list[str]:
        """What the last fetch could not read, and of which partitions it read records. Returns what is new, a sentence
        each."""
        if not found and not self._unreadable:
            return []
        before = self._unreadable
        self._unreadable = {tp: at for tp, at in before.items() if tp not in read} | dict(found)
        return [_sentence(tp, at) for tp, at in found.items() if before.get(tp) != at]

    def gone(self) -> None:
        """No partition is assigned."""
        self._partitions = {}
        self._unreadable = {}

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
        """Why take-overs and partitions do not get on, one sentence each."""
        return [
            *(f"a take-over is held up, and tried again: {reason}" for reason in self._failed.values()),
            *(_sentence(tp, at) for tp, at in self._unreadable.items()),
        ]

    def held_seconds(self, now_seconds: float) -> dict[TP, float]:
        """Partitions of inputs, tables and outputs that wait for the end of a transaction, and for how long."""
        since = dict(self._partitions)
        for tails in self._tails.values():
            for tp, began in tails.items():
                since[tp] = min(began, since.get(tp, began))
        return {tp: now_seconds - began for tp, began in since.items()}


def _sentence(tp: TP, at: Unreadable) -> str:
    return (
        f"{tp.topic}[{tp.partition}] cannot be read from offset {at.offset} on ({at.why}): nothing behind it is "
        "handled, and it is fetched again every second"
    )
