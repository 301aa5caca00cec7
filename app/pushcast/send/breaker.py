"""The breaker of one (app, platform) in one process: whether its provider is worth asking. Pure; time is passed in.

Closed, it counts what providers answer. It opens when our key is refused, when tokens are refused in abnormal numbers,
or when most of the answers have been failures for a while. Open, it lets nothing out until its interval is over; then,
half open, a few probes. Most of them well answered close it; otherwise the next interval is twice as long.

What one user, one record or one push service of somebody's own can cause never opens it (`breadth`), nor does a round
keep it open that only sent again what one user had refused before: without other work it closes by time.

Another process that opens makes this one careful: it opens too, and probes almost at once.
"""

from __future__ import annotations

from enum import StrEnum
from random import Random
from typing import Final

from pushcast.providers.breadth import Witness
from pushcast.providers.suspicion import MASS_INVALID_TOKENS
from pushcast.send.abnormal import TOKENS_INVALID, Limits, RecentAnswers
from pushcast.send.tally import Tally

#: Openings for these say that verdicts on tokens are wrong, not only that the way is blocked.
ABOUT_TOKENS: Final = frozenset({MASS_INVALID_TOKENS, TOKENS_INVALID})
#: Another process opened: how long until this one probes, so that not all of them do in the same moment.
_CAREFUL_SECONDS = 1.0
#: Users of whom work that was refused before must be refused again for a round to count.
_LEAST_USERS = 2
#: An answer may be up to this much older than `now_ms` when it is counted: one loop turn, or a stopped process.
_COUNTED_LATE_MS = 2000


class BreakerState(StrEnum):
    """`HALF_OPEN`: a round of probes is under way."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Turn(StrEnum):
    """What others should be told."""

    OPENED = "opened"
    CLOSED = "closed"


class Breaker:
    """See the module. `now` is monotonic and never goes back; `*_ms` are milliseconds since the epoch."""

    def __init__(self, limits: Limits, random: Random) -> None:
        self.state = BreakerState.CLOSED
        self.reason = ""
        self.abnormal_since_ms = 0
        self.opened_at_ms = 0
        self._limits = limits
        self._random = random
        self._answers = RecentAnswers(limits)
        self._own = False  # opened by what this process saw itself
        self._probe_at = 0.0
        self._failed_rounds = 0
        self._closed_at = -1e9
        self._granted = 0  # probes of this round
        self._answered = Tally()
        self._refused_again: set[str] = set()  # users of this round whose work was refused, and had been before
        self._refused_afresh = False
        self._round_ends_at = 0.0
        self._proved_at = 0.0  # it opened, or a round that counts failed

    @property
    def closed(self) -> bool:
        return self.state is BreakerState.CLOSED

    @property
    def doubts_tokens(self) -> bool:
        """Open, and because verdicts on tokens are wrong."""
        return self.state is not BreakerState.CLOSED and self.reason in ABOUT_TOKENS

    def note(self, tally: Tally, now: float, now_ms: int) -> Turn | None:
        """Counts answers to what went out while closed. While it is open they are of no account: they left before."""
        if self.state is not BreakerState.CLOSED:
            return None
        self._answers.count(tally, now)
        reason = self._answers.why(tally, now) if tally.bad else None
        if reason is None:
            return None
        self._own = True
        self._failed_rounds = self._failed_rounds + 1 if now - self._closed_at < self._limits.max_open_seconds else 0
        self._open(reason, now_ms - round(1000 * self._answers.abnormal_for(now)) - _COUNTED_LATE_MS, now, now_ms)
        self._probe_at = now + self._interval()
        return Turn.OPENED

    def probes(self, wanted: int, now: float) -> int:
        """How many of these targets may leave as probes now; their answers go to `note_probes`. 0 while closed."""
        if self.state is BreakerState.CLOSED:
            return 0
        if now >= (self._probe_at if self.state is BreakerState.OPEN else self._round_ends_at):
            self.state = BreakerState.HALF_OPEN
            self._granted = 0
            self._answered = Tally()
            self._refused_again = set()
            self._refused_afresh = False
            self._round_ends_at = now + self._limits.probe_seconds
        if self.state is BreakerState.OPEN:
            return 0
        granted = min(wanted, self._limits.probes - self._granted)
        self._granted += granted
        return granted

    def note_probes(self, tally: Tally, now: float) -> Turn | None:
        """Answers to probes. The round is judged when all of it is answered.

        One in which nothing failed but what one user had refused before proves nothing: the next work that comes is
        asked at once, and without any the breaker closes when `max_open_seconds` have passed without a proof.
        """
        if self.state is not BreakerState.HALF_OPEN:
            return None
        seen = self._answered
        for field in ("sound", "failed", "invalid", "refused", "slowed", "doubted"):
            setattr(seen, field, getattr(seen, field) + getattr(tally, field))
        for witnesses in (tally.failing, tally.refusing, tally.doubting, tally.dead):
            self._refused(witnesses)
        bad = seen.failed + seen.refused + seen.doubted + (seen.invalid if self.reason in ABOUT_TOKENS else 0)
        answers = seen.bad + seen.sound + seen.slowed
        if answers < self._granted:
            return None
        if 2 * bad < answers:
            self._close(now)
            return Turn.CLOSED
        self.state = BreakerState.OPEN
        if self._refused_afresh or len(self._refused_again) >= _LEAST_USERS:
            self._failed_rounds += 1
            self._proved_at = now
            self._probe_at = now + self._interval()
            return None
        if now - self._proved_at >= self._limits.max_open_seconds:
            self._close(now)
            return Turn.CLOSED
        self._probe_at = now
        return None

    def _refused(self, witnesses: list[Witness]) -> None:
        for witness in witnesses:
            if witness.again:
                self._refused_again.add(witness.user)
            else:
                self._refused_afresh = True

    def forgo(self, probes: int) -> None:
        """Probes that were granted and did not leave, or will not be answered."""
        if self.state is BreakerState.HALF_OPEN:
            self._granted = max(0, self._granted - probes)

    def heard_open(self, reason: str, abnormal_since_ms: int, now: float, now_ms: int) -> None:
        """Another process found it broken."""
        if self.state is not BreakerState.CLOSED:
            self.abnormal_since_ms = min(self.abnormal_since_ms, abnormal_since_ms)
            if reason in ABOUT_TOKENS:
                self.reason = reason  # or probes that call tokens invalid would pass for good answers
            return
        self._own = False
        self._failed_rounds = 0
        self._open(reason, abnormal_since_ms, now, now_ms)
        self._probe_at = now + _CAREFUL_SECONDS * self._random.random()

    def heard_closed(self, now: float) -> None:
        """Another process' probes got through. One that saw it broken itself believes its own probes only."""
        if self.state is BreakerState.CLOSED:
            return
        if not self._own:
            self._close(now)
        elif self.state is BreakerState.OPEN:
            self._probe_at = min(self._probe_at, now)

    def _open(self, reason: str, abnormal_since_ms: int, now: float, now_ms: int) -> None:
        self.state = BreakerState.OPEN
        self.reason = reason
        self.abnormal_since_ms = max(0, abnormal_since_ms)
        self.opened_at_ms = now_ms
        self._proved_at = now
        self._answers.clear()

    def _close(self, now: float) -> None:
        self.state = BreakerState.CLOSED
        self._closed_at = now

    def _interval(self) -> float:
        seconds = min(self._limits.open_seconds * 2.0 ** min(self._failed_rounds, 16), self._limits.max_open_seconds)
        return seconds * (0.75 + self._random.random() / 2)
