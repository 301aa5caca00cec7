"""How fast a provider may be asked: a token bucket with a share, a ramp and a memory of 429s. Pure.

FCM: 600,000 messages a minute and project, a ramp of at least a minute from nothing to the full rate, and Retry-After
to be obeyed (https://firebase.google.com/docs/cloud-messaging/scale-fcm). The processes of a project do not talk about
it: each takes the share of the quota that its partitions and its lane have.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Final, NamedTuple

from pushcast.model.words import Lane

LANE_WEIGHTS: Final[dict[Lane, float]] = {Lane.URGENT: 0.3, Lane.NORMAL: 0.3, Lane.BULK: 0.4}
# What may go at once after a pause, and the most that is granted in one piece.
BURST_SECONDS: Final = 0.1
# The full rate falls back to the ramp's foot within this many times the ramp, when it is not asked for.
_FALL_RAMPS: Final = 5.0
# 429s: the share of them is judged over at least this long and this many answers.
_JUDGE_SECONDS: Final = 1.0
_LEAST_JUDGED: Final = 10
_HOLD_SHARE: Final = 0.5
LONGEST_HOLD_SECONDS: Final = 300.0
# From the deepest cut back to the full rate.
_RECOVERY_SECONDS: Final = 300.0
_DEEPEST_CUT: Final = 0.01


def share_of(assigned: int, partitions: int, lane: Lane | str, weights: Mapping[Lane, float] = LANE_WEIGHTS) -> float:
    """The part of a project's quota that a sender may use: its partitions of all, times its lane's weight of all."""
    return assigned / partitions * weights[Lane(lane)] / sum(weights.values())


class Grant(NamedTuple):
    """`granted` requests may leave after `wait_seconds`; they are accounted for already."""

    granted: int
    wait_seconds: float


class Pace:
    """The rate of one provider. Callers are served in the order of their `take`s.

    `share` scales the quota, the ramp goes up while more is asked for than it gives and slowly down otherwise, and
    `note` cuts the rate by the share of answers that were 429. `now_seconds` is monotonic and never goes back.
    """

    def __init__(self, per_minute: float, *, ramp_seconds: float = 60.0, now_seconds: float = 0.0) -> None:
        self._full = per_minute / 60.0
        self._ramp_seconds = max(ramp_seconds, 1.0)
        self._foot = 1.0 if ramp_seconds < 1.0 else 1.0 / self._ramp_seconds
        self._share = 1.0
        self._level = self._foot  # of the ramp: 0 to 1
        self._cut = 1.0
        self._credit = self.rate * BURST_SECONDS  # below 0: taken ahead of time
        self._at = now_seconds
        self._hold_until = 0.0
        self._judged_since = now_seconds
        self._answers = 0
        self._throttled = 0
        self._retry_after: float | None = None

    @property
    def rate(self) -> float:
        """Requests per second now."""
        return max(self._full * self._share * self._level * self._cut, 1e-3)

    def share(self, fraction: float) -> None:
        """The part of the quota that is ours. Raises ValueError beyond 0 and 1."""
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"share {fraction} is not between 0 and 1")
        self._share = fraction

    def take(self, count: int, now_seconds: float) -> Grant:
        """Reserves up to `count` requests, at least one: no more than a tenth of a second's worth in one piece."""
        self._advance(now_seconds)
        granted = min(count, max(1, int(self.rate * BURST_SECONDS)))
        self._credit -= granted
        wait = 0.0 if self._credit >= 0 else self._seconds_for(-self._credit)
        return Grant(granted, max(wait, self.hold_seconds(now_seconds)))

    def give_back(self, count: int) -> None:
        """Requests that were granted and never left."""
        self._credit += count

    def hold_seconds(self, now_seconds: float) -> float:
        """How long nothing may leave because the provider said so; ask again after a wait."""
        return max(0.0, self._hold_until - now_seconds)

    def note(self, now_seconds: float, answers: int, throttled: int, retry_after_seconds: float | None = None) -> None:
        """`throttled` of `answers` were 429 or 503; the longest Retry-After among them, when there was one.

        A few are a device's own limit and slow nothing down; where half of them are, the provider's Retry-After holds
        everything back, for at most 300 s.
        """
        self._answers += answers
        self._throttled += throttled
        if throttled and retry_after_seconds is not None:
            self._retry_after = max(retry_after_seconds, self._retry_after or 0.0)
        if now_seconds - self._judged_since < _JUDGE_SECONDS or self._answers < _LEAST_JUDGED:
            return
        self._advance(now_seconds)
        share = self._throttled / self._answers
        self._cut = max(self._cut * (1.0 - share / 2), _DEEPEST_CUT)
        if share >= _HOLD_SHARE and self._retry_after is not None:
            self._hold_until = max(self._hold_until, now_seconds + min(self._retry_after, LONGEST_HOLD_SECONDS))
        self._judged_since = now_seconds
        self._answers = self._throttled = 0
        self._retry_after = None

    def _advance(self, now_seconds: float) -> None:
        elapsed = max(0.0, now_seconds - self._at)
        self._at = max(self._at, now_seconds)
        limited = self._credit < 0
        before = self.rate
        if limited:
            self._level = min(1.0, self._level + elapsed / self._ramp_seconds)
        else:
            self._level = max(self._foot, self._level - elapsed / (self._ramp_seconds * _FALL_RAMPS))
        self._cut = min(1.0, self._cut + elapsed / _RECOVERY_SECONDS)
        self._credit += (before + self.rate) / 2 * elapsed
        self._credit = min(self._credit, max(self.rate * BURST_SECONDS, 1.0))

    def _seconds_for(self, missing: float) -> float:
        """Until that many requests are earned, on the ramp as it goes up from here."""
        rate = self.rate
        slope = self._full * self._share * self._cut / self._ramp_seconds
        rising = (1.0 - self._level) * self._ramp_seconds
        earned = rate * rising + slope * rising * rising / 2
        if missing >= earned or slope < 1e-9:
            full = rate + slope * rising
            return rising + (missing - earned) / full if missing >= earned else missing / rate
        return (sqrt(rate * rate + 2 * slope * missing) - rate) / slope
