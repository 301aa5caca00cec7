"""What a provider answered lately, and whether that is abnormal. Pure; time is passed in.

What one user, one record or one push service of somebody's own can cause is never abnormal (`breadth`).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

from pushcast.providers.breadth import Breadth, WantedBreadth
from pushcast.providers.suspicion import MASS_INVALID_TOKENS
from pushcast.send.tally import Tally

#: Reasons of an opening, beside `MASS_INVALID_TOKENS` and the provider's own words for a refused key.
PROVIDER_FAILING: Final = "provider_failing"
TOKENS_INVALID: Final = "tokens_invalid"
_SLICE_SECONDS = 1.0
#: A refused key opens at once, unless as much was taken within this time.
_REFUSED_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Shares are of answers; times in seconds."""

    failure_share: float = 0.5  # of at least `least_answers` within `failure_seconds`,
    least_answers: int = 50
    failure_seconds: float = 10.0
    sustained_seconds: float = 3.0  # the first failure being at least so long ago
    invalid_share: float = 0.8  # of the last `least_tokens` or more, within `window_seconds`; above 1: never
    least_tokens: int = 50
    invalid_in_a_row: int = 20  # or so many without one good answer between, however long that takes
    window_seconds: float = 60.0
    open_seconds: float = 5.0  # the first interval; doubled with every round of probes that fails
    max_open_seconds: float = 60.0
    probes: int = 20  # targets of one round
    probe_seconds: float = 30.0  # a round whose answers do not come is given up
    wanted: WantedBreadth = WantedBreadth()  # noqa: RUF009 - immutable; who must have seen it before it opens


class _Slice(NamedTuple):
    began_at: float
    tally: Tally  # numbers alone
    failing: Breadth
    dead: Breadth


class RecentAnswers:
    """Of one (app, platform), while its breaker is closed. `now` is monotonic and never goes back."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._slices: deque[_Slice] = deque()
        self._bad_since: float | None = None  # no sound answer from then on
        self._invalid_in_a_row = 0
        self._doubted_in_a_row = 0
        self._dead = Breadth(limits.wanted)  # of the invalid in a row
        self._doubting = Breadth(limits.wanted)  # of the doubted in a row

    def clear(self) -> None:
        """The breaker opens: what was answered until then counts no more."""
        self._slices.clear()
        self._forget_rows()

    def abnormal_for(self, now: float) -> float:
        """Seconds since the first bad answer of the window, or since the last sound one when that is longer."""
        began_at = next(each.began_at for each in self._slices if each.tally.bad)
        return now - min(began_at, now if self._bad_since is None else self._bad_since)

    def count(self, tally: Tally, now: float) -> None:
        """Answers of one turn of the loop."""
        slices, limits = self._slices, self._limits
        if not slices or now - slices[-1].began_at >= _SLICE_SECONDS:
            slices.append(_Slice(now, Tally(), Breadth(limits.wanted), Breadth(limits.wanted)))
            while now - slices[0].began_at > limits.window_seconds:
                slices.popleft()
        if tally.sound:
            self._bad_since = None
            self._forget_rows()
        else:
            self._invalid_in_a_row += tally.invalid
            self._doubted_in_a_row += tally.doubted
            self._dead.add(tally.dead)
            self._doubting.add(tally.doubting)
            if tally.bad and self._bad_since is None:
                self._bad_since = now
        total = slices[-1].tally
        total.sound += tally.sound
        total.slowed += tally.slowed
        if tally.bad:
            total.failed += tally.failed
            total.invalid += tally.invalid
            total.refused += tally.refused
            total.doubted += tally.doubted
            slices[-1].failing.add(tally.failing)
            slices[-1].dead.add(tally.dead)

    def why(self, latest: Tally, now: float) -> str | None:
        """Why it is time to open; None while it is not. `latest`: what was counted last."""
        limits = self._limits
        if latest.masses and self._joined([each.dead for each in self._slices]).of_many:
            return MASS_INVALID_TOKENS
        if latest.doubted and self._doubting.of_many:
            return latest.doubt
        if latest.refused:
            just_now = [each.tally for each in self._slices if now - each.began_at <= _REFUSED_SECONDS]
            if sum([each.refused for each in just_now]) >= sum([each.sound + each.invalid for each in just_now]):
                return latest.refusal or "credential_refused"
        recent = [each for each in self._slices if now - each.began_at <= limits.failure_seconds]
        sound = sum([each.tally.sound + each.tally.invalid for each in recent])
        if latest.failed:
            failed = [each for each in recent if each.tally.failed]
            failures = sum([each.tally.failed for each in failed])
            answers = failures + sound + sum([each.tally.slowed for each in recent])
            sustained = now - failed[0].began_at >= limits.sustained_seconds
            enough = answers >= limits.least_answers and failures >= limits.failure_share * answers
            if sustained and enough and self._joined([each.failing for each in failed]).of_many_users:
                return PROVIDER_FAILING
        if latest.invalid and limits.invalid_share <= 1:
            # An app with little to send: it would be minutes until its tokens are many, and a hold is ten.
            if self._invalid_in_a_row >= limits.invalid_in_a_row and self._dead.of_many:
                return TOKENS_INVALID
            # Any stretch that ends now: a token that is suspended is not asked about again, so a provider that calls
            # all of them invalid says so of each once, which an hour's good answers before must not drown.
            invalid = tokens = 0
            dead = Breadth(limits.wanted)
            for each in reversed(self._slices):
                invalid += each.tally.invalid
                tokens += each.tally.invalid + each.tally.sound
                dead.join(each.dead)
                enough = tokens >= limits.least_tokens and invalid >= limits.invalid_share * tokens
                if enough and dead.of_many:
                    return TOKENS_INVALID
        return None

    def _forget_rows(self) -> None:
        """A good answer came between."""
        if self._invalid_in_a_row or self._doubted_in_a_row:
            self._invalid_in_a_row = self._doubted_in_a_row = 0
            self._dead.clear()
            self._doubting.clear()

    def _joined(self, parts: list[Breadth]) -> Breadth:
        whole = Breadth(self._limits.wanted)
        for part in parts:
            whole.join(part)
        return whole
