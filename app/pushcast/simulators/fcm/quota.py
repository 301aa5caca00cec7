"""FCM's rates: per project, per device, and for collapsible messages. Time is passed in."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

# Firebase, "Throttling and scaling": 600,000 a minute and project; 240 a minute and 5,000 an hour and device;
# collapsible messages 20 at once, then one every three minutes.
PROJECT_PER_MINUTE: Final = 600_000
DEVICE_PER_MINUTE: Final = 240
COLLAPSIBLE_BURST: Final = 20
COLLAPSIBLE_REFILL_SECONDS: Final = 180.0
_MAX_DEVICES: Final = 500_000


@dataclass(slots=True)
class Quota:
    """`None` switches a limit off. `retry_after` is what a 429 carries; None leaves the header out."""

    project_per_minute: int | None = PROJECT_PER_MINUTE
    device_per_minute: int | None = DEVICE_PER_MINUTE
    collapsible: bool = True
    retry_after: str | None = "60"

    @classmethod
    def parse(cls, value: dict[str, Any] | None) -> Quota:
        """From `{project_per_minute, device_per_minute, collapsible, retry_after}`; null: no limits."""
        if value is None:
            return cls(None, None, False)
        unknown = set(value) - {"project_per_minute", "device_per_minute", "collapsible", "retry_after"}
        if unknown:
            raise ValueError(f"quota: unknown {sorted(unknown)}")
        return cls(**value)


class QuotaKeeper:
    """A project's window begins with its first message, not with the clock's minute; 429s do not count against it.

    Counts at most 500,000 devices a minute; more go uncounted.
    """

    def __init__(self) -> None:
        self.limits = Quota()
        self._projects: dict[str, tuple[float, int]] = {}
        self._minute_at = 0.0
        self._devices: dict[bytes, int] = {}
        self._collapsible: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def clear(self) -> None:
        self._projects.clear()
        self._devices.clear()
        self._collapsible.clear()

    def refuse(self, project: str, address: bytes, collapsible: bool, now: float) -> str | None:
        """`project` or `device` when that rate is used up; otherwise counts the message."""
        limits = self.limits
        if limits.project_per_minute is not None:
            since, count = self._projects.get(project, (now, 0))
            if not 0 <= now - since < 60:
                since, count = now, 0
            if count >= limits.project_per_minute:
                return "project"
            self._projects[project] = (since, count + 1)
        if limits.device_per_minute is not None:
            if not 0 <= now - self._minute_at < 60:
                self._minute_at = now
                self._devices.clear()
            seen = self._devices.get(address, 0)
            if seen >= limits.device_per_minute:
                return "device"
            if seen or len(self._devices) < _MAX_DEVICES:
                self._devices[address] = seen + 1
        if collapsible and limits.collapsible and not self._take_collapsible(address, now):
            return "device"
        return None

    def _take_collapsible(self, address: bytes, now: float) -> bool:
        left, at = self._collapsible.pop(address, (float(COLLAPSIBLE_BURST), now))
        left = min(float(COLLAPSIBLE_BURST), left + max(0.0, now - at) / COLLAPSIBLE_REFILL_SECONDS)
        taken = left >= 1.0
        self._collapsible[address] = (left - 1.0 if taken else left, now)
        if len(self._collapsible) > _MAX_DEVICES:
            self._collapsible.popitem(last=False)
        return taken
