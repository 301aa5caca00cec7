"""The fast reader of claims and the schema's decoder never differ, whatever the bytes are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushcast.model.errors import InvalidInput
from pushcast.model.ids import TOKEN_HASH_BYTES
from pushcast.model.ownership import Claim, Registration, Token, registration_of
from pushcast.wire.devices import claim_reader
from pushcast.wire.devices.claim_reader import read_claims
from pushcast.wire.devices.ownership import decode_claims, encode_claims

ID = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=70)
AT = st.integers(0, 2**45) | st.integers(1_700_000_000_000, 1_900_000_000_000)
DIGEST = st.binary(min_size=TOKEN_HASH_BYTES, max_size=TOKEN_HASH_BYTES)


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    app = draw(st.sampled_from(["news", "shop", "a" * 70]))
    token = Token(app, draw(st.sampled_from(["apns", "fcm", "expo", "webpush"])), draw(DIGEST))
    if draw(st.integers(0, 9)) == 0:
        return Claim(token, Registration(draw(AT), b""))  # nobody's
    return Claim(token, registration_of(draw(ID), app, draw(ID), draw(AT)), draw(st.booleans()))


def read(key: bytes, value: bytes, *, fast: bool) -> list[Claim] | tuple[str, str | None]:
    try:
        return [each.claim() for each in read_claims(key, value)] if fast else decode_claims(key, value)
    except InvalidInput as error:
        return error.reason, error.field


@given(st.lists(claims(), min_size=1, max_size=5))
def test_the_fast_reader_reads_what_the_decoder_reads(made: list[Claim]) -> None:
    key, value = made[0].token.digest, encode_claims(made)
    assert read(key, value, fast=True) == made
    assert read(key, value, fast=False) == made


@given(st.lists(claims(), min_size=1, max_size=3), st.data())
def test_damaged_claims_are_refused_for_the_same_reason(made: list[Claim], data: st.DataObject) -> None:
    value = bytearray(encode_claims(made))
    place = data.draw(st.integers(0, len(value) - 1))
    value[place] = data.draw(st.integers(0, 255))
    damaged = bytes(value[: data.draw(st.integers(place, len(value)))])
    key = made[0].token.digest
    assert read(key, damaged, fast=True) == read(key, damaged, fast=False)


def test_what_our_writers_write_needs_no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    token = Token("news", "apns", b"h" * TOKEN_HASH_BYTES)
    made = [Claim(token, registration_of("anna", "news", "phone", 1_790_000_000_000))] * 3
    monkeypatch.setattr(claim_reader, "decode_claims", None)
    assert [each.claim() for each in read_claims(token.digest, encode_claims(made))] == made


def test_no_more_than_64_heads_are_remembered() -> None:
    for number in range(200):
        token = Token(f"app-{number}", "apns", b"h" * TOKEN_HASH_BYTES)
        read_claims(token.digest, encode_claims([Claim(token, registration_of("u", token.app, "d", 1))]))
    assert len(claim_reader._heads) <= claim_reader._MAX_HEADS
