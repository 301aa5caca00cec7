"""Thread or campaign of a notification in a row of `push.user.v1`: a hash of its name, and when that was made."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

_NAME_BYTES: Final = 8
PLACE_BYTES: Final = 2 * _NAME_BYTES
#: Of a notification of no thread, or of one that a row of an earlier release does not say.
NO_THREAD: Final = bytes(PLACE_BYTES)
_LATEST_MS: Final = 2**63 - 1


def thread_place(thread: str | None, created_at: int) -> bytes:
    """16 bytes. `created_at`: milliseconds since the epoch."""
    if not thread:
        return NO_THREAD
    return _name_of(thread) + min(max(0, created_at), _LATEST_MS).to_bytes(_NAME_BYTES, "big")


def within(places: list[bytes], thread: str, up_to: int) -> list[bool]:
    """Of each place, whether it is in that thread and not later than `up_to`."""
    lasts = [thread_place(thread, up_to)]
    return [is_within(place, lasts) for place in places]


def is_within(place: bytes, lasts: list[bytes]) -> bool:
    """Whether a place is in one of the threads of `lasts`, and not later than that."""
    if place == NO_THREAD:
        return False
    return any(place[:_NAME_BYTES] == last[:_NAME_BYTES] and place <= last for last in lasts)


def later(lasts: list[bytes], last: bytes) -> list[bytes]:
    """With one more, once for each thread: the latest counts, and what came last stands last."""
    name = last[:_NAME_BYTES]
    others = [each for each in lasts if each[:_NAME_BYTES] != name]
    return [*others, max([last, *(each for each in lasts if each[:_NAME_BYTES] == name)])]


def moments(places: list[bytes], thread: str) -> list[int | None]:
    """Of each place, when what is in that thread was created; None: it is in another one, or in none."""
    name = _name_of(thread)
    return [int.from_bytes(place[_NAME_BYTES:], "big") if place[:_NAME_BYTES] == name else None for place in places]


def places_of(joined: bytes, count: int) -> list[bytes]:
    """So many places. What stands before the first known one has no thread."""
    known = [joined[at : at + PLACE_BYTES] for at in range(0, len(joined), PLACE_BYTES)][-count:] if count else []
    return [NO_THREAD] * (count - len(known)) + known


def joined(places: list[bytes]) -> bytes:
    """The same in a row: without those in front that have no thread, so that most rows have none."""
    first = next((at for at, place in enumerate(places) if place != NO_THREAD), len(places))
    return b"".join(places[first:])


def _name_of(thread: str) -> bytes:
    return blake2b(thread.encode(), digest_size=_NAME_BYTES, person=b"thread").digest()
