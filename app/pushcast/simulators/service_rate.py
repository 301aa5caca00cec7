"""A server that serves so many requests a second in their order: what comes faster queues. Pure."""

from __future__ import annotations


class ServiceRate:
    """`per_second` 0: as fast as they come."""

    def __init__(self, per_second: float = 0.0) -> None:
        """Raises ValueError."""
        if per_second < 0:
            raise ValueError(f"service_rate: {per_second:g} is below 0")
        self.per_second = per_second
        self._free_at = 0.0

    def wait_seconds(self, now: float) -> float:
        """Until a request that comes now has been served; `now` is monotonic."""
        if not self.per_second:
            return 0.0
        self._free_at = max(self._free_at, now) + 1 / self.per_second
        return self._free_at - now
