"""Flat rows written and read by hand are those that Avro writes and reads, whatever is in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.keep.index import entries_of, entry_of
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane
from pushcast.wire.flat import FlatType
from pushcast.wire.schemas import FRAME_BYTES, avro_type
from pushcast.wire.waiting.badge_rows import Badge
from pushcast.wire.waiting.digests import Head
from pushcast.wire.waiting.timers import Timer, encode_timer, is_closed, part_key, readable

TIMERS, BADGES, HEADS = FlatType("timer", Timer, 8), FlatType("badge", Badge, 8), FlatType("digest_head", Head, 12)

text = st.text(max_size=20) | st.just("x" * 300) | st.just("")
data = st.binary(max_size=200) | st.just(b"a" * 9000) | st.just(b"")
ints = st.integers(-(2**31), 2**31 - 1) | st.just(0)
longs = st.integers(-(2**63), 2**63 - 1) | st.integers(1_800_000_000_000, 1_800_000_000_003) | st.just(0)


def some(rows: type[Any], name: str) -> st.SearchStrategy[Any]:
    """Rows with whatever fits the schema, and often what is usual."""
    kinds: dict[str, st.SearchStrategy[Any]] = {"string": text, "bytes": data, "int": ints, "long": longs}
    kinds["boolean"] = st.booleans()
    built = {}
    for field, usual in zip(avro_type(name).source["fields"], msgspec.structs.fields(rows), strict=True):
        kind = field["type"]
        known = kind[-1] if isinstance(kind, list) else kind
        values = kinds[known["type"] if isinstance(known, dict) else known]
        if isinstance(kind, list):
            values = st.none() | values
        built[field["name"]] = values if usual.required else st.just(usual.default) | values
    return st.builds(rows, **built)


EVERY = [
    pytest.param(TIMERS, some(Timer, "timer"), "timer", id="timer"),
    pytest.param(BADGES, some(Badge, "badge"), "badge", id="badge"),
    pytest.param(HEADS, some(Head, "digest_head"), "digest_head", id="digest_head"),
]
every = pytest.mark.parametrize(("flat", "rows", "name"), EVERY)


def by_avro(decode: Callable[[bytes], Any], value: bytes) -> Any:
    try:
        return decode(value)
    except InvalidInput as error:
        return error.reason


@every
def test_a_row_has_the_bytes_of_its_schema_and_is_read_back(flat: FlatType[Any], rows: Any, name: str) -> None:
    @settings(max_examples=300, deadline=None)
    @given(rows)
    def holds(row: Any) -> None:
        value = flat.encode(row)
        assert value == avro_type(name).encode(msgspec.structs.asdict(row))
        assert flat.decode(value) == row

    holds()


@every
def test_damaged_bytes_are_what_avro_says_of_them(flat: FlatType[Any], rows: Any, name: str) -> None:

    @settings(max_examples=400, deadline=None)
    @given(rows, st.data())
    def holds(row: Any, more: st.DataObject) -> None:
        value = bytearray(flat.encode(row))
        at = more.draw(st.integers(FRAME_BYTES, len(value) - 1))
        match more.draw(st.sampled_from(["cut", "added", "changed"])):
            case "cut":
                del value[at:]
            case "added":
                value += more.draw(st.binary(min_size=1, max_size=4))
            case _:
                value[at] = more.draw(st.integers(0, 255))
        damaged = bytes(value)
        avro = avro_type(name)
        assert by_avro(flat.decode, damaged) == by_avro(lambda each: type(row)(**avro.decode(each)), damaged)

    holds()


@settings(max_examples=500, deadline=None)
@given(some(Timer, "timer"), st.sampled_from([str(lane) for lane in Lane]) | text, st.booleans(), st.data())
def test_the_index_has_the_entry_of_a_timer_whatever_its_bytes(
    timer: Timer, lane: str, is_plain: bool, more: st.DataObject
) -> None:
    if is_plain:
        fields = {name: getattr(timer, name) for name in ("keep_offset", "due_at", "written_at", "event")}
        timer = Timer(lane, **fields, closed_at=timer.closed_at)
    value = bytearray(TIMERS.encode(timer))
    if more.draw(st.booleans()):
        value[more.draw(st.integers(0, len(value) - 1))] = more.draw(st.integers(0, 255))
    key = part_key("u", "n", 0)
    read = readable(bytes(value))
    entry = None if read is None else entry_of(key, read)
    assert list(entries_of(key, bytes(value))) == ([] if entry is None else [entry])


def test_a_row_whose_lane_is_no_text_has_no_entry() -> None:
    value = bytearray(TIMERS.encode(Timer("\x80", 0, 0, 0)))
    value[value.index("\x80".encode())] = 0
    assert readable(bytes(value)) is None
    assert list(entries_of(part_key("u", "n", 0), bytes(value))) == []


def test_rows_of_another_shape_than_the_schema_are_refused_at_the_start() -> None:
    class Other(msgspec.Struct):
        lane: str

    with pytest.raises(ValueError, match="other fields than the schema timer"):
        FlatType("timer", Other, 1)
    with pytest.raises(ValueError, match="no kind of field"):
        FlatType("usage", msgspec.defstruct("Usage", ["slots", "periods"]), 2)


@given(some(Timer, "timer"))
def test_a_look_tells_a_timer_that_was_let_go_from_one_that_waits(timer: Timer) -> None:
    """Fields of 64 bytes and more before `closed_at` have to be decoded: no lane and no reason is so long."""
    is_short = len(timer.lane.encode()) < 64 and len(timer.closes.encode()) < 64
    assert is_closed(encode_timer(timer)) == (is_short and not timer.waits)


@given(some(Timer, "timer"), st.data())
def test_a_look_leaves_no_timer_out_that_waits_whatever_the_bytes_are(timer: Timer, more: st.DataObject) -> None:
    value = bytearray(encode_timer(timer))
    for _ in range(more.draw(st.integers(0, 3))):
        value[more.draw(st.integers(0, len(value) - 1))] = more.draw(st.integers(0, 255))
    cut = bytes(value[: more.draw(st.integers(0, len(value)))])
    found = readable(cut)
    assert found is None or not is_closed(cut) or not found.waits
