"""The keyring file: what is refused, by which field, and what each role's part holds."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from pushcast.model.errors import ConfigurationError
from pushcast.wire.sealing.keyring import (
    HASH_KEY,
    IntakeKey,
    Key,
    Keyring,
    KeyringRole,
    KeyState,
    decode_keyring,
    encode_keyring,
    part_of,
    unlocked,
    wrap,
)
from pushcast.wire.sealing.rotation import COPIES_MS, KeyUsage, RotationRefused, promote, retire, with_key
from pushcast.wire.sealing.seals import Place

OUTER, NONCE = bytes(range(32)), bytes(12)
PLACE = Place("news", "apns", "token", "anna", "phone")
WRAPPED = {name: wrap(bytes([number]) * 32, OUTER, name, NONCE) for number, name in enumerate(("t1", "t2", HASH_KEY))}
RING = Keyring(
    "file:/run/secrets/kek",
    1,
    WRAPPED[HASH_KEY],
    (Key("t2", KeyState.SEAL, WRAPPED["t2"], "2026-11-28T12:00:00Z"), Key("t1", KeyState.OPEN, WRAPPED["t1"], "")),
    (IntakeKey("i1", b64encode(bytes(32)).decode(), wrap(bytes(32), OUTER, "i1", NONCE)),),
)


def file(**changes: Any) -> bytes:
    return json.dumps({**json.loads(encode_keyring(RING)), **changes}).encode()


def test_a_ring_is_the_same_after_it_was_written() -> None:
    assert decode_keyring(encode_keyring(RING)) == RING


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"{", "JSON"),
        (b"\xff", "JSON"),
        (file(version=2), "version is 2"),
        (file(wrapped_by="vault:x"), "wrapped_by"),
        (file(keys=[{"id": "T 1", "state": "seal", "wrapped": "", "created_at": ""}]), "keys"),
        (file(keys=[{"id": "t1", "state": "close", "wrapped": "", "created_at": ""}]), "state"),
        (file(keys=2 * [{"id": "t1", "state": "seal", "wrapped": "", "created_at": ""}]), "id twice"),
        (file(kyes=[]), "kyes"),
    ],
)
def test_a_file_that_is_no_keyring_is_refused_by_its_field(value: bytes, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        decode_keyring(value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"keys": []}, "no keys"),
        ({"keys": (Key("t1", KeyState.OPEN, WRAPPED["t1"], ""),)}, "0 keys have the state seal"),
        ({"keys": tuple(Key(name, KeyState.SEAL, WRAPPED[name], "") for name in ("t1", "t2"))}, "2 keys"),
        ({"keys": (Key("t1", KeyState.SEAL, WRAPPED["t1"][:-8], ""),)}, "t1 has 54 bytes"),
        ({"keys": (Key("t1", KeyState.SEAL, "?", ""),)}, "t1 is not base64"),
        ({"keys": (Key("t1", KeyState.SEAL, WRAPPED["t2"], ""),)}, "t1 does not open"),
        ({"hash_key": None}, "hash_key is missing"),
    ],
)
def test_a_registrar_does_not_start_with_a_ring_that_cannot_seal(changes: dict[str, Any], words: str) -> None:
    ring = Keyring(**{name: changes.get(name, getattr(RING, name)) for name in Keyring.__struct_fields__})
    with pytest.raises(ConfigurationError, match=words):
        unlocked(ring, OUTER, KeyringRole.REGISTRAR)


def test_another_outer_key_opens_nothing() -> None:
    with pytest.raises(ConfigurationError, match="wrapped_by"):
        unlocked(RING, bytes(32), KeyringRole.SENDER)


def test_a_sender_opens_what_a_registrar_sealed_and_holds_nothing_else() -> None:
    part = part_of(RING, KeyringRole.SENDER)
    key_id, sealed = unlocked(RING, OUTER, KeyringRole.REGISTRAR).seal(b"token", PLACE, NONCE)
    sender = unlocked(decode_keyring(encode_keyring(part)), OUTER, KeyringRole.SENDER)
    assert sender.open(key_id, sealed, PLACE) == b"token"
    assert (part.hash_key, part.intake, sender.sealing) == (None, (), None)


def test_a_producer_holds_public_keys_alone() -> None:
    part = part_of(RING, KeyringRole.PRODUCER)
    assert (part.keys, part.hash_key, [key.wrapped_private for key in part.intake]) == ((), None, [None])


def test_a_new_key_opens_and_the_first_one_seals() -> None:
    first = with_key(Keyring("file:kek", 1), "t1", WRAPPED["t1"], "")
    second = with_key(first, "t2", WRAPPED["t2"], "")
    assert [(key.id, key.state) for key in second.keys] == [("t2", "open"), ("t1", "seal")]
    with pytest.raises(RotationRefused, match="has a key t1"):
        with_key(second, "t1", WRAPPED["t1"], "")


def test_a_key_is_promoted_when_every_process_holds_it() -> None:
    with pytest.raises(RotationRefused, match="1 of 2 processes do not hold t1: sender-apns"):
        promote(RING, "t1", {"registrar": {"t1", "t2"}, "sender-apns": {"t2"}})
    promoted = promote(RING, "t1", {"registrar": {"t1", "t2"}})
    assert [(key.id, key.state) for key in promoted.keys] == [("t2", "open"), ("t1", "seal")]
    with pytest.raises(RotationRefused, match="no key t9"):
        promote(RING, "t9", {})


@pytest.mark.parametrize(
    ("key_id", "usage", "sealing", "words"),
    [
        ("t2", KeyUsage(0, -COPIES_MS), {}, "t2 seals"),
        ("t1", KeyUsage(0, -COPIES_MS), {"registrar": "t1"}, "1 registrars still seal"),
        ("t1", KeyUsage(10_000, -COPIES_MS), {}, "10,000 rows"),
        ("t1", KeyUsage(0, 1 - COPIES_MS), {}, "days"),
    ],
)
def test_a_key_that_may_still_have_to_open_something_is_not_retired_and_it_says_what(
    key_id: str, usage: KeyUsage, sealing: dict[str, str | None], words: str
) -> None:
    """Acceptance fact 45: retired earlier, it is refused with counts."""
    with pytest.raises(RotationRefused, match=words):
        retire(RING, key_id, usage, sealing, 0)


def test_a_key_that_nothing_is_under_goes() -> None:
    assert [key.id for key in retire(RING, "t1", KeyUsage(0, -COPIES_MS), {"registrar": "t2"}, 0).keys] == ["t2"]
