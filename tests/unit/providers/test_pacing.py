"""The rate of a provider: quota, share, ramp and 429s, on a clock that is passed in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.model.words import Lane
from pushcast.providers.pacing import BURST_SECONDS, Pace, share_of

QUOTA = 600_000
FULL = QUOTA / 60


def greedy(pace: Pace, start: float, seconds: float) -> int:
    """Requests that leave in that time when there is always more to send."""
    now, end, sent = start, start + seconds, 0
    while True:
        count, wait = pace.take(1_000, now)
        now += wait
        if now > end:
            return sent
        sent += count


def test_the_full_rate_is_the_quota_and_never_more() -> None:
    pace = Pace(QUOTA, ramp_seconds=60)
    greedy(pace, 0.0, 61.0)
    assert 0.97 * 10 * FULL <= greedy(pace, 61.0, 10.0) <= 1.01 * 10 * FULL


def test_the_ramp_takes_a_minute_and_sends_half_of_it() -> None:
    pace = Pace(QUOTA, ramp_seconds=60)
    parts = [greedy(pace, 10.0 * step, 10.0) / (10 * FULL) for step in range(6)]
    assert parts == sorted(parts)
    assert parts[0] < 0.15
    assert sum(parts) / 6 == pytest.approx(0.5, abs=0.05)


def test_an_unused_rate_goes_back_to_the_foot_of_the_ramp() -> None:
    pace = Pace(QUOTA, ramp_seconds=60)
    greedy(pace, 0.0, 70.0)
    pace.take(1, 100.0)  # ends the debt
    pace.take(1, 1_000.0)
    assert pace.rate == pytest.approx(FULL / 60, rel=0.05)


def test_shares_of_all_senders_are_the_quota() -> None:
    shares = [share_of(4, 8, lane) for lane in Lane for _ in range(2)]
    assert sum(shares) == pytest.approx(1.0)
    assert share_of(8, 8, "urgent") == pytest.approx(0.3)


def test_a_share_scales_the_rate_and_may_change() -> None:
    pace = Pace(QUOTA, ramp_seconds=0)
    pace.share(0.25)
    assert greedy(pace, 0.0, 10.0) == pytest.approx(FULL * 2.5, rel=0.03)
    pace.share(1.0)
    assert greedy(pace, 10.0, 10.0) == pytest.approx(FULL * 10, rel=0.03)


@pytest.mark.parametrize("fraction", [-0.1, 1.1])
def test_a_share_beyond_the_whole_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        Pace(QUOTA).share(fraction)


def test_429s_cut_the_rate_by_their_share_and_it_recovers() -> None:
    pace = Pace(QUOTA, ramp_seconds=0)
    pace.note(2.0, 100, 40)
    assert pace.rate == pytest.approx(FULL * 0.8, rel=0.02)
    for second in range(3, 13):
        pace.note(float(second), 100, 100)
    assert pace.rate < FULL * 0.02
    pace.take(1, 13.0 + 301.0)
    assert pace.rate == pytest.approx(FULL)


def test_a_few_429s_of_single_devices_hold_nobody_back() -> None:
    pace = Pace(QUOTA, ramp_seconds=0)
    pace.note(2.0, 1_000, 5, 3_600.0)
    assert pace.hold_seconds(2.0) == 0.0
    assert pace.rate > FULL * 0.99


def test_retry_after_holds_everything_back_when_most_are_refused() -> None:
    pace = Pace(QUOTA, ramp_seconds=0)
    pace.note(2.0, 20, 20, 30.0)
    assert pace.take(1, 3.0).wait_seconds >= 29.0
    assert pace.hold_seconds(32.5) == 0.0
    pace.note(40.0, 20, 20, 86_400.0)
    assert pace.hold_seconds(40.0) == 300.0


def test_what_was_given_back_is_granted_again() -> None:
    pace = Pace(60, ramp_seconds=0)
    assert pace.take(1, 0.0).granted == 1
    later = pace.take(1, 0.0).wait_seconds
    pace.give_back(1)
    assert pace.take(1, 0.0).wait_seconds == pytest.approx(later)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 2_000)), min_size=1, max_size=50),
    st.floats(0, 120),
    st.floats(0.01, 1.0),
)
def test_whatever_is_asked_never_more_leaves_than_the_quota_allows(
    asked: list[tuple[float, int]], ramp: float, share: float
) -> None:
    pace = Pace(QUOTA, ramp_seconds=ramp)
    pace.share(share)
    now, left_at = 0.0, []
    for elapsed, count in asked:
        now += elapsed
        granted, wait = pace.take(count, now)
        assert 1 <= granted <= count
        left_at.append((now + wait, granted))
    left_at.sort()
    for index, (start, _) in enumerate(left_at):
        window = [count for at, count in left_at[index:] if at <= start + 1.0]
        assert sum(window) <= FULL * share * (1 + 2 * BURST_SECONDS) + 2 * max(window)
