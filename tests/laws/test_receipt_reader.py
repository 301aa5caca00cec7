"""The fast reader and the schema's decoder never differ, whatever the bytes are."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushcast.model.errors import InvalidInput
from pushcast.wire.answers import receipt_reader, receipts_together
from pushcast.wire.answers.receipt_reader import ReadReceipt, Section, read_placed, read_receipt
from pushcast.wire.answers.receipts import Receipt, decode_receipt, encode_receipt
from pushcast.wire.answers.receipts_together import read_receipts

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
        datum = decode_receipt(value)
        assert read_placed(value) == (decoded(value), (datum["source_partition"], datum["source_offset"]))


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


def alike(source: random.Random, /, **changed: Any) -> Receipt:
    """One of many receipts whose columns mostly have equal sizes."""
    created_at = 1_790_000_000_000 + source.choice([0, 1, 16_384, 5_000_000])
    fields: dict[str, Any] = {
        "delivery_id": source.randbytes(16),
        "notification_id": f"note-{source.randrange(10_000):04d}",
        "user": f"user-{source.randrange(1_000_000):06d}",
        "app": "news",
        "device": f"d-{source.randrange(10_000):04d}",
        "platform": "apns",
        "lane": "bulk",
        "klass": "default",
        "outcome": "accepted",
        "reason": None,
        "provider_id": "1b4e28ba-2fa1-11d2",
        "provider_status": source.choice([200, 410, 503]),
        "attempts": source.choice([0, 1, 1, 3]),
        "dry_run": source.random() < 0.1,
        "run": source.choice([0, 0, 2]),
        "source_partition": 3,
        "source_offset": 70_000 + source.randrange(3000),
        "created_at": created_at,
        "ended_at": created_at + source.randrange(9000),
        "source": source.choice([0, 0, 0, 1, 3]),
    }
    return Receipt(**fields | changed)


#: What is laid out otherwise, at sizes that are equal to the others' or not.
OTHERWISE: list[dict[str, Any]] = [
    {},
    {"app": None},
    {"app": "", "device": "d-1234news"},
    {"app": "newss", "device": "d-123"},
    {"device": None},
    {"platform": None},
    {"platform": "fcm", "lane": "bulks"},
    {"outcome": "rejected", "reason": "bad"},
    {"provider_id": None},
    {"provider_id": "é" * 9},
    {"provider_id": "x" * 70},
    {"provider_status": None},
    {"provider_status": 5},
    {"provider_status": -7000},
    {"attempts": 70},
    {"attempts": -1},
    {"run": 64},
    {"source_partition": 64, "source_offset": 5000},
    {"created_at": 5},
    {"created_at": -1_790_000_000_000},
    {"ended_at": 2**44},
    {"due_at": 1_790_000_000_000},
    {"campaign": "c"},
    {"campaign": "spring", "variant": "a", "app_version": "7.1.0"},
    {"campaign": "spring", "variant": "b", "due_at": 1_790_000_900_000},
    {"campaign": "sprung", "variant": "é", "source": 1},
    {"app_version": "7.1.0", "replay_of": "note-0001"},
    {"source": 4},
    {"user": "ü" * 5 + "x"},
    {"notification_id": "né" * 3},
    {"notification_id": "n" * 80},
]


@given(st.integers(0, 2**32), st.data())
def test_receipts_read_together_are_what_the_decoder_reads(seed: int, data: st.DataObject) -> None:
    source = random.Random(seed)
    changed = data.draw(st.lists(st.sampled_from(OTHERWISE), max_size=4))
    count = data.draw(st.integers(1, 30))
    receipts = [alike(source, **source.choice(changed)) if changed else alike(source) for _ in range(count)]
    receipts += [alike(source) for _ in range(data.draw(st.integers(0, 12)))]
    source.shuffle(receipts)
    values = [encode_receipt(receipt, source.choice([1, 1, 2])) for receipt in receipts]
    for place in data.draw(st.lists(st.integers(0, len(values) - 1), max_size=3, unique=True)):
        damaged = bytearray(values[place])
        damaged[source.randrange(len(damaged))] = source.choice([0, 1, 2, 3, 0x7F, 0x80, 0x81, source.randrange(256)])
        values[place] = bytes(damaged[: source.choice([None, None, source.randrange(len(damaged))])])
    wanted = [decoded(value) for value in values]
    receipts_read, refused = read_receipts(values)
    assert receipts_read == [each for each in wanted if not isinstance(each, str)]
    found = {place: str(error.reason) for place, error in refused.items()}
    assert found == {place: each for place, each in enumerate(wanted) if isinstance(each, str)}


LABELLED: list[dict[str, Any]] = [
    {},
    {"app_version": "7.1.0"},
    {"campaign": "spring", "variant": "a", "source": 1, "due_at": 1_790_000_000_000},
    {"campaign": "spring", "replay_of": "note-0001", "app_version": "7.1.0"},
]


@pytest.mark.parametrize("label", LABELLED)
def test_receipts_that_are_laid_out_alike_are_not_read_one_by_one(
    label: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = [encode_receipt(alike(random.Random(seed), **{"source": 0} | label)) for seed in range(20)]
    read_receipts(values)  # the section is known from here on
    monkeypatch.setattr(receipts_together, "read_receipt", None)
    assert len(read_receipts(values).receipts) == 20


def test_what_our_writers_write_needs_no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    value = encode_receipt(
        Receipt(
            b"d" * 16, "n", "u", "news", "d", "apns", "bulk", "default", "accepted", None, "x", 200, 1, False, 0, 3, 7,
            1_790_000_000_000, 1_790_000_000_500,
        )
    )  # fmt: skip
    monkeypatch.setattr(receipt_reader, "decode_receipt", None)
    assert read_receipt(value).ended_at == 1_790_000_000_500


def test_no_more_than_256_labels_are_remembered() -> None:
    for number in range(600):
        value = encode_receipt(alike(random.Random(number), campaign=f"c{number}"))
        read_receipts([value] * 5)
        assert read_receipt(value) == decoded(value)
    assert len(receipt_reader.labels) <= receipt_reader._MAX_LABELS


def test_no_more_than_256_sections_are_remembered() -> None:
    head = b"d" * 16, "n", "u", None, None
    for number in range(600):
        receipt = Receipt(*head, None, "bulk", f"c{number}", "dead", None, None, None, 1, False, 0, 0, 0, 0, 0)
        read_receipt(encode_receipt(receipt))
    assert len(receipt_reader.sections) <= receipt_reader._MAX_SECTIONS
