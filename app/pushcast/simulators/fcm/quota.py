"""FCM's rates: per project, per device, and for collapsible messages. Time is passed in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pushcast.simulators.values import fields, flag, optional, text, whole

# Firebase, "Throttling and scaling": 600,000 a minute and project; 240 a minute and 5,000 an hour and device;
# collapsible messages 20 at once, then one every three minutes.
PROJECT_PER_MINUTE: Final = 600_000
DEVICE_PER_MINUTE: Final = 240
DEVICE_PER_HOUR: Final = 5_000
COLLAPSIBLE_BURST: Final = 20
COLLAPSIBLE_REFILL_SECONDS: Final = 180.0
_MAX_DEVICES: Final = 500_000


@dataclass(slots=True)
class Quota:
    """`None` switches a limit off. `retry_after` is what a 429 carries; None leaves the header out."""

    project_per_minute: int | None = PROJECT_PER_MINUTE
    device_per_minute: int | None = DEVICE_PER_MINUTE
    device_per_hour: int | None = DEVICE_PER_HOUR
    collapsible: bool = True
    retry_after: str | None = "60"

    @classmethod
    def parse(cls, value: dict[str, Any] | None) -> Quota:
        """From an object with any of the fields; null: no limits."""
        if value is None:
            return cls(None, None, None, False)
        found = fields("quota", value, sorted(cls.__slots__))
        return cls(**{name: _READ[name](f"quota.{name}", each) for name, each in found.items()})


def _retry_after(name: str, value: Any) -> str:
    """Seconds, or a date as HTTP writes it."""
    return text(name, str(value) if isinstance(value, int) else value)


_READ: Final[dict[str, Callable[[str, Any], Any]]] = {
    **dict.fromkeys(("project_per_minute", "device_per_minute", "device_per_hour"), optional(whole)),
    "collapsible": flag,
    "retry_after": optional(_retry_after),
}


class _Window:
    """So many of each device in a window that is the same for all of them."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since = 0.0
        self._counts: dict[bytes, int] = {}

    def clear(self) -> None:
        self._counts.clear()

    def full(self, address: bytes, limit: int, now: float) -> bool:
        if not 0 <= now - self._since < self._seconds:
            self._since = now
            self._counts.clear()
        return self._counts.get(address, 0) >= limit

    def count(self, address: bytes) -> None:
        seen = self._counts.get(address, 0)
        if seen or len(self._counts) < _MAX_DEVICES:
            self._counts[address] = seen + 1


class QuotaKeeper:
    """A project's window begins with its first message, not with the clock's minute. Messages that are refused with
    another 4xx count against it, those refused with 429 do not.

    Counts at most 500,000 devices a window; more go uncounted.
    """

    def __init__(self) -> None:
        self.limits = Quota()
        self._projects: dict[str, tuple[float, int]] = {}
        self._minute = _Window(60.0)
        self._hour = _Window(3600.0)
        self._collapsible: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def clear(self) -> None:
        self._projects.clear()
        self._minute.clear()
        self._hour.clear()
        self._collapsible.clear()

    def refuses_project(self, project: str, now: float) -> bool:
        """Whether the project's rate is used up; otherwise counts the message, whatever becomes of it."""
        limit = self.limits.project_per_minute
        if limit is None:
            return False
        since, count = self._projects.get(project, (now, 0))
        if not 0 <= now - since < 60:
            since, count = now, 0
        if count >= limit:
            return True
        self._projects[project] = (since, count + 1)
        return False

    def refuses_device(self, address: bytes, collapsible: bool, now: float) -> bool:
        """Whether one of the device's rates is used up; otherwise counts the message."""
        limits = self.limits
        per_minute, per_hour = limits.device_per_minute, limits.device_per_hour
        if per_minute is not None and self._minute.full(address, per_minute, now):
            return True
        if per_hour is not None and self._hour.full(address, per_hour, now):
            return True
        if collapsible and limits.collapsible and not self._take_collapsible(address, now):
            return True
        if per_minute is not None:
            self._minute.count(address)
        if per_hour is not None:
            self._hour.count(address)
        return False

    def _take_collapsible(self, address: bytes, now: float) -> bool:
        left, at = self._collapsible.pop(address, (float(COLLAPSIBLE_BURST), now))
        left = min(float(COLLAPSIBLE_BURST), left + max(0.0, now - at) / COLLAPSIBLE_REFILL_SECONDS)
        taken = left >= 1.0
        self._collapsible[address] = (left - 1.0 if taken else left, now)
        if len(self._collapsible) > _MAX_DEVICES:
            self._collapsible.popitem(last=False)
        return taken
