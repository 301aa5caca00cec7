"""Ids of what comes without one, the same in every gateway process. Pure but for `fresh_id`."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from typing import Final, NamedTuple
from uuid import UUID

MAX_IDEMPOTENCY_KEY_CHARS: Final = 255
#: How many answers a process remembers, to tell a repeat from another notification under the same id.
MAX_REMEMBERED: Final = 100_000
REMEMBERED_MS: Final = 600_000


def derived_id(key_id: str, idempotency_key: str, index: int = 0) -> str:
    """UUIDv8 (RFC 9562 section 5.8) of an Idempotency-Key: every process computes the same, so that none needs a store.

    `index`: place in a bulk request.
    """
    digest = blake2b(f"{key_id}\0{idempotency_key}\0{index}".encode(), digest_size=16).digest()
    return str(UUID(int=_stamped(int.from_bytes(digest), 8)))


def fresh_id(now_ms: int) -> str:
    """UUIDv7 (RFC 9562 section 5.7) for what has neither an id nor an Idempotency-Key: each repeat is another one."""
    return str(UUID(int=_stamped(now_ms << 80 | secrets.randbits(80), 7)))


def _stamped(number: int, version: int) -> int:
    number &= ~(0xF << 76) & ~(0x3 << 62)
    return number | version << 76 | 0x2 << 62


def id_maker(key_id: str, idempotency_key: str | None, now_ms: int, index: int = 0) -> Callable[[], str]:
    """Makes the id of something that has none: `derived_id`, or `fresh_id` without an Idempotency-Key."""
    if idempotency_key is None:
        return partial(fresh_id, now_ms)
    return partial(derived_id, key_id, idempotency_key, index)


class Sent(NamedTuple):
    """What was sent under which id: (key, user, id), and a digest of the content."""

    where: tuple[str, str, str]
    digest: bytes


def sent_of(key_id: str, user: str, note_id: str, value: bytes) -> Sent:
    """`value`: the event's."""
    return Sent((key_id, user, note_id), blake2b(value, digest_size=16).digest())


class Repeats:
    """What was answered in the last 10 minutes, at most 100,000 times: tells a repeat from a mistake.

    It forgets at a restart and knows nothing of other processes: PLAN's memory of ids is what keeps pushes single.
    """

    def __init__(self, max_remembered: int = MAX_REMEMBERED) -> None:
        self._known: OrderedDict[tuple[str, str, str], tuple[bytes, int]] = OrderedDict()
        self._max = max_remembered

    def seen(self, sent: Sent, now_ms: int) -> bool | None:
        """None: not known. True: the same notification. False: another one under the same id."""
        known = self._known.get(sent.where)
        if known is None or known[1] <= now_ms - REMEMBERED_MS:
            return None
        return known[0] == sent.digest

    def remember(self, sent: Sent, now_ms: int) -> None:
        """After Kafka has it."""
        self._known[sent.where] = sent.digest, now_ms
        self._known.move_to_end(sent.where)
        if len(self._known) > self._max:
            self._known.popitem(last=False)
