"""The number on an app's icon: fact B1 of reference/time.md, and what may happen in another order."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pushcast.keep.badges import (
    MAX_READ,
    MAX_READ_THREADS,
    MAX_UNREAD,
    changed,
    counts,
    differs,
    read,
    read_thread,
    reset,
    sent,
    told,
)
from pushcast.model.caps import SlotPlanned
from pushcast.model.notification import MAX_BADGE, ONE_MORE
from pushcast.wire.waiting.badge_rows import (
    NAME_BYTES,
    Badge,
    app_of,
    badge_key,
    encode_badge,
    is_badge,
    name_of,
    readable_badge,
)
from pushcast.wire.waiting.thread_places import PLACE_BYTES, thread_place
from pushcast.wire.waiting.timers import is_timer, timer_key


def after(*ids: str, badge: Badge = Badge()) -> Badge:  # noqa: B008 - immutable
    for note_id in ids:
        badge = sent(changed(badge, note_id, ONE_MORE))
    return badge


def test_b1_three_that_add_one_are_one_two_three_and_one_that_is_read_makes_two() -> None:
    badge = Badge()
    for number, note_id in enumerate("abc", 1):
        badge = sent(changed(badge, note_id, ONE_MORE))
        assert badge.sent == number
    badge = read(badge, ["b"])
    assert (badge.number, differs(badge)) == (2, True)
    assert read(badge, ["b"]) == badge, "read twice"
    assert sent(changed(badge, "d", "7")).number == 7


def test_what_a_number_sets_is_what_the_next_one_adds_to() -> None:
    badge = changed(after("a", "b"), "c", "7")
    assert changed(badge, "d", ONE_MORE).number == 8
    assert read(badge, ["a"]).number == 7, "what was counted before is in the number"


def test_b2_a_release_that_is_done_again_changes_nothing() -> None:
    badge = after("a")
    assert counts(badge, "a", ONE_MORE)
    assert changed(badge, "a", ONE_MORE) == badge
    badge = changed(badge, "b", "7")
    assert counts(badge, "b", "7")
    assert not counts(badge, "c", "7")


def test_what_was_read_before_it_was_released_does_not_count() -> None:
    badge = changed(read(after("a"), ["b"]), "b", ONE_MORE)
    assert badge.number == 1
    assert counts(badge, "b", ONE_MORE)


def test_an_app_that_shows_a_number_itself_is_believed() -> None:
    badge = reset(after("a", "b"), 0)
    assert (badge.number, differs(badge)) == (0, False)
    assert changed(badge, "c", ONE_MORE).number == 1


def test_nothing_is_put_right_where_nothing_was_sent() -> None:
    assert not differs(Badge())
    assert not differs(read(Badge(), ["a"]))


def test_a8_reading_a_thread_takes_what_was_created_by_then_and_nothing_else() -> None:
    badge = after("a")
    for note_id, thread, created_at in (("b", "t1", 10), ("c", "t1", 20), ("d", "t2", 10)):
        badge = sent(changed(badge, note_id, ONE_MORE, thread_place(thread, created_at)))
    less = read_thread(badge, "t1", 10)
    assert (less.number, differs(less)) == (3, True)
    assert changed(less, "b", ONE_MORE, thread_place("t1", 10)) == less, "a release that is done again"
    assert read_thread(less, "t1", 10) == read_thread(less, "t1", 5) == less, "read twice"
    assert changed(less, "e", ONE_MORE, thread_place("t1", 10)).number == 3, "it is released after it was read"
    assert changed(less, "e", ONE_MORE, thread_place("t1", 11)).number == 4
    for number in range(MAX_READ_THREADS):
        less = read_thread(less, f"other {number}", 10)
    assert len(less.read_threads) == MAX_READ_THREADS * PLACE_BYTES
    assert read_thread(read_thread(less, "t1", 20), "t2", 99).number == 1, "one has no thread"
    assert readable_badge(encode_badge(less)) == less


def test_a_row_of_an_earlier_release_has_no_threads_and_the_next_ones_have() -> None:
    earlier = msgspec.structs.replace(after("a", "b"), threads=b"", pending=b"")
    badge = changed(earlier, "c", ONE_MORE, thread_place("t1", 10))
    assert read_thread(badge, "t1", 10).number == 2
    assert read_thread(badge, "t1", 10).unread == earlier.unread


def test_a8_what_reached_no_device_counts_no_more_and_the_number_goes_back() -> None:
    badge = after("a", "b")
    less = told(badge, SlotPlanned(name_of("b"), b"account1", 0))
    assert (less.number, less.sent, differs(less)) == (1, 2, True)
    assert changed(less, "b", ONE_MORE).number == 1, "a release that is done again"
    assert told(less, SlotPlanned(name_of("unknown"), b"account1", 0)) is less
    planned = told(badge, SlotPlanned(name_of("b"), b"account1", 3))
    assert readable_badge(encode_badge(planned)) == planned


def test_the_row_keeps_256_names_and_counts_on_without_them() -> None:
    ids = [f"n{number}" for number in range(MAX_UNREAD + 3)]
    badge = after(*ids)
    assert (badge.number, badge.beyond, len(badge.unread)) == (len(ids), 3, MAX_UNREAD * NAME_BYTES)
    assert read(badge, ids[:3]).number == len(ids), "they are not known by name any more"
    assert read(badge, ids[3:5]).number == len(ids) - 2
    assert len(read(badge, ids).read) == MAX_READ * NAME_BYTES


def test_no_number_is_beyond_what_devices_take() -> None:
    badge = changed(Badge(), "a", str(MAX_BADGE))
    assert changed(badge, "b", ONE_MORE).number == MAX_BADGE


def test_a_row_is_read_as_it_was_written_and_has_a_key_of_its_own() -> None:
    badge = read(after("a", "b"), ["a"])
    assert readable_badge(encode_badge(badge)) == badge
    assert readable_badge(b"x") is None
    key = badge_key("ann", "news")
    assert is_badge(key)
    assert app_of(key) == "news"
    assert not is_timer(key)
    assert not is_badge(timer_key("ann", "b\0b"))


@given(st.lists(st.tuples(st.sampled_from(["add", "read"]), st.sampled_from("abcdef")), max_size=40))
def test_the_number_is_that_of_what_was_added_and_not_read(steps: list[tuple[str, str]]) -> None:
    badge, unread, seen = Badge(), set[str](), set[str]()
    for step, note_id in steps:
        if step == "add":
            badge = changed(badge, note_id, ONE_MORE)
            if note_id not in seen:
                unread.add(note_id)
        else:
            badge = read(badge, [note_id])
            unread.discard(note_id)
            seen.add(note_id)
        assert badge.number == len(unread)
