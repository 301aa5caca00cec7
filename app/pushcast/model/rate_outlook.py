"""Whether what is sent now leaves before it expires, at the rate that it keeps to. Pure; times are milliseconds.

It is the best case: as if nothing else waited for the rate. What it calls late expires whatever happens.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pushcast.model.notification import Notification
from pushcast.model.pacing import MINUTE_MS, Rates


class TooSlow(NamedTuple):
    """A rate at which `late` of these notifications expire before they may leave."""

    rate: str  # a name of `Rates.of`
    per_minute: int
    notifications: int
    late: int

    def __str__(self) -> str:
        kind, _, name = self.rate.partition("/")
        return (
            f"{self.late:,} of {self.notifications:,} notifications expire before they may leave: "
            f"the rate of {kind} {name} is {self.per_minute:,} a minute"
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**self._asdict(), "detail": str(self)}


class RateOutlook:
    """Of notifications that are sent together, in their order."""

    def __init__(self, rates: Rates, now_ms: int) -> None:
        self._rates = rates
        self._now_ms = now_ms
        self._leaves: dict[str, float] = {}  # by rate: when the last one so far may leave
        self._counts: dict[str, int] = {}
        self._late: dict[str, int] = {}

    def add(self, note: Notification) -> None:
        """One more. A local time is left out: each device has its own, and an expiry of its own."""
        if note.timing is not None and note.timing.is_local:
            return
        name = self._rates.of(note.campaign, note.klass, note.app)
        per_minute = self._rates.per_minute(name) if name else None
        if per_minute is None:
            return
        leaves = max(self._leaves.get(name, self._now_ms) + MINUTE_MS / per_minute, note.due_at)
        self._leaves[name] = leaves
        self._counts[name] = self._counts.get(name, 0) + 1
        if leaves > note.expires_at:
            self._late[name] = self._late.get(name, 0) + 1

    def too_slow(self) -> list[TooSlow]:
        """The rates that are, by name."""
        return [
            TooSlow(name, self._rates.per_minute(name) or 0, self._counts[name], late)
            for name, late in sorted(self._late.items())
        ]
