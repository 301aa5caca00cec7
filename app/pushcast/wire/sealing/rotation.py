"""Steps by which one key takes another's place while tokens are sealed and opened all the time. Pure.

There is no instant at which all processes change keys. So a key is first held by everybody, then seals, and goes only
when nothing under it can be sent any more, neither a row nor a copy that waits, is parked or may be redriven.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Final

import msgspec

from pushcast.model.errors import PushcastError
from pushcast.wire.sealing.keyring import IntakeKey, Key, Keyring, KeyState

#: How long after its planning a copy of a sealed address may have to be opened: the longest time to live. A dead letter
#: lies for 14 days, but one that was written on day 13 is redriven on day 27, and sent if it has not expired.
COPIES_MS: Final = 28 * 86_400_000
MAX_KEYS: Final = 16


class RotationRefused(PushcastError):
    """The step is not safe yet; the message says what it waits for."""


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """What is known of one key. `rows_until_ms`: when the last row under it was sealed anew or went, at the latest;
    no copy of such a row was planned later."""

    rows: int
    rows_until_ms: int


def with_key(ring: Keyring, key_id: str, wrapped: str, created_at: str) -> Keyring:
    """With a new key that opens. The first one of a ring seals. Raises RotationRefused."""
    if ring.key(key_id) is not None:
        raise RotationRefused(f"the keyring has a key {key_id}")
    if len(ring.keys) >= MAX_KEYS:
        raise RotationRefused(f"the keyring has {len(ring.keys)} keys, at most {MAX_KEYS}: retire one")
    state = KeyState.OPEN if ring.keys else KeyState.SEAL
    return msgspec.structs.replace(ring, keys=(Key(key_id, state, wrapped, created_at), *ring.keys))


def with_intake(ring: Keyring, key: IntakeKey) -> Keyring:
    """With one more key pair for producers. Raises RotationRefused."""
    if any(each.id == key.id for each in ring.intake):
        raise RotationRefused(f"the keyring has an intake key {key.id}")
    if len(ring.intake) >= MAX_KEYS:
        raise RotationRefused(f"the keyring has {len(ring.intake)} intake keys, at most {MAX_KEYS}")
    return msgspec.structs.replace(ring, intake=(key, *ring.intake))


def promote(ring: Keyring, key_id: str, held: Mapping[str, Set[str]]) -> Keyring:
    """With this key sealing, and no other. `held`: the keys of every live registrar and sender, by process.

    Raises RotationRefused: a process that could not open what is sealed with it would have to wait.
    """
    _known(ring, key_id)
    without = sorted(process for process, ids in held.items() if key_id not in ids)
    if without:
        raise RotationRefused(f"{len(without)} of {len(held)} processes do not hold {key_id}: {', '.join(without[:8])}")
    states = [KeyState.SEAL if key.id == key_id else KeyState.OPEN for key in ring.keys]
    keys = (msgspec.structs.replace(key, state=state) for key, state in zip(ring.keys, states, strict=True))
    return msgspec.structs.replace(ring, keys=tuple(keys))


def emptied(ring: Keyring, key_id: str, at: str | None) -> Keyring:
    """With the time from when on no row is under this key; None: there are some. The first such time stays."""
    key = _known(ring, key_id)
    since = None if at is None else key.empty_since or at
    keys = (msgspec.structs.replace(each, empty_since=since) if each is key else each for each in ring.keys)
    return msgspec.structs.replace(ring, keys=tuple(keys))


def retire(ring: Keyring, key_id: str, usage: KeyUsage, sealing: Mapping[str, str | None], now_ms: int) -> Keyring:
    """Without this key. `sealing`: with which key each live registrar seals, by process.

    Raises RotationRefused while something may have to be opened with it.
    """
    if _known(ring, key_id).state is KeyState.SEAL:
        raise RotationRefused(f"{key_id} seals: promote another key first")
    writers = sorted(process for process, sealing_id in sealing.items() if sealing_id == key_id)
    if writers:
        raise RotationRefused(f"{len(writers)} registrars still seal with {key_id}: {', '.join(writers[:8])}")
    if usage.rows:
        raise RotationRefused(f"{usage.rows:,} rows are under {key_id}: REGISTER seals them anew, wait for it")
    left_ms = usage.rows_until_ms + COPIES_MS - now_ms
    if left_ms > 0:
        raise RotationRefused(f"pushes planned under {key_id} may be sent for {left_ms / 86_400_000:.1f} more days")
    return msgspec.structs.replace(ring, keys=tuple(key for key in ring.keys if key.id != key_id))


def _known(ring: Keyring, key_id: str) -> Key:
    key = ring.key(key_id)
    if key is None:
        raise RotationRefused(f"the keyring has no key {key_id}")
    return key
