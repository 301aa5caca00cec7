"""What a provider's result means for a delivery: its end, another try here, a rung of the retry ladder, or being kept
aside until the app's breaker closes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import NamedTuple

from pushcast.model.words import Outcome, Reason
from pushcast.providers.port import Disposition, Result
from pushcast.providers.suspicion import ABOUT_THE_TARGET
from pushcast.wire.sending.retries import Ladder, Rung

TOO_MANY_REQUESTS = 429
FIRST_DELAY_SECONDS = 0.25
#: Waiting longer in the process would hold the partition's low watermark.
MAX_DELAY_SECONDS = 5.0


class End(NamedTuple):
    """The delivery is over. `token_invalid`: the provider's word about the token goes to REGISTER too."""

    outcome: Outcome
    reason: str | None = None
    token_invalid: bool = False


class Again(NamedTuple):
    """Another try in this process. `doubtful`: from now on an earlier try may have reached the device."""

    delay_seconds: float
    doubtful: bool


class Later(NamedTuple):
    """Another round, after waiting on a rung. `doubtful`: from now on an earlier round may have reached the device."""

    rung: Rung
    doubtful: bool


class Park(NamedTuple):
    """Kept aside, without having spent a round. `doubtful`: an earlier try may have reached the device."""

    doubtful: bool


class Guard(StrEnum):
    """The breaker of the app when a result is judged, this result counted already. `NONE`: there is no breaker."""

    NONE = "none"
    CLOSED = "closed"
    OPEN = "open"
    DOUBTS_TOKENS = "doubts_tokens"  # open because verdicts on tokens are wrong


_OPEN = frozenset({Guard.OPEN, Guard.DOUBTS_TOKENS})


@dataclass(frozen=True, slots=True)
class Policy:
    """How often a delivery is tried in one process, the first try included, and what follows.

    With a ladder only what certainly did not reach the provider is tried again here; whatever the provider answered,
    or may have taken, waits on a rung. Without one everything is tried here, and is dead after the last try.
    """

    attempts: int
    ladder: Ladder | None = None
    first_delay_seconds: float = FIRST_DELAY_SECONDS
    max_delay_seconds: float = MAX_DELAY_SECONDS


ACCEPTED = End(Outcome.ACCEPTED)
#: Past its expiry before a try. A doubtful delivery is not called expired: it may have arrived.
EXPIRED = End(Outcome.EXPIRED, Reason.EXPIRED)
DOUBTFUL = End(Outcome.DEAD, Reason.UNKNOWN_OUTCOME)
CANCELLED = End(Outcome.CANCELLED, Reason.CANCELLED)
BROADCAST_STOPPED = End(Outcome.CANCELLED, Reason.BROADCAST_STOPPED)
SEAL_BROKEN = End(Outcome.REJECTED, Reason.SEAL_BROKEN)
NO_CONTENT_KEY = End(Outcome.SUPPRESSED, Reason.NO_CONTENT_KEY)
CONTENT_KEY_INVALID = End(Outcome.REJECTED, Reason.CONTENT_KEY_INVALID)
NOT_CONFIGURED = End(Outcome.REJECTED, Reason.NOT_CONFIGURED)

# What a result is called when the provider's verdict table has no word for it.
_DEFAULT_REASON = {
    Disposition.INVALID: Reason.DEVICE_UNREGISTERED,
    Disposition.REJECTED: Reason.BAD_REQUEST,
    Disposition.RETRY: Reason.PROVIDER_ERROR,
    Disposition.UNSENT: Reason.CONNECTION_FAILED,
}


def decide(
    result: Result,
    *,
    tries: int,
    doubtful: bool,
    at_most_once: bool,
    dry_run: bool,
    policy: Policy,
    random: Random,
    rounds_made: int = 0,
    guard: Guard = Guard.NONE,
    counts: bool = False,
) -> End | Again | Later | Park:
    """`tries`: made in this process, the one that gave `result` included. Draws from `random` only for a try here.

    `rounds_made`: before this one. Every delivery ends: with `tries` >= `policy.attempts` the answer is never Again,
    and in the last round of the ladder it is never Later. While a breaker is open no failure costs a delivery its life,
    and no verdict on a token is passed on. `counts`: a probe that was refused before; it spends a round of the ladder,
    so that nobody is asked about the same delivery for ever.
    """
    disposition = result.disposition
    if disposition is Disposition.ACCEPTED:
        return ACCEPTED
    if disposition is Disposition.INVALID:
        if guard is Guard.DOUBTS_TOKENS:
            rung = policy.ladder.rung_after(rounds_made + 1) if counts and policy.ladder is not None else None
            if rung is not None:
                return Later(rung, doubtful)
            if not counts:
                return Park(doubtful)
        # A validate-only answer says nothing certain about the token.
        believed = not dry_run and guard not in _OPEN
        return End(Outcome.INVALID, result.reason or _DEFAULT_REASON[disposition], believed)
    if disposition is Disposition.REJECTED and result.reason == Reason.NOTHING_TO_SHOW:
        return End(Outcome.SUPPRESSED, Reason.NOTHING_TO_SHOW)
    if disposition is Disposition.REJECTED:
        return End(Outcome.REJECTED, result.reason or _DEFAULT_REASON[disposition])
    unknown = disposition is Disposition.UNKNOWN
    if unknown and at_most_once:
        return End(Outcome.REJECTED, Reason.UNKNOWN_OUTCOME)
    doubtful = doubtful or unknown
    if guard in _OPEN and not counts and not _is_about_the_target(result):
        return Park(doubtful)
    ladder = policy.ladder
    if tries < policy.attempts and (ladder is None or (disposition is Disposition.UNSENT and not counts)):
        return Again(_delay_seconds(result.retry_after_seconds, tries, policy, random), doubtful)
    rung = None if ladder is None else ladder.rung_after(rounds_made + 1, result.retry_after_seconds)
    if rung is not None:
        return Later(rung, doubtful)
    if doubtful:
        return DOUBTFUL
    if disposition is Disposition.CREDENTIAL:
        return End(Outcome.DEAD, Reason.CREDENTIAL_REFUSED)
    return End(Outcome.DEAD, result.reason or _DEFAULT_REASON[disposition])


def _is_about_the_target(result: Result) -> bool:
    # Who asks for less works: that is for the ladder, which knows how long to wait.
    return result.status == TOO_MANY_REQUESTS or result.reason in ABOUT_THE_TARGET


def _delay_seconds(retry_after_seconds: float | None, tries: int, policy: Policy, random: Random) -> float:
    """Doubling with jitter of a half, so that messages that failed together do not come back together.

    The provider's own delay is a lower bound up to `max_delay_seconds`; a longer one is cut.
    """
    back_off = policy.first_delay_seconds * 2.0 ** min(tries - 1, 16) * (0.5 + random.random() / 2)
    if retry_after_seconds is not None and retry_after_seconds > 0:
        back_off = max(back_off, retry_after_seconds * (1 + random.random() / 10))
    return min(back_off, policy.max_delay_seconds)
