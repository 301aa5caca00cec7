"""Percentiles from buckets."""

from __future__ import annotations

import random

import pytest

from pushcast.report.notes import add
from pushcast.report.sketch import MAX_MS, RELATIVE_ERROR, bucket_of, percentiles


@pytest.mark.parametrize("spread", [3, 100, 20_000, MAX_MS])
def test_a_percentile_is_wrong_by_no_more_than_it_says(spread: int) -> None:
    source = random.Random(spread)
    values = sorted(max(1, round(source.random() ** 3 * spread)) for _ in range(5000))
    counts: dict[str, int] = {}
    for value in values:
        add(counts, str(bucket_of(value)), 1)
    for share, found in zip((0.5, 0.9, 0.99), percentiles(counts, (0.5, 0.9, 0.99)), strict=True):
        exact = values[round(share * len(values)) - 1]
        assert found is not None
        assert abs(found - exact) <= max(0.6, exact * (RELATIVE_ERROR + 0.001))


def test_a_latency_below_zero_is_one_millisecond() -> None:
    assert {bucket_of(-5), bucket_of(0), bucket_of(1)} == {0}


def test_what_was_added_is_taken_out_without_a_trace() -> None:
    counts: dict[str, int] = {}
    for sign in (1, -1):
        for latency in (1, 5, 1000, MAX_MS * 2):
            add(counts, str(bucket_of(latency)), sign)
    assert counts == {}
    assert percentiles(counts, (0.5,)) == [None]
