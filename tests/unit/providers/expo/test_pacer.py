from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushcast.providers.expo.pacer import Pacer, Unpaced


def test_a_full_bucket_leaves_at_once_and_the_next_waits_for_its_turn() -> None:
    pacer = Pacer(10.0)
    assert pacer.take(100, 10.0) == 0
    assert pacer.take(100, 10.0) == pytest.approx(0.2)
    assert pacer.take(100, 10.2) == 0


@given(st.lists(st.tuples(st.integers(1, 100), st.floats(0, 0.5)), min_size=1, max_size=200))
def test_no_second_ever_sees_more_than_the_projects_limit(demands: list[tuple[int, float]]) -> None:
    now = 1000.0
    pacer = Pacer(now)
    left: list[tuple[float, int]] = []
    for count, pause in demands:
        now += pause
        wait = pacer.take(count, now)
        if wait > 0:
            now += wait
            assert pacer.take(count, now) == 0, "after the wait that was named it is one's turn"
        left.append((now, count))
    for at, _ in left:
        assert sum(count for when, count in left if at <= when < at + 1.0) <= 601


def test_after_a_refusal_there_is_a_pause_and_half_the_rate_that_recovers() -> None:
    pacer = Pacer(0.0)
    pacer.slow_down(2.0, 0.0)
    assert pacer.take(100, 0.0) == pytest.approx(2.0)
    spent = _throughput(pacer, 2.0, 1.0)
    assert 200 < spent < 400
    assert _throughput(pacer, 30.0, 1.0) == pytest.approx(600, abs=10)


def test_refusals_in_a_row_never_stop_it_for_good() -> None:
    pacer = Pacer(0.0)
    for _ in range(50):
        pacer.slow_down(0.0, 0.0)
    assert pacer.take(1, 0.0) < 1.0


def test_a_clock_that_goes_back_gives_nothing_for_free() -> None:
    pacer = Pacer(100.0)
    assert pacer.take(100, 100.0) == 0
    assert pacer.take(100, 50.0) > 0
    assert pacer.take(100, 100.1) > 0


def test_a_share_of_the_limit_scales_rate_and_burst() -> None:
    pacer = Pacer(0.0)
    pacer.share(0.3)
    assert pacer.burst == 30
    assert _throughput(pacer, 0.0, 1.0) == pytest.approx(180, abs=10)
    pacer.share(0.0)
    assert pacer.burst == 1
    with pytest.raises(ValueError, match=r"share 1\.5 is not between 0 and 1"):
        pacer.share(1.5)


def test_a_request_from_before_a_smaller_share_leaves_when_the_bucket_is_full() -> None:
    pacer = Pacer(0.0)
    pacer.share(0.1)
    assert pacer.take(100, 0.0) == 0
    assert pacer.take(10, 0.0) == pytest.approx(100 / 50)


def _throughput(pacer: Pacer, start: float, seconds: float) -> int:
    now, spent = start, 0
    while True:
        wait = pacer.take(10, now)
        now += wait
        if now >= start + seconds:
            return spent
        if not wait:
            spent += 10


@pytest.mark.parametrize("per_second", [7, 60, 600, 6_000])
def test_any_quota_has_a_burst_below_it(per_second: int) -> None:
    pacer = Pacer(0.0, per_second=per_second)
    assert 1 <= pacer.burst < per_second
    assert _throughput(pacer, 5.0, 10.0) == pytest.approx(10 * per_second, rel=0.35)


def test_what_is_not_paced_waits_for_pauses_alone() -> None:
    pacer = Unpaced(0.0)
    pacer.share(0.1)
    assert pacer.take(100_000, 0.0) == 0
    pacer.slow_down(2.0, 1.0)
    pacer.slow_down(0.5, 1.0)
    assert pacer.take(1, 1.5) == pytest.approx(1.5)
    assert pacer.take(100_000, 3.0) == 0
    with pytest.raises(ValueError, match="share 1"):
        pacer.share(1.5)
