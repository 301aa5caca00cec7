"""What is let go first of timers that are late, as after an outage: what expires first, and what is over already last.

Pure; times are milliseconds since the epoch.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Final

from pushcast.keep.index import DueTimes, key_of, waiting_of
from pushcast.keep.rules import AT_ONCE
from pushcast.model.drain import Lifetime
from pushcast.wire.waiting.plain_timers import PlainTimers
from pushcast.wire.waiting.timers import OVERDUE_MS, Timer, readable, user_key

#: To find when a timer expires costs a third of letting it go: what is let go in time does not pay for that, nor does
#: much that lives equally long, as a campaign does. Of so many the others are not asked, if these do.
SAMPLED: Final = 16
_NEVER: Final = 1 << 63


def soonest_first(users: Sequence[bytes], expiries: Sequence[int | None], now_ms: int) -> list[int]:
    """Places of timers, which are given in the order of their due times, in the order in which they are let go: first
    what expires first. What is over, and what has no known end, comes last; equal ones stay as they were.

    Of one user none overtakes another: one that was due before leaves before, as soon as the one behind it must.
    """
    of_user: dict[bytes, int] = {}
    ranks = [0] * len(users)
    for at in range(len(users) - 1, -1, -1):
        until, user = expiries[at], users[at]
        rank = _NEVER if until is None or until <= now_ms else until
        ranks[at] = of_user[user] = min(rank, of_user.get(user, _NEVER))
    return sorted(range(len(users)), key=ranks.__getitem__)


class LateOrder:
    """Of one stage. `lifetime_of`: of a user's timer, None where it is not known."""

    def __init__(self, lifetime_of: Callable[[str, Timer], Lifetime | None]) -> None:
        self._lifetime_of = lifetime_of

    def places(self, entries: Sequence[bytes], values: Sequence[bytes | None], now_ms: int) -> list[int] | None:
        """In which order entries of one queue, which ascend, are let go; None: as they are, because none is overdue, or
        because some of those that are, evenly apart, live equally long. `values`: the table's rows of these entries."""
        times = DueTimes(entries)
        end = bisect_left(times, now_ms - OVERDUE_MS)
        begin = bisect_right(times, AT_ONCE, 0, end)  # what ends has no time, and leaves before all others
        if end - begin < 2:
            return None
        late = range(begin, end)
        step = len(late) // SAMPLED + 1
        lives = {self._lives(entries[at], values[at], times[at]) for at in late[::step]}
        if len(lives) < 2:  # in the order in which they are due they expire
            return None
        users = [user_key(key_of(entries[at])) for at in late]
        ordered = soonest_first(users, [self._expiry(entries[at], values[at]) for at in late], now_ms)
        return [*range(begin), *(begin + at for at in ordered), *range(end, len(entries))]

    def _lives(self, entry: bytes, value: bytes | None, due_at: int) -> int | None:
        expires_at = self._expiry(entry, value)
        return None if expires_at is None else expires_at - due_at

    def _expiry(self, entry: bytes, value: bytes | None) -> int | None:
        timer = None if value is None else _read(entry, value)
        if timer is None or not timer.waits or timer.closes:
            return None
        lifetime = self._lifetime_of(user_key(key_of(entry)).decode("utf-8", "replace"), timer)
        return None if lifetime is None else lifetime.expires_at


def _read(entry: bytes, value: bytes) -> Timer | None:
    waiting = waiting_of(entry)
    if waiting is None:
        return None
    lane, keep_offset, due_at = waiting
    plain = PlainTimers(lane).read(value, keep_offset, due_at)
    if plain is None:
        return readable(value)
    return Timer(lane.decode(), keep_offset, due_at, plain[0], event=plain[2])
