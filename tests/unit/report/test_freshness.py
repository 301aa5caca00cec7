"""How old reports are: a log that never stands still is as old as the reading is behind."""

from __future__ import annotations

from pushcast.report.freshness import Freshness

A, B, ELSEWHERE = ("push.planned.v1", 0), ("push.receipt.v1", 0), ("push.receipt.v1", 1)


def test_what_is_read_to_its_end_is_of_now() -> None:
    fresh = Freshness()
    fresh.saw(A, 10, 10, 1_000)
    assert fresh.as_of([A]) == 1_000
    fresh.saw(A, 10, 10, 2_000)
    assert fresh.as_of([A]) == 2_000


def test_a_log_that_grows_all_the_time_is_as_old_as_the_end_that_was_reached() -> None:
    fresh = Freshness()
    for second in range(1, 6):
        fresh.saw(A, second * 100, second * 100 - 50, second * 1_000)
    assert fresh.as_of([A]) == 4_000, "at 5 s the end that was seen at 4 s was passed"


def test_a_reading_that_stands_still_grows_old() -> None:
    fresh = Freshness()
    fresh.saw(A, 10, 10, 1_000)
    for second in range(2, 9):
        fresh.saw(A, second * 10, 10, second * 1_000)
    assert fresh.as_of([A]) == 1_000
    fresh.saw(A, 90, 20, 9_000)
    assert fresh.as_of([A]) == 2_000


def test_the_oldest_book_counts_and_one_that_was_never_whole_says_nothing() -> None:
    fresh = Freshness()
    fresh.saw(A, 10, 10, 5_000)
    assert (fresh.as_of([A, B]), fresh.as_of([])) == (None, None)
    fresh.saw(B, 10, 3, 6_000)
    assert fresh.as_of([A, B]) is None
    fresh.saw(B, 20, 10, 7_000)
    assert fresh.as_of([A, B]) == 5_000


def test_what_a_transaction_leaves_at_the_end_is_no_record_to_wait_for() -> None:
    fresh = Freshness()
    fresh.saw(A, 10, 9, 1_000)
    assert (fresh.as_of([A]), fresh.behind(A, 10, 9)) == (None, 1)
    fresh.reached(A, 10)
    fresh.saw(A, 10, 9, 2_000)
    assert (fresh.as_of([A]), fresh.behind(A, 10, 9), fresh.behind(A, 12, 9)) == (2_000, 0, 2)
    fresh.forget([0])
    assert fresh.behind(A, 10, 9) == 1


def test_a_partition_that_goes_is_forgotten() -> None:
    fresh = Freshness()
    fresh.saw(B, 10, 10, 5_000)
    fresh.saw(ELSEWHERE, 10, 10, 6_000)
    fresh.forget([0])
    assert (fresh.as_of([B]), fresh.as_of([ELSEWHERE])) == (None, 6_000)
