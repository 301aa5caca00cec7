"""Pairs of runs of two commits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from pushcast.bench.pairs import Compared, compare, interval


def result(**cpu_seconds: float) -> dict[str, Any]:
    return {"rows": [{"name": name, "items": 1000, "cpu_seconds": cpu} for name, cpu in cpu_seconds.items()]}


def compared(ratios: Sequence[float], limit_percent: float = 5.0) -> Compared:
    return Compared("row", tuple(ratios), (1.0,) * len(ratios), limit_percent)


def test_seven_pairs_need_all_of_them_for_ninety_per_cent_and_eight_leave_the_extremes_out() -> None:
    assert interval([7, 1, 2, 3, 4, 5, 6]) == (1, 7, 1 - 2 / 2**7)
    assert interval([8, 7, 1, 2, 3, 4, 5, 6]) == (2, 7, 1 - 2 * (1 + 8) / 2**8)


@pytest.mark.parametrize("count", range(5, 40))
def test_an_interval_covers_its_median_at_least_so_often_and_the_next_narrower_one_does_not(count: int) -> None:
    low, high, coverage = interval(list(range(count)))
    assert low + high == count - 1
    assert low <= (count - 1) / 2 <= high
    assert coverage >= 0.9
    with pytest.raises(ValueError, match=f"{count} values"):
        interval(list(range(count)), 1.0)


def test_too_few_pairs_say_nothing() -> None:
    with pytest.raises(ValueError, match="4 values"):
        interval([1.0, 1.0, 1.0, 1.0])


def test_a_limit_is_broken_when_the_whole_interval_lies_beyond_it() -> None:
    assert compared([1.06, 1.07, 1.08, 1.1, 1.2, 1.3, 1.06]).broken
    assert not compared([1.04, 1.07, 1.08, 1.1, 1.2, 1.3, 1.06]).broken
    assert not compared([0.5] * 7).broken


def test_one_disturbed_pair_of_eight_neither_breaks_a_limit_nor_saves_it() -> None:
    assert not compared([1.0] * 7 + [9.0]).broken
    assert compared([1.2] * 7 + [0.1]).broken


def test_a_row_is_shown_with_the_cpu_of_both_sides_and_every_ratio() -> None:
    rows, missing = compare([result(a=0.2)] * 7, [result(a=0.1)] * 7, 5.0)
    assert missing == []
    assert rows[0].to_dict() == {
        "name": "a",
        "pairs": 7,
        "cpu_us_per_item": 200.0,
        "against_cpu_us_per_item": 100.0,
        "ratio": 2.0,
        "interval": [2.0, 2.0],
        "interval_coverage": 0.9844,
        "ratios": [2.0] * 7,
        "limit_percent": 5.0,
        "broken": True,
    }


def test_items_may_differ_between_the_sides() -> None:
    twice = {"rows": [{"name": "a", "items": 2000, "cpu_seconds": 0.2}]}
    rows, _ = compare([twice] * 7, [result(a=0.1)] * 7, 5.0)
    assert rows[0].ratios == [1.0] * 7


def test_a_row_that_one_side_or_one_run_lacks_is_named_and_not_compared() -> None:
    here = [result(a=0.1, new=0.1)] * 7
    there = [*[result(a=0.1, flaky=0.1)] * 6, result(a=0.1)]
    rows, missing = compare(here, there, 5.0)
    assert [row.name for row in rows] == ["a"]
    assert missing == ["new", "flaky"]


def test_a_row_without_readable_cpu_time_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="--items"):
        compare([result(a=0.0)] * 7, [result(a=0.1)] * 7, 5.0)
