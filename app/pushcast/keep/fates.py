"""What became of notifications that a badge counts: one that reached no device counts no more. Pure.

A planner tells how many deliveries it planned, senders and settlers how each ended. Until one was accepted, or may have
been, the notification is pending; when all of them ended otherwise, it failed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from pushcast.model.caps import ID_BYTES, Ended, SlotPlanned

#: Of one badge. Of older ones nobody asks: they count until they are read.
MAX_PENDING: Final = 32
#: Ends of one notification that are told apart; a user has fewer devices in an app.
_MAX_TOLD: Final = 255
_HEAD: Final = struct.Struct(f">{ID_BYTES}sHBB")


class _Pending(NamedTuple):
    """One notification. `accounts`, `ended`: 8 bytes of each, so that what is told twice counts once."""

    name: bytes
    planned: int = 0
    accounts: bytes = b""
    ended: bytes = b""


class BadgeFate(NamedTuple):
    """What is pending after word of a notification, and whether that one failed."""

    pending: bytes
    failed: bool


def begun(pending: bytes, name: bytes) -> bytes:
    """With one more that is let go."""
    others = [each for each in _parsed(pending) if each.name != name]
    return _packed([*others, _Pending(name)][-MAX_PENDING:])


def without(pending: bytes, names: Iterable[bytes]) -> bytes:
    """Without those that count no more, for whatever reason."""
    gone = set(names)
    return _packed([each for each in _parsed(pending) if each.name not in gone]) if pending else pending


def heard(pending: bytes, word: SlotPlanned | Ended) -> BadgeFate:
    """After word of one; nothing changes when it is not pending."""
    found = next((each for each in _parsed(pending) if each.name == word.id), None)
    if found is None:
        return BadgeFate(pending, False)
    if isinstance(word, Ended) and word.accepted:
        return BadgeFate(without(pending, [word.id]), False)
    after = _after(found, word)
    if after.accounts and len(after.ended) >= after.planned * ID_BYTES:
        return BadgeFate(without(pending, [word.id]), True)
    return BadgeFate(_packed([after if each.name == word.id else each for each in _parsed(pending)]), False)


def _after(known: _Pending, word: SlotPlanned | Ended) -> _Pending:
    if isinstance(word, SlotPlanned):
        if _has(known.accounts, word.account):
            return known
        planned = min(known.planned + word.deliveries, _MAX_TOLD + 1)
        return known._replace(planned=planned, accounts=known.accounts + word.account)
    if _has(known.ended, word.delivery) or len(known.ended) == _MAX_TOLD * ID_BYTES:
        return known
    return known._replace(ended=known.ended + word.delivery)


def _has(joined: bytes, name: bytes) -> bool:
    return any(joined[at : at + ID_BYTES] == name for at in range(0, len(joined), ID_BYTES))


def _packed(pending: Iterable[_Pending]) -> bytes:
    parts: list[bytes] = []
    for name, planned, accounts, ended in pending:
        head = _HEAD.pack(name, planned, len(accounts) // ID_BYTES, len(ended) // ID_BYTES)
        parts += (head, accounts, ended)
    return b"".join(parts)


def _parsed(pending: bytes) -> list[_Pending]:
    found: list[_Pending] = []
    at = 0
    while at < len(pending):
        name, planned, accounts, ended = _HEAD.unpack_from(pending, at)
        at += _HEAD.size
        middle, end = at + accounts * ID_BYTES, at + (accounts + ended) * ID_BYTES
        found.append(_Pending(name, planned, pending[at:middle], pending[middle:end]))
        at = end
    return found
