"""How many requests may be out at a server: it follows what answers take. Pure; time is passed in (seconds).

docs/decisions/0010 says why: a gradient on the mean latency against its own minimum (as Netflix' concurrency-limits has
it), with a cut to what Little's law allows at the rate of the answers.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt
from typing import Final, NamedTuple, Protocol

#: To begin with, and after a time of little use: a server that is slow meanwhile gets no more at once.
START: Final = 64
LEAST: Final = 8
#: Latency may grow to so many times its minimum before the limit falls: jitter and the server's own variation.
TOLERANCE: Final = 2.5
#: What is never held against a server: below it, latency is made of this machine's own moments, and fewer requests out
#: make each of them dearer (smaller writes) without making any noticeably quicker. A server that falls to a twentieth
#: of its rate still answers what was out then within 10 s: at 0.5 s the law found answers that came 0.1 s too late.
FLOOR_SECONDS: Final = 0.48
#: Of the time to answer: what a queue at the server may take of it, and what a server may that is slow without one.
QUEUE_SHARE: Final = 0.25
OWN_SHARE: Final = 0.6
_WINDOW_SECONDS: Final = 0.05
_LEAST_ANSWERS: Final = 20
_LONG_WINDOW_SECONDS: Final = 0.5
_LONGEST_WINDOW_SECONDS: Final = 2.0
_SILENT_SECONDS: Final = 0.5
_MEMORY_SECONDS: Final = 30.0
_UNUSED_SECONDS: Final = 5.0


class Limit(Protocol):
    """`value`: requests that may be out now. `latency_seconds`: mean of what answers took lately, 0 before the first.
    `slow`: what the server's answers take holds the value down."""

    value: int
    latency_seconds: float
    slow: bool

    def answered(self, count: int, seconds: float) -> None:
        """So many answers came, which took so many seconds together."""

    def look(self, now: float, in_flight: int, most_in_flight: int, waiting: bool, late_seconds: float) -> None:
        """Every tick. `in_flight`: now; `most_in_flight`: since the last tick. `late_seconds`: how late this process
        is, so that answers may have lain unread for so long."""


MakeLimit = Callable[[int], Limit]


class FixedLimit:
    """Always the most that is allowed. Latency is measured all the same."""

    def __init__(self, most: int) -> None:
        self.value = most
        self.latency_seconds = 0.0
        self.slow = False
        self._answers = 0
        self._seconds = 0.0

    def answered(self, count: int, seconds: float) -> None:
        self._answers += count
        self._seconds += seconds

    def look(self, now: float, in_flight: int, most_in_flight: int, waiting: bool, late_seconds: float) -> None:
        if self._answers:
            self.latency_seconds = self._seconds / self._answers
            self._answers, self._seconds = 0, 0.0


class _Cut(NamedTuple):
    """Value and mean before it. `rate_without_queue`: answers a second that are no more than it left of them."""

    value: int
    mean: float
    rate_without_queue: float


class AdaptiveLimit:
    """Doubles with each round of answers while latency stays near its minimum, creeps beyond that, and is cut to what
    the server answers within the tolerated latency when it takes longer. What lay unread here is not held against it.

    When a cut does not make answers quicker, no queue of ours made them slow: that latency is the server's own, and
    is tolerated up to a larger share of the time to answer (`timeout_seconds`).
    """

    def __init__(self, most: int, timeout_seconds: float) -> None:
        self.value = min(most, START)
        self.latency_seconds = 0.0
        self.slow = False
        self._most = most
        self._timeout_seconds = timeout_seconds
        self._answers = 0
        self._seconds = 0.0
        self._skip = 0  # answers to come of requests that left before the last cut
        self._since: float | None = None
        self._late = 0.0
        self._full = False
        self._peak = 0
        self._peak_since = 0.0
        self._heard_at = 0.0
        self._minima: list[tuple[float, float]] = []  # (since, mean) of this stretch of time and the one before
        self._cut: _Cut | None = None  # the last one, until it is judged
        self._settled: tuple[float, int] | None = None  # of this round: when the first answers came, and how many
        self._own = 0.0
        self._restore = 0

    def answered(self, count: int, seconds: float) -> None:
        if self._skip:
            skipped = min(self._skip, count)
            self._skip -= skipped
            seconds -= seconds * skipped / count
            count -= skipped
        self._answers += count
        self._seconds += seconds

    @property
    def tolerated_seconds(self) -> float:
        """What answers may take before the limit falls."""
        least = min((mean for _, mean in self._minima), default=0.0)
        tolerated = min(max(TOLERANCE * least, FLOOR_SECONDS), QUEUE_SHARE * self._timeout_seconds)
        return max(tolerated, min(1.25 * self._own, OWN_SHARE * self._timeout_seconds))

    def look(self, now: float, in_flight: int, most_in_flight: int, waiting: bool, late_seconds: float) -> None:
        if self._since is None:
            self._since = self._heard_at = self._peak_since = now
        self._full = self._full or (waiting and most_in_flight * 4 >= self.value * 3)
        self._late = max(self._late, late_seconds)
        self._forget_when_unused(now, most_in_flight)
        answers = self._answers
        if answers or not in_flight:
            self._heard_at = now
        silent_seconds = now - self._heard_at - self._late
        if not answers:
            if silent_seconds > max(_SILENT_SECONDS, 2 * self.tolerated_seconds):
                self._lower(self.value // 2)
                self._heard_at += _SILENT_SECONDS
            return
        elapsed = now - self._since
        if self._settled is None:
            self._settled = now, answers
        if elapsed < _WINDOW_SECONDS:
            return
        enough = _LEAST_ANSWERS if elapsed >= _LONG_WINDOW_SECONDS else max(_LEAST_ANSWERS, self.value // 4)
        if answers < enough and elapsed < _LONGEST_WINDOW_SECONDS:
            return
        mean, rate = self._seconds / answers, answers / elapsed
        if mean - self._late > self.tolerated_seconds:
            self._judge_cut(mean, now)
            if mean - self._late > self.tolerated_seconds:
                self._fall(min(int(rate * self.tolerated_seconds), self.value * 9 // 10), mean, in_flight, rate)
        elif answers < self.value and elapsed < _LONGEST_WINDOW_SECONDS:
            return  # the first answers of a round are the quickest: what is too slow shows early, what is not does not
        else:
            self._judge_cut(mean, now)
            self._grow(mean)
        if self._remember(now, mean) and self.slow:
            # A round with a short queue shows what the minimum is now.
            self._fall(self.value // 4, mean, in_flight, rate)
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._since = now
        self._answers, self._seconds = 0, 0.0
        self._late = 0.0
        self._full = False
        self._settled = None

    def _grow(self, mean: float) -> None:
        if self._restore:
            if 0.8 * self._own <= mean <= 1.25 * self._own:
                self.value = max(self.value, self._restore)
            self._restore = 0
        near = mean <= max(self.tolerated_seconds / 2, 1.1 * self._own)
        if near or not self._full:
            self.slow = False
        if self._full:
            step = self.value if near else max(1, isqrt(self.value))
            self.value = min(self._most, self.value + step)

    def _fall(self, value: int, mean: float, in_flight: int, rate: float) -> None:
        self._cut = _Cut(self.value, mean, rate * (1 + value / self.value) / 2)
        self._restore = 0
        self._skip = in_flight
        self._lower(value)

    def _lower(self, value: int) -> None:
        self.value = max(min(LEAST, self._most), value)
        self.slow = True

    def _judge_cut(self, mean: float, now: float) -> None:
        """After the first round of answers to what left since the last cut: did it help? A server that is slow by
        itself answers as much less as the cut took; one with a queue answers as many as before."""
        cut, self._cut = self._cut, None
        if mean < self._own / 2:
            self._own = 0.0
        if cut is None or mean < 0.9 * cut.mean or mean <= self.tolerated_seconds:
            return
        if self._rate(now) <= cut.rate_without_queue:
            self._own = mean
            self._restore = cut.value

    def _rate(self, now: float) -> float:
        """Answers a second since the first ones of this round; 0.0 where all came together."""
        since, before = self._settled or (now, 0)
        return (self._answers - before) / (now - since) if now > since else 0.0

    def _remember(self, now: float, mean: float) -> bool:
        """True when the older of the two minima is forgotten."""
        self.latency_seconds = mean
        if self._minima and now - self._minima[-1][0] < _MEMORY_SECONDS:
            since, least = self._minima[-1]
            self._minima[-1] = (since, min(least, mean))
            return False
        self._minima = [*self._minima[-1:], (now, mean)]
        return len(self._minima) > 1

    def _forget_when_unused(self, now: float, in_flight: int) -> None:
        """What was allowed long ago says little about a server that was asked for little since."""
        self._peak = max(self._peak, in_flight)
        if now - self._peak_since >= _UNUSED_SECONDS:
            if self._peak * 4 < self.value:
                self.value = max(min(START, self._most), self.value // 2)
            self._peak, self._peak_since = in_flight, now
