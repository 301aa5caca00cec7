"""How fast a project's pushes leave: a token bucket that gives way when Expo says it was too much."""

from __future__ import annotations

from typing import Final

from pushcast.config.providers import EXPO_QUOTA_PER_SECOND

# https://docs.expo.dev/push-notifications/sending-notifications/#limits: 600 notifications a second and project. A
# full bucket and a second's refill together are that.
PROJECT_PER_SECOND: Final = float(EXPO_QUOTA_PER_SECOND)
BURST: Final = 100
_BURSTS_A_SECOND: Final = PROJECT_PER_SECOND / BURST
_RECOVERY_SECONDS: Final = 10.0
_LEAST_SHARE: Final = 1 / 32
_LEAST_PER_SECOND: Final = 0.1


class Unpaced:
    """No limit of ours: pushes wait only where a refusal asked for a pause. Times as in `Pacer`."""

    burst: Final = BURST

    def __init__(self, now: float) -> None:
        self._not_before = now

    def share(self, fraction: float) -> None:
        """What has no limit is not divided. Raises ValueError beyond 0 and 1, as `Pacer.share`."""
        _checked(fraction)

    def take(self, count: int, now: float) -> float:
        """The seconds that a pause still lasts; 0: `count` may leave now."""
        return max(self._not_before - now, 0.0)

    def slow_down(self, pause_seconds: float, now: float) -> None:
        """Expo refused: a pause."""
        self._not_before = max(self._not_before, now + pause_seconds)


def _checked(fraction: float) -> float:
    if not 0.0 <= fraction <= 1.0:
        raise ValueError(f"share {fraction} is not between 0 and 1")
    return fraction


class Pacer:
    """At most `per_second` pushes leave within any second, `burst` of them at once. Times are monotonic seconds that
    the caller passes in."""

    def __init__(self, now: float, *, per_second: float = PROJECT_PER_SECOND, burst: int | None = None) -> None:
        """`burst`: without one, 100 or a sixth of a smaller `per_second`. Raises ValueError unless it is less than
        `per_second`."""
        burst = min(BURST, max(1, int(per_second / _BURSTS_A_SECOND))) if burst is None else burst
        if per_second <= burst:
            raise ValueError("per_second must be more than burst")
        self._full_rate = per_second - burst
        self._full_burst = burst
        self._granted = 1.0  # the process's part of the project's limit
        self._level = float(burst)
        self._share = 1.0  # what refusals left of it
        self._at = now
        self._not_before = now

    @property
    def burst(self) -> int:
        """The most that may leave at once: at least 1."""
        return max(1, int(self._full_burst * self._granted))

    def share(self, fraction: float) -> None:
        """The part of the limit that is ours. Raises ValueError beyond 0 and 1."""
        self._granted = _checked(fraction)
        self._level = min(self._level, float(self.burst))

    @property
    def _rate(self) -> float:
        return max(self._full_rate * self._granted * self._share, _LEAST_PER_SECOND)

    def take(self, count: int, now: float) -> float:
        """0 when `count` may leave now; else nothing is taken, and it is the seconds to wait. More than `burst`, left
        from before a smaller share, may leave when the bucket is full."""
        self._refill(now)
        if now < self._not_before:
            return self._not_before - now
        # A rounding error of the clock must not make anybody wait for nothing.
        needed = min(count, self.burst)
        if self._level + 1e-6 >= needed:
            self._level -= count
            return 0.0
        return (needed - self._level) / self._rate

    def slow_down(self, pause_seconds: float, now: float) -> None:
        """Expo refused: a pause, then half the rate, which recovers in ten seconds from half to full."""
        self._refill(now)
        self._share = max(self._share / 2, _LEAST_SHARE)
        self._level = min(self._level, 0.0)
        self._not_before = max(self._not_before, now + pause_seconds)

    def _refill(self, now: float) -> None:
        # A pause neither fills the bucket nor counts as recovery.
        elapsed = max(now - max(self._at, self._not_before), 0.0)
        self._at = max(now, self._at)
        self._level = min(self._level + elapsed * self._rate, float(self.burst))
        self._share = min(self._share + elapsed / (2 * _RECOVERY_SECONDS), 1.0)
