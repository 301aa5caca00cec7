"""Usual timers and keep records say as bytes what they say column by column, and what is not usual is left alone."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pushcast.keep import rules
from pushcast.keep.index import entry_of, released_entry, waiting_entry, waiting_of
from pushcast.model.words import Lane
from pushcast.wire.headers import TRACEPARENT, origin
from pushcast.wire.waiting.held import Held, Released, held_headers, held_of, plain_released_headers, released_headers
from pushcast.wire.waiting.plain_holds import plain_hold
from pushcast.wire.waiting.plain_timers import PlainTimer, PlainTimers, released_row, waiting_row
from pushcast.wire.waiting.timers import Timer, decode_timer, encode_timer, timer_key

times = st.integers(0, 2**53) | st.integers(1_800_000_000_000, 1_800_000_000_003) | st.just(0)
offsets = st.integers(0, 2**40)
events = st.binary(max_size=200) | st.just(b"e" * 9_000)
lanes = st.sampled_from([str(lane) for lane in Lane])
usual = st.builds(Timer, lanes, offsets, times, times, event=events)
ids = st.text(min_size=1, max_size=12).filter(lambda text: "\0" not in text)

#: What else a timer may say, each of which makes it unusual.
MORE: dict[str, Any] = {
    "closes": "cancelled",
    "closed_at": 5,
    "trace": "00-1",
    "part": 1,
    "done": b"12345678",
    "kind": "badge",
    "app": "news",
    "badge": "+1",
    "pace": "campaign",
    "facts": b"{}",
    "passed": "quiet_hours",
    "digest": "d",
    "number": 1,
    "left_as": "digest:1",
    "zoned": True,
    "revision": 0,
    "replaced": "normal|3",
}


def read(value: bytes, timer: Timer) -> PlainTimer | None:
    """The row, of a timer with this one's entry."""
    return PlainTimers(timer.lane.encode()).read(value, timer.keep_offset, timer.due_at)


@given(usual)
def test_a_usual_row_is_written_and_read_as_its_columns_are(timer: Timer) -> None:
    value = encode_timer(timer)
    lane = timer.lane.encode()
    assert waiting_row(lane, timer.keep_offset, timer.due_at, timer.written_at, timer.event) == value
    found = read(value, timer)
    assert found is not None
    written_at, _, event = found
    assert (written_at, event) == (timer.written_at, timer.event)


@given(usual, times)
def test_a_usual_row_is_closed_as_its_columns_are(timer: Timer, now_ms: int) -> None:
    found = read(encode_timer(timer), timer)
    assert found is not None
    _, head, _ = found
    row = released_row(head, now_ms)
    assert row == encode_timer(rules.released(timer, now_ms))
    assert read(row, timer) is None


@given(usual, st.sampled_from(sorted(MORE)))
def test_a_row_that_says_more_is_not_usual(timer: Timer, field: str) -> None:
    assert read(encode_timer(msgspec.structs.replace(timer, **{field: MORE[field]})), timer) is None


@given(usual, usual)
def test_the_row_of_another_timer_than_the_entry_says_is_not_read(timer: Timer, other: Timer) -> None:
    found = read(encode_timer(timer), other)
    same = (timer.lane, timer.keep_offset, timer.due_at) == (other.lane, other.keep_offset, other.due_at)
    assert (found is not None) is same


@given(st.lists(usual, max_size=5))
def test_what_was_read_before_changes_nothing_of_what_is_read(timers: list[Timer]) -> None:
    readers = {lane: PlainTimers(lane.encode()) for lane in {timer.lane for timer in timers}}
    for timer in [*timers, *timers[:2]]:
        value = encode_timer(timer)
        assert readers[timer.lane].read(value, timer.keep_offset, timer.due_at) == read(value, timer)


def test_every_column_that_makes_a_row_unusual_is_tried() -> None:
    required = {"lane", "keep_offset", "due_at", "written_at", "event"}
    assert set(Timer.__struct_fields__) - required == MORE.keys()


@given(usual, st.integers(0, 60), st.binary(max_size=3))
def test_a_row_that_is_cut_or_goes_on_is_not_usual_or_is_read_as_its_columns_are(
    timer: Timer, cut: int, more: bytes
) -> None:
    value = encode_timer(timer)
    value = value[: len(value) - cut] + more
    found = read(value, timer)
    if found is not None:
        columns = decode_timer(value)
        written_at, _, event = found
        assert (columns.written_at, columns.event) == (written_at, event)


@given(usual, ids)
def test_a_usual_row_has_the_entry_of_its_columns(timer: Timer, note_id: str) -> None:
    key = timer_key("u", note_id)
    entry = waiting_entry(key, timer.lane.encode(), timer.keep_offset, timer.due_at)
    assert entry == entry_of(key, timer)
    assert waiting_of(entry) == (timer.lane.encode(), timer.keep_offset, timer.due_at)
    assert waiting_of(released_entry(key, timer.due_at)) is None


@given(usual, ids)
def test_a_due_record_of_a_usual_timer_has_the_headers_of_its_columns(timer: Timer, note_id: str) -> None:
    name = f"{timer.name}|{timer_key('u', note_id).decode()}"
    released = Released(timer.written_at, None, due_at=timer.due_at)
    headers = plain_released_headers(origin("keep", 3, 7), name.encode(), timer.written_at, timer.due_at)
    assert headers == released_headers(origin("keep", 3, 7), name, released, "", None)


@given(st.text("nz-", min_size=1), times, times, offsets, st.integers(0, 2**40))
def test_the_headers_of_a_usual_keep_record_are_read_in_one_look(
    note_id: str, due_at: int, written_at: int, offset: int, epoch: int
) -> None:
    headers = held_headers(origin("plan-normal", 3, epoch), offset, Held(note_id, due_at, written_at), None)
    found = plain_hold(headers)
    assert found == (b"plan-normal/3", b"%d" % epoch, due_at, written_at, note_id.encode())
    assert held_of(headers) == Held(note_id, due_at, written_at)


@given(st.integers(0, 4), st.sampled_from([None, b"", "é".encode(), b"\xff|\xff"]))
def test_a_header_with_something_wrong_is_left_to_who_says_what(place: int, value: bytes | None) -> None:
    headers: list[tuple[str, bytes | None]] = held_headers(origin("plan-normal", 3, 1), 5, Held("n", 1, 2), None)
    headers[place] = headers[place][0], value
    assert plain_hold(headers) is None


@given(st.integers(1, 3), st.sampled_from([b"x", b"-1", b"1.5", b"9" * 19, b" 1"]))
def test_a_number_that_is_none_or_too_large_is_left_to_who_says_what(place: int, value: bytes) -> None:
    headers: list[tuple[str, bytes | None]] = held_headers(origin("plan-normal", 3, 1), 5, Held("n", 1, 2), None)
    headers[place] = headers[place][0], value
    assert plain_hold(headers) is None


@given(st.sampled_from([("push-part", b"1"), (TRACEPARENT, b"00-1"), ("push-fence", b"1"), ("x", b"")]))
def test_one_header_more_makes_a_keep_record_unusual(more: tuple[str, bytes]) -> None:
    headers = held_headers(origin("plan-normal", 3, 1), 5, Held("n", 1, 2), None)
    assert plain_hold([*headers, more]) is None
    assert plain_hold([more, *headers[1:]]) is None
    assert plain_hold(headers[1:]) is None
