"""The fast reader and the schema's decoder never differ, whatever the bytes are."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushcast.model.errors import InvalidInput
from pushcast.wire import receipt_reader
from pushcast.wire.receipt_reader import ReadReceipt, Section, read_receipt
from pushcast.wire.receipts import Receipt, decode_receipt, encode_receipt

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=90)
LONG = st.integers(-(2**40), 2**53) | st.integers(0, 300) | st.integers(1_700_000_000_000, 1_900_000_000_000)
INT = st.integers(-(2**31), 2**31 - 1)
RECEIPTS = st.builds(
    Receipt, st.binary(min_size=16, max_size=16), TEXT, TEXT, *[st.none() | TEXT] * 2,
    st.sampled_from([None, "apns", "fcm"]), st.sampled_from(["bulk", "urgent"]), TEXT,
    st.sampled_from(["accepted", "dead"]), st.none() | TEXT, st.none() | TEXT, st.none() | INT, INT, st.booleans(), INT,
    INT, LONG, LONG, LONG, st.none() | TEXT, st.integers(0, 4), st.none() | LONG, *[st.none() | TEXT] * 3,
)  # fmt: skip


def decoded(value: bytes) -> ReadReceipt | str:
    """As the schema's decoder reads it."""
    try:
        datum: dict[str, Any] = decode_receipt(value)
    except InvalidInput as error:
        return error.reason
    if not re.fullmatch("[0-9a-fA-F]{32}", datum["delivery_id"]):
        return "invalid_field"
    named = {name: datum[name] for name in ReadReceipt.__struct_fields__ if name in datum}
    section = Section(datum["platform"], datum["lane"], datum["class"], datum["outcome"], datum["reason"])
    delivery, user = bytes.fromhex(datum["delivery_id"]), datum["user"].encode()
    due_at = datum["due_at"] or datum["created_at"]
    return ReadReceipt(**named | {"delivery": delivery, "user": user, "section": section, "due_at": due_at})


@given(st.lists(RECEIPTS, min_size=1, max_size=3), st.sampled_from([1, 2]))
def test_the_fast_reader_reads_what_the_decoder_reads(receipts: list[Receipt], generation: int) -> None:
    for value in (encode_receipt(receipt, generation) for receipt in receipts):
        assert read_receipt(value) == decoded(value)


@given(RECEIPTS, st.data())
def test_damaged_receipts_are_refused_for_the_same_reason(receipt: Receipt, data: st.DataObject) -> None:
    value = bytearray(encode_receipt(receipt))
    place = data.draw(st.integers(0, len(value) - 1))
    value[place] = data.draw(st.integers(0, 255))
    damaged = bytes(value[: data.draw(st.integers(place, len(value)))])
    try:
        found: ReadReceipt | str = read_receipt(damaged)
    except InvalidInput as error:
        found = error.reason
    assert found == decoded(damaged)


def test_what_our_writers_write_needs_no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    value = encode_receipt(
        Receipt(
            b"d" * 16, "n", "u", "news", "d", "apns", "bulk", "default", "accepted", None, "x", 200, 1, False, 0, 3, 7,
            1_790_000_000_000, 1_790_000_000_500,
        )
    )  # fmt: skip
    monkeypatch.setattr(receipt_reader, "decode_receipt", None)
    assert read_receipt(value).ended_at == 1_790_000_000_500


def test_no_more_than_256_sections_are_remembered() -> None:
    head = b"d" * 16, "n", "u", None, None
    for number in range(600):
        receipt = Receipt(*head, None, "bulk", f"c{number}", "dead", None, None, None, 1, False, 0, 0, 0, 0, 0)
        read_receipt(encode_receipt(receipt))
    assert len(receipt_reader._sections) <= receipt_reader._MAX_SECTIONS
