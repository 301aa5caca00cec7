"""What becomes of a token's mark, and who must let go of the token. Pure.

A mark is the greatest registration that was ever claimed: a maximum, so order of arrival, repetition and crashes do not
change where it ends. Every claim of another device below it is evicted, on arrival or when it is overtaken. A
registration that is over keeps its mark, or a claim that comes late would find nobody and win.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pushcast.model.ownership import NOBODY, Claim, Evict, Mark, Registration

DAY_MS: Final = 86_400_000
#: A phone is not handed on so often in a day: somebody takes tokens that are not theirs.
CONTESTED_MOVES: Final = 5


class Decision(NamedTuple):
    """`mark` None: it stays as it is. The eviction must be acknowledged before the mark is written: a claim that is
    handled again finds its own mark and evicts nobody."""

    mark: Mark | None = None
    evict: Evict | None = None
    contested: bool = False  # the token moves more often than phones do


def decide(mark: Mark | None, claim: Claim, recorded_at: int) -> Decision:
    """`recorded_at`: Kafka time of the claim, milliseconds. Idempotent."""
    if claim.over:
        return _vacated(mark, claim, recorded_at)
    registration = claim.registration
    if mark is None:
        return Decision(Mark(registration, _is_held(registration), recorded_at, moves_since=recorded_at))
    known = mark.registration
    if registration > known:
        if registration.key == known.key:
            newer = mark._replace(registration=registration, live=_is_held(registration), changed_at=recorded_at)
            return Decision(newer)
        return _moved(mark, claim, recorded_at)
    if registration.key in (known.key, NOBODY):
        return Decision()
    return Decision(evict=Evict(claim.token, registration.key, known))


def is_over(mark: Mark, before: int) -> bool:
    """Whether a mark may end: nobody has held its token since before this time, in milliseconds, so whatever was
    registered before that has claimed long ago. A live mark never ends: its owner may come back after any time."""
    return not mark.live and mark.changed_at < before


def _moved(mark: Mark, claim: Claim, recorded_at: int) -> Decision:
    moves, since = mark.moves + 1, mark.moves_since
    if recorded_at - since >= DAY_MS:
        moves, since = 1, recorded_at
    loser, winner = mark.registration.key, claim.registration
    evict = None if loser == NOBODY else Evict(claim.token, loser, winner)
    moved = Mark(winner, _is_held(winner), recorded_at, moves, since)
    return Decision(moved, evict, contested=moves > CONTESTED_MOVES)


def _is_held(registration: Registration) -> bool:
    return registration.key != NOBODY


def _vacated(mark: Mark | None, claim: Claim, recorded_at: int) -> Decision:
    """Only the very registration is over: a later one of the same device owns the token still."""
    if mark is None or not mark.live or mark.registration != claim.registration:
        return Decision()
    return Decision(mark._replace(live=False, changed_at=recorded_at))
