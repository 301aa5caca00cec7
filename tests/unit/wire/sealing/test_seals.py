"""Sealed addresses: what opens, what does not, and that neither says anything about the device."""

from __future__ import annotations

import pytest

from pushcast.wire.sealing.seals import OVERHEAD_BYTES, KeyUnknown, Place, SealBroken, TokenKeys

PLACE = Place("news", "apns", "token", "anna", "phone")
TOKEN = b"ab" * 32
NONCE = bytes(range(12))
OLD, NEW, HASH = bytes(32), bytes([1]) * 32, bytes([2]) * 32
KEYS = TokenKeys({"t1": OLD, "t2": NEW}, "t2", HASH)


def test_a_token_opens_with_the_key_that_is_named_beside_it() -> None:
    key_id, sealed = KEYS.seal(TOKEN, PLACE, NONCE)
    assert (key_id, len(sealed)) == ("t2", len(TOKEN) + OVERHEAD_BYTES)
    assert TOKEN not in sealed
    assert TokenKeys({"t2": NEW}, None).open(key_id, sealed, PLACE) == TOKEN


def test_an_apns_token_takes_92_bytes() -> None:
    assert len(KEYS.seal(b"a" * 64, PLACE, NONCE)[1]) == 92


@pytest.mark.parametrize("part", Place._fields)
def test_a_seal_that_was_moved_to_another_row_does_not_open(part: str) -> None:
    key_id, sealed = KEYS.seal(TOKEN, PLACE, NONCE)
    with pytest.raises(SealBroken):
        KEYS.open(key_id, sealed, PLACE._replace(**{part: "other"}))


def test_parts_of_a_place_do_not_run_into_each_other() -> None:
    assert Place("ab", "c", "token", "u", "d").associated() != Place("a", "bc", "token", "u", "d").associated()


@pytest.mark.parametrize("changed", [b"", b"x" * 27, b"x" * 28, NONCE + b"x" * 80])
def test_bytes_that_are_no_seal_are_broken(changed: bytes) -> None:
    with pytest.raises(SealBroken):
        KEYS.open("t2", changed, PLACE)


def test_a_key_that_is_not_there_is_unknown_and_nothing_is_broken() -> None:
    key_id, sealed = KEYS.seal(TOKEN, PLACE, NONCE)
    with pytest.raises(KeyUnknown, match="t2"):
        TokenKeys({"t1": OLD}, None).open(key_id, sealed, PLACE)


def test_an_address_without_a_key_is_itself() -> None:
    assert KEYS.open("", TOKEN, PLACE) == TOKEN


def test_what_holds_no_sealing_key_seals_nothing_and_hashes_nothing() -> None:
    sender = TokenKeys({"t1": OLD}, None)
    with pytest.raises(KeyUnknown):
        sender.seal(TOKEN, PLACE, NONCE)
    with pytest.raises(KeyUnknown):
        sender.hash(TOKEN)


def test_equal_tokens_have_equal_hashes_and_only_under_the_same_key() -> None:
    assert KEYS.hash(TOKEN) == KEYS.hash(TOKEN) != KEYS.hash(b"cd" * 32)
    assert KEYS.hash(TOKEN) != TokenKeys({"t1": OLD}, "t1", OLD).hash(TOKEN)
    assert len(KEYS.hash(TOKEN)) == 16


@pytest.mark.parametrize(
    ("keys", "sealing", "hash_key"),
    [({"t1": OLD[1:]}, "t1", HASH), ({"t1": OLD}, "t2", HASH), ({"t1": OLD}, "t1", b"x")],
)
def test_keys_that_cannot_be_are_refused_by_name_and_not_shown(
    keys: dict[str, bytes], sealing: str, hash_key: bytes
) -> None:
    with pytest.raises(ValueError, match=r"t1|t2|hash_key") as refused:
        TokenKeys(keys, sealing, hash_key)
    assert "\\x00" not in str(refused.value)
