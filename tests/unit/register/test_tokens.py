"""How REGISTER keeps tokens: sealed, and the same bytes as long as nothing changes."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from pushcast.model.device import AddressKind, DeviceChange, DeviceRow, Operation
from pushcast.model.ids import token_hash
from pushcast.model.sealing import Cipher, ContentKey
from pushcast.model.words import Platform
from pushcast.register.decide import upsert
from pushcast.register.kept import Kept
from pushcast.register.tokens import PlainTokens, SealedTokens
from pushcast.register.verdicts import Ending, ending, suspension
from pushcast.wire.answers.receipts import TokenInvalid
from pushcast.wire.devices.content_keys import opened
from pushcast.wire.sealing.seals import Place, TokenKeys

T = 1_800_000_000_000
TOKEN, OTHER = b"ab" * 32, b"cd" * 32
PLACE = Place("news", "apns", "token", "anna", "phone")
KEYS = {"t1": bytes(32), "t2": bytes([1]) * 32}
HASH = bytes([2]) * 32


def sealing(key_id: str) -> SealedTokens:
    nonces = itertools.count()
    keys = TokenKeys(KEYS, key_id, HASH)
    return SealedTokens(lambda: keys, lambda size: next(nonces).to_bytes(size, "big"))


def change(token: bytes = TOKEN, op: Operation = Operation.REFRESH) -> DeviceChange:
    return DeviceChange(op, "anna", "news", "phone", Platform.APNS, AddressKind.TOKEN, token, T)


def row(made: DeviceRow | Kept) -> DeviceRow:
    assert isinstance(made, DeviceRow)
    return made


def verdict(digest: bytes) -> TokenInvalid:
    return TokenInvalid(
        "anna", "news", "phone", "apns", digest, "device_unregistered", 410, T + 5, T + 5, T + 6, "0" * 32
    )


def test_a_row_holds_no_token_and_opens_to_it() -> None:
    tokens = sealing("t1")
    made = row(upsert(change(), T, None, tokens))
    assert TOKEN not in made.address
    assert (made.key_id, made.token_hash != token_hash(TOKEN)) == ("t1", True)
    assert tokens.opened(made, PLACE) == TOKEN


def test_fact_47_a_refresh_with_the_same_token_leaves_the_address_bytes_alone() -> None:
    """Acceptance fact 47."""
    tokens = sealing("t1")
    first = row(upsert(change(), T, None, tokens))
    again = row(upsert(change(), T + 1, first, tokens))
    assert (again.address, again.key_id, again.token_hash) == (first.address, first.key_id, first.token_hash)
    assert row(upsert(change(OTHER), T + 1, first, tokens)).address != first.address


def test_a_refresh_seals_anew_what_is_under_another_key() -> None:
    first = row(upsert(change(), T, None, sealing("t1")))
    again = row(upsert(change(), T + 1, first, sealing("t2")))
    assert (again.key_id, again.token_hash) == ("t2", first.token_hash)
    assert sealing("t1").opened(again, PLACE) == TOKEN


@pytest.mark.parametrize(("platform", "kind"), [(Platform.FCM, AddressKind.TOKEN), (Platform.APNS, AddressKind.FID)])
def test_a_token_that_is_registered_for_another_platform_or_kind_opens_there(
    platform: Platform, kind: AddressKind
) -> None:
    """An app that registered the token of APNs as one of FCM puts it right: the place is what a token is sealed for."""
    tokens = sealing("t1")
    first = row(upsert(change(), T, None, tokens))
    moved = msgspec.structs.replace(change(op=Operation.REGISTER), platform=platform, kind=kind)
    again = row(upsert(moved, T + 1, first, tokens))
    assert tokens.opened(again, PLACE._replace(platform=platform.value, kind=kind.value)) == TOKEN
    assert again.token_hash == first.token_hash


CONTENT_KEY = ContentKey(2408, Cipher.SECRETBOX, bytes(range(32)))


def keyed(key: ContentKey | None = CONTENT_KEY, op: Operation = Operation.REFRESH) -> DeviceChange:
    return msgspec.structs.replace(change(op=op), content_key=key)


def content_key(made: DeviceRow, key_id: str) -> ContentKey:
    return opened(made.content_key or b"", PLACE, TokenKeys(KEYS, key_id, HASH).open)


def test_a_refresh_from_another_platform_keeps_the_content_key_and_it_opens_there() -> None:
    tokens = sealing("t1")
    first = row(upsert(keyed(), T, None, tokens))
    moved = msgspec.structs.replace(change(OTHER), platform=Platform.FCM)
    again = row(upsert(moved, T + 1, first, tokens))
    keys, place = TokenKeys(KEYS, "t1", HASH), PLACE._replace(platform="fcm")
    assert (opened(again.content_key or b"", place, keys.open), again.content_key_id) == (CONTENT_KEY, "2408")
    assert upsert(moved, T + 1, again, tokens) is Kept.UNCHANGED


def test_a_content_key_that_cannot_be_opened_does_not_move_to_another_platform() -> None:
    first = row(upsert(keyed(), T, None, sealing("t1")))
    lost = TokenKeys({"t2": KEYS["t2"]}, "t2", HASH)
    tokens = SealedTokens(lambda: lost, lambda size: bytes(size))
    again = row(upsert(msgspec.structs.replace(change(OTHER), platform=Platform.FCM), T + 1, first, tokens))
    assert (again.content_key, again.content_key_id) == (None, None)


def test_a_content_key_is_sealed_like_the_token_and_known_by_its_id() -> None:
    made = row(upsert(keyed(), T, None, sealing("t1")))
    assert (content_key(made, "t1"), made.content_key_id) == (CONTENT_KEY, "2408")
    assert CONTENT_KEY.key not in (made.content_key or b"")
    plain = row(upsert(keyed(), T, None))
    assert opened(plain.content_key or b"", PLACE, TokenKeys({}, None).open) == CONTENT_KEY


def test_a_refresh_keeps_the_content_key_and_its_bytes_and_a_register_without_one_takes_it_away() -> None:
    tokens = sealing("t1")
    first = row(upsert(keyed(), T, None, tokens))
    for again in (keyed(), keyed(None)):
        assert row(upsert(again, T + 1, first, tokens)).content_key == first.content_key
    other = CONTENT_KEY._replace(id=2409)
    assert content_key(row(upsert(keyed(other), T + 1, first, tokens)), "t1") == other
    taken = row(upsert(keyed(None, Operation.REGISTER), T + 1, first, tokens))
    assert (taken.content_key, taken.content_key_id) == (None, None)


def test_a_content_key_that_nobody_can_open_is_replaced_by_the_one_that_the_device_says() -> None:
    first = row(upsert(keyed(), T, None, sealing("t1")))
    broken = msgspec.structs.replace(first, content_key=(first.content_key or b"")[:-1])
    assert content_key(row(upsert(keyed(), T + 1, broken, sealing("t1"))), "t1") == CONTENT_KEY


def test_a_plain_row_keeps_the_name_that_pushes_under_way_know_it_by() -> None:
    """Rulings II.22: compares accept either hash, so that turning sealing on cancels nothing and loses no verdict."""
    plain = row(upsert(change(), T, None))
    now = row(upsert(change(), T + 1, plain, sealing("t1")))
    assert (now.key_id, now.token_hash_before) == ("t1", token_hash(TOKEN))
    for digest in (now.token_hash, token_hash(TOKEN)):
        suspended = row(suspension(verdict(digest), now, doubted=False))
        assert suspended.state == "suspended"
        assert ending(verdict(digest), suspended, doubted=False) is Ending.REMOVED
    assert suspension(verdict(token_hash(OTHER)), now, doubted=False) is Kept.OTHER_TOKEN
    later = row(upsert(change(), T + 2, now, sealing("t2")))
    assert later.token_hash_before == token_hash(TOKEN)
    assert row(upsert(change(OTHER), T + 3, later, sealing("t2"))).token_hash_before is None


def test_turning_sealing_on_rehabilitates_nobody() -> None:
    plain = row(upsert(change(), T, None))
    suspended = row(suspension(verdict(token_hash(TOKEN)), plain, doubted=False))
    replayed = row(upsert(change(), T + 1, suspended, sealing("t1")))
    assert replayed.state == "suspended"


@pytest.mark.parametrize("tokens", [PlainTokens(), sealing("t1")])
def test_a_row_without_a_key_is_its_address(tokens: PlainTokens | SealedTokens) -> None:
    assert tokens.opened(row(upsert(change(), T, None)), PLACE) == TOKEN
