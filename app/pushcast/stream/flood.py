"""Stops a consumer whose input is abnormally bad, before it empties a topic into the dead-letter topic. Pure.

A few bad records are dead letters. Most of a partition being bad is a defect of its producer, or of this release: then
nothing is gained by letters, and much is lost, because their order and their place in time are gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pushcast.config.stages import Flood
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.stream.batch import TP
from pushcast.stream.errors import Flooded


class _Window:
    """Counts of the present and the last window: at least one window long, at most two."""

    __slots__ = ("before", "invalid", "reasons", "since", "valid")

    def __init__(self, now: float) -> None:
        self.since = now
        self.before = (0, 0)  # valid, invalid
        self.valid = 0
        self.invalid = 0
        self.reasons: Counter[str] = Counter()

    def roll(self, now: float, seconds: float) -> None:
        passed = now - self.since
        if passed < seconds:
            return
        self.before = (self.valid, self.invalid) if passed < 2 * seconds else (0, 0)
        self.since, self.valid, self.invalid = now, 0, 0
        self.reasons.clear()


class FloodGuard:
    """One per stage. Memory: a few numbers per partition that had a bad record."""

    def __init__(self, rule: Flood, clock: Clock) -> None:
        self._rule = rule
        self._clock = clock
        self._windows: dict[TP, _Window] = {}

    def note(self, tp: TP, valid: int, errors: Sequence[InvalidInput]) -> None:
        """Records of this partition were read: call it before any dead letter of theirs is put.

        Raises Flooded when the share of invalid ones is abnormal.
        """
        rule = self._rule
        if not rule.enabled:
            return
        window = self._windows.get(tp)
        if window is None:
            if not errors and not valid:
                return
            window = self._windows[tp] = _Window(self._clock.monotonic_seconds())
        window.roll(self._clock.monotonic_seconds(), rule.window_seconds)
        window.valid += valid
        if not errors:
            return
        window.invalid += len(errors)
        window.reasons.update(error.reason for error in errors)
        invalid = window.invalid + window.before[1]
        total = invalid + window.valid + window.before[0]
        if invalid >= rule.least_records and invalid > rule.share * total:
            reasons = ", ".join(f"{reason} {count}" for reason, count in window.reasons.most_common(3))
            raise Flooded(
                f"{tp.topic}[{tp.partition}]: {invalid} of the last {total} records are invalid ({reasons}; the last: "
                f"{errors[-1]}). Nothing more of it is handled. Mend its producer, or let them all become dead letters "
                "with flood.enabled=false or another flood.share"
            )
