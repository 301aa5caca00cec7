from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pushcast.model.marks import Marks, mark_of, thread_mark_of

NOW = 1_800_000_000_000
LATER = NOW + 1000


def test_a_mark_holds_until_its_time_and_not_longer() -> None:
    marks = Marks()
    marks.add(mark_of("u", "n"), LATER, NOW)
    assert marks.covers(mark_of("u", "n"), LATER)
    assert not marks.covers(mark_of("u", "n"), LATER + 1)
    assert not marks.covers(mark_of("u", "m"), NOW)
    assert not marks.covers(mark_of("v", "n"), NOW)


def test_user_and_id_are_kept_apart() -> None:
    assert mark_of("ab", "c") != mark_of("a", "bc")
    assert thread_mark_of("u", "a", "t") != mark_of("u", "a\0t")


def test_a_thread_is_cancelled_for_what_was_created_before() -> None:
    marks, thread = Marks(), thread_mark_of("u", "news", "t")
    assert not marks.has_threads
    marks.add_thread(thread, NOW, LATER)
    assert marks.covers_thread(thread, NOW, NOW)
    assert not marks.covers_thread(thread, NOW + 1, NOW)
    assert not marks.covers_thread(thread, NOW, LATER + 1)


def test_beyond_the_limit_the_oldest_go_and_are_counted() -> None:
    marks = Marks(limit=100, thread_limit=10)
    for number in range(150):
        marks.add(mark_of("u", str(number)), LATER, NOW)
        marks.add_thread(thread_mark_of("u", "a", str(number)), NOW, LATER)
    assert (len(marks), marks.evicted) == (110, 190)
    assert [marks.covers(mark_of("u", str(number)), NOW) for number in (49, 50, 149)] == [False, True, True]
    assert marks.covers_thread(thread_mark_of("u", "a", "140"), NOW, NOW)
    assert not marks.covers_thread(thread_mark_of("u", "a", "139"), NOW, NOW)


def test_marks_that_are_over_make_room_by_themselves() -> None:
    marks = Marks()
    for number in range(1000):
        marks.add(mark_of("u", str(number)), NOW + number, NOW + 10 * number)
    assert len(marks) < 20
    assert marks.evicted == 0


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 50)), max_size=80))
def test_marks_say_what_a_dictionary_says(steps: list[tuple[int, int]]) -> None:
    marks, known = Marks(), dict[int, int]()
    for number, seconds in steps:
        marks.add(mark_of("u", str(number)), NOW + seconds, NOW)
        known[number] = NOW + seconds
    for number in range(31):
        assert marks.covers(mark_of("u", str(number)), NOW + 25) is (known.get(number, 0) >= NOW + 25)
