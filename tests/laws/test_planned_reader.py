"""The fast reader of planned records and the schema's decoder never differ, whatever the bytes are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushcast.model.errors import InvalidInput
from pushcast.wire.answers import planned_reader
from pushcast.wire.answers.planned_reader import read_planned
from pushcast.wire.answers.receipts import PLATFORMS, Planned, PlannedFacts, decode_planned, encode_planned
from pushcast.wire.avro_bytes import bytes_of, long_of
from pushcast.wire.schemas import FRAME_BYTES

TEXT = st.sampled_from(["", "news", "ü"]) | st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
LONG = st.integers(-(2**40), 2**53) | st.integers(0, 300) | st.integers(1_700_000_000_000, 1_900_000_000_000)
COUNT = st.integers(0, 3) | st.integers(-(2**31), 2**31 - 1)
FACTS = st.builds(PlannedFacts, TEXT, TEXT, LONG, LONG, LONG, st.booleans(), TEXT, COUNT)
ROWS = st.tuples(LONG, TEXT, st.dictionaries(st.sampled_from(PLATFORMS), COUNT), COUNT, TEXT, FACTS)


@st.composite
def records(draw: st.DrawFn) -> bytes:
    """Rows of which many are alike, as those of a campaign are."""
    record = Planned(draw(st.sampled_from(["bulk", "urgent"])), draw(COUNT), draw(st.integers(0, 4)))
    for offset, *row in draw(st.lists(ROWS, max_size=4)):
        step = draw(st.integers(0, 1))
        for number in range(draw(st.sampled_from([1, 1, 3, 70]))):
            record.add(offset + step * number, *row)
    return encode_planned(record, draw(LONG), draw(st.sampled_from([1, 2, 2])))


def decoded(value: bytes) -> tuple[Planned, int] | str:
    try:
        found = decode_planned(value)
    except InvalidInput as error:
        return error.reason
    return found, found.at


def read(value: bytes) -> tuple[Planned, int] | str:
    try:
        found = read_planned(value)
    except InvalidInput as error:
        return error.reason
    return found, found.at


@given(records())
def test_the_fast_reader_reads_what_the_decoder_reads(value: bytes) -> None:
    assert read(value) == decoded(value)


@given(records(), st.data())
def test_damaged_records_are_refused_for_the_same_reason(value: bytes, data: st.DataObject) -> None:
    changed = bytearray(value)
    place = data.draw(st.integers(0, len(value) - 1))
    changed[place] = data.draw(st.integers(0, 255))
    damaged = bytes(changed[: data.draw(st.sampled_from([len(value), len(value), place]))])
    assert read(damaged) == decoded(damaged)


@pytest.mark.parametrize("count", [2**40, 2**62])
def test_more_items_than_there_are_bytes_are_refused_before_memory_is_taken_for_them(count: int) -> None:
    """One damaged byte of a count took 23 GB, and the process was ended."""
    damaged = head() + long_of(count) + b"\x02\x02\x02"
    assert read(damaged) == decoded(damaged)
    assert isinstance(read(damaged), str)


def head() -> bytes:
    """What stands before the first column."""
    value = encode_planned(Planned("bulk"), 1_790_000_000_007)
    return value[: FRAME_BYTES + len(bytes_of(b"bulk")) + 1]


def test_what_our_writers_write_needs_no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    record = Planned("bulk")
    facts = PlannedFacts("news", "breaking", 1_790_000_000_000, 1_790_000_000_000, 1_790_000_900_000, False, "", 0)
    for offset in range(500):
        record.add(offset, f"n-{offset}", {"apns": 1}, facts=facts)
    value = encode_planned(record, 1_790_000_000_007)
    monkeypatch.setattr(planned_reader, "decode_planned", None)
    assert read_planned(value) == record
