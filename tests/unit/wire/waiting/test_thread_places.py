"""Threads in rows of the keeper: which notifications are in one, and until when they were created."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pushcast.wire.waiting.thread_places import (
    NO_THREAD,
    PLACE_BYTES,
    is_within,
    joined,
    later,
    places_of,
    thread_place,
    within,
)


def test_a_notification_is_in_its_thread_when_it_was_created_by_then() -> None:
    places = [thread_place("t1", 100), thread_place("t1", 101), thread_place("t2", 100), NO_THREAD]
    assert within(places, "t1", 100) == [True, False, False, False]
    assert within(places, "t1", 10**30) == [True, True, False, False]


def test_of_a_thread_the_latest_moment_counts_once() -> None:
    lasts = [thread_place("t1", 5), thread_place("t2", 9)]
    assert later(lasts, thread_place("t1", 7)) == [thread_place("t2", 9), thread_place("t1", 7)]
    assert later(lasts, thread_place("t1", 3)) == [thread_place("t2", 9), thread_place("t1", 5)]
    assert is_within(thread_place("t2", 9), lasts)
    assert not is_within(thread_place("t3", 1), lasts)


def test_what_has_no_thread_is_in_none() -> None:
    assert thread_place(None, 5) == thread_place("", 5) == NO_THREAD
    assert within([NO_THREAD], "", 10) == [False]


def test_a_time_before_1970_or_beyond_all_others_is_one_all_the_same() -> None:
    assert within([thread_place("t", -5)], "t", 0) == [True]
    assert within([thread_place("t", 2**80)], "t", 2**62) == [False]


@given(st.lists(st.sampled_from([None, "t1", "t2"]), max_size=8), st.integers(0, 4))
def test_a_row_gives_back_what_was_joined_whatever_earlier_releases_left_out(
    threads: list[str | None], unknown: int
) -> None:
    places = [NO_THREAD] * unknown + [thread_place(thread, 7) for thread in threads]
    row = joined(places)
    assert len(row) % PLACE_BYTES == 0
    assert places_of(row, len(places)) == places
    assert row == b"" or any(place != NO_THREAD for place in places)
