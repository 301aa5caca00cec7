"""Rows of devices that do not come by are sealed, and sealed anew under another key."""

from __future__ import annotations

import itertools
import json
from base64 import b64encode
from functools import partial
from typing import Any

import pytest

from pushcast.model.device import DeviceRow
from pushcast.model.ids import partition_of, token_hash
from pushcast.model.sealing import Cipher, ContentKey
from pushcast.model.words import Reason
from pushcast.register import resealing
from pushcast.register.clear import in_clear
from pushcast.register.tokens import SealedTokens
from pushcast.wire.answers.dead_letters import REASON
from pushcast.wire.devices.content_keys import opened, sealed_under
from pushcast.wire.devices.devices import DeviceChangeDecoder, decode_row
from pushcast.wire.headers import first
from pushcast.wire.sealing.seals import Place, SealBroken, TokenKeys
from pushcast.wire.topics import DEVICE_CHANGED
from twins.kafka import settled
from unit.register.twin import PARTITIONS, T0, Harness, TwinKafka

RAW = {"t1": bytes(32), "t2": bytes([1]) * 32}
HASH = bytes([2]) * 32
USER = "anna"
PARTITION = partition_of(USER.encode(), PARTITIONS)
PLACE = Place("news", "apns", "token", USER, "d-1")


class Ring(SealedTokens):
    """Keys that can be promoted."""

    def __init__(self, sealing: str) -> None:
        nonces = itertools.count()
        self.now = TokenKeys(RAW, sealing, HASH)
        super().__init__(lambda: self.now, lambda size: next(nonces).to_bytes(size, "big"))

    def promote(self, key_id: str) -> None:
        self.now = TokenKeys(RAW, key_id, HASH)


def registration(device: str, **said: Any) -> tuple[bytes, bytes]:
    token = f"{int(device[2:]):064x}"
    fields = {"op": "register", "app": "news", "device": device, "platform": "apns", "token": token, "at": T0}
    return USER.encode(), json.dumps({**fields, **said}).encode()


async def land(harness: Harness) -> None:
    await settled()
    harness.kafka.acknowledge()
    harness.kafka.tail(PARTITION)
    await settled()


def rows(harness: Harness) -> list[DeviceRow]:
    return [decode_row(value) for value in harness.row_values(USER).values()]


async def registered(count: int, **options: Any) -> Harness:
    """A registrar that owns the user's devices."""
    harness = Harness(**options)
    await harness.take_over(PARTITION)
    await harness.change(*(registration(f"d-{number}") for number in range(1, count + 1)))
    await land(harness)
    return harness


async def successor(kafka: TwinKafka, tokens: Ring) -> Harness:
    harness = Harness(kafka, tokens=tokens)
    await harness.take_over(PARTITION)
    return harness


async def test_turned_on_all_rows_are_sealed_in_passes_with_their_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resealing, "_CHUNK_ROWS", 4)
    monkeypatch.setattr(resealing, "LOOK_ROWS", 8)
    before = await registered(11)
    plain, claims = rows(before), len(before.claims())
    assert {row.key_id for row in plain} == {""}
    tokens = Ring("t1")
    harness = await successor(before.kafka, tokens)
    counts = []
    for _ in range(3):
        await harness.stage.refresh()
        await land(harness)
        counts.append(sum(row.key_id == "t1" for row in rows(harness)))
    assert counts == [7, 11, 11]  # a fence is a row, too
    sealed = rows(harness)
    assert [row.token_hash_before for row in sealed] == [row.token_hash for row in plain]
    times = [(row.registered_at, row.seen_at, row.first_at) for row in plain]
    assert [(row.registered_at, row.seen_at, row.first_at) for row in sealed] == times
    first_row = next(row for row in sealed if row.device == "d-1")
    assert token_hash(tokens.opened(first_row, PLACE)) == first_row.token_hash_before
    assert len(harness.claims()) - claims == 2 * 11  # the old hash is given up, the new one is claimed


async def test_fact_45_a_promoted_key_seals_all_rows_anew_and_claims_nothing() -> None:
    tokens = Ring("t1")
    harness = await registered(5, tokens=tokens)
    claimed = len(harness.claims())
    hashes = [row.token_hash for row in rows(harness)]
    await harness.stage.refresh()
    await land(harness)
    assert harness.counters["resealed", "written"] == 0
    tokens.promote("t2")
    await harness.stage.refresh()
    await land(harness)
    assert {row.key_id for row in rows(harness)} == {"t2"}
    assert [row.token_hash for row in rows(harness)] == hashes
    assert len(harness.claims()) == claimed


async def test_a_promoted_key_seals_content_keys_anew_too() -> None:
    tokens, key = Ring("t1"), bytes(range(32))
    harness = Harness(tokens=tokens)
    await harness.take_over(PARTITION)
    said = {"id": 7, "alg": "a256gcm", "key": b64encode(key).decode()}
    await harness.change(registration("d-1", content_key=said), registration("d-2"))
    await land(harness)
    tokens.promote("t2")
    for _ in range(2):  # the second pass finds nothing to do
        await harness.stage.refresh()
        await land(harness)
    kept = next(row.content_key for row in rows(harness) if row.device == "d-1")
    assert sealed_under(kept or b"") == "t2"
    assert opened(kept or b"", PLACE, tokens.now.open) == ContentKey(7, Cipher.A256GCM, key)
    assert harness.counters["resealed", "written"] == 2


async def test_a_row_under_a_key_that_is_not_there_is_counted_and_stays() -> None:
    harness = await registered(2, tokens=Ring("t1"))
    before = rows(harness)
    tokens = Ring("t2")
    tokens.now = TokenKeys({"t2": RAW["t2"]}, "t2", HASH)
    harness = await successor(harness.kafka, tokens)
    await harness.stage.refresh()
    await land(harness)
    assert rows(harness) == before
    assert harness.counters["resealed", "KeyUnknown"] == 2


async def test_rows_under_a_key_that_was_missing_are_sealed_anew_once_it_is_there_again() -> None:
    tokens = Ring("t2")
    harness = await successor((await registered(2, tokens=Ring("t1"))).kafka, tokens)
    tokens.now = TokenKeys({"t2": RAW["t2"]}, "t2", HASH)
    for _ in range(3):
        await harness.stage.refresh()
        await land(harness)
    assert harness.counters["resealed", "KeyUnknown"] == 2, "nothing changed: one pass is enough"
    tokens.promote("t2")  # the operator puts the key back
    for _ in range(3):
        await harness.stage.refresh()
        await land(harness)
    assert {row.key_id for row in rows(harness)} == {"t2"}
    assert harness.counters["resealed", "written"] == 2


async def test_a_content_key_that_does_not_open_keeps_no_address_under_the_old_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens = Ring("t1")
    harness = Harness(tokens=tokens)
    await harness.take_over(PARTITION)
    said = {"id": 7, "alg": "a256gcm", "key": b64encode(bytes(32)).decode()}
    await harness.change(registration("d-1", content_key=said))
    await land(harness)

    def broken(kept: bytes, place: Place) -> bytes:
        raise SealBroken("altered")

    monkeypatch.setattr(tokens, "content_key_anew", broken)
    for _ in range(2):
        tokens.promote("t2")
        await harness.stage.refresh()
        await land(harness)
    [row] = rows(harness)
    assert (row.key_id, sealed_under(row.content_key or b"")) == ("t2", "t1")
    assert token_hash(tokens.opened(row, PLACE)) == token_hash(f"{1:064x}".encode())
    assert harness.counters["resealed", "written"] == 1
    assert harness.counters["resealed", "SealBroken"] == 2


async def test_a_registration_that_is_in_flight_is_not_undone() -> None:
    harness = await successor((await registered(1)).kafka, Ring("t1"))
    await harness.change(registration("d-1", locale="de"))
    await harness.stage.refresh()
    await land(harness)
    [row] = rows(harness)
    assert (row.locale, row.key_id) == ("de", "t1")


async def test_sealing_require_leaves_no_address_in_a_dead_letter() -> None:
    strict = DeviceChangeDecoder({"news"}, require_sealed=True)
    harness = Harness(decoder=strict, withholds=partial(in_clear, DEVICE_CHANGED))
    await harness.take_over(PARTITION)
    sealed = json.dumps({"op": "register", "app": "unknown", "sealed": {"key": "i1", "box": "x"}}).encode()
    await harness.change(registration("d-1"), (USER.encode(), b"{token"), (USER.encode(), sealed))
    await land(harness)
    letters = harness.kafka.log[DEVICE_CHANGED + ".dlq", PARTITION]
    assert [(first(each.headers, REASON) or b"").decode() for each in letters] == [
        Reason.INVALID_FIELD,
        Reason.NOT_JSON,
        Reason.UNKNOWN_APP,
    ]
    assert [each.value for each in letters] == [None, None, sealed]
