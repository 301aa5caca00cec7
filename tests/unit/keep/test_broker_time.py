"""The broker's time at the keeper: what no step of a machine's clock moves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pushcast.keep.broker_time import DISAGREEMENT_MS, HEAR_SECONDS, BrokerTime, too_far_ahead
from pushcast.model.clock import ManualClock

T0 = 1_800_000_000_000


def test_nothing_is_known_before_a_record_was_stamped() -> None:
    assert BrokerTime(ManualClock(T0)).now_ms() is None


def test_it_goes_on_from_the_last_stamp_and_not_with_the_clock_on_the_wall() -> None:
    clock = ManualClock(T0)
    time = BrokerTime(clock)
    time.heard(T0 + 7)
    clock.advance(1.5)
    clock.jump_wall(3600)
    assert time.now_ms() == T0 + 1507
    clock.jump_wall(-7200)
    assert time.now_ms() == T0 + 1507
    assert time.ahead_of_machine_ms() == 3_600_007


def test_it_is_heard_again_where_nothing_else_is_written() -> None:
    clock = ManualClock(T0)
    time = BrokerTime(clock)
    time.heard(T0)
    clock.advance(2)
    assert time.asks_again_in() == HEAR_SECONDS - 2
    clock.advance(4)
    assert time.asks_again_in() < 0
    time.asks()
    assert time.asks_again_in() == HEAR_SECONDS, "it is under way"


def test_a_partition_that_is_an_hour_ahead_of_another_is_named() -> None:
    clock = ManualClock(T0)
    right, late, early, silent = (BrokerTime(clock) for _ in range(4))
    right.heard(T0)
    late.heard(T0 + DISAGREEMENT_MS)
    early.heard(T0 + 3_600_000)
    assert too_far_ahead([right, late, early, silent]) == {early}
    assert too_far_ahead([early]) == set()


STEPS = st.lists(
    st.tuples(st.integers(0, 5_000), st.integers(0, 3_000), st.integers(-9_000_000, 9_000_000)), max_size=30
)


@given(steps=STEPS, drift=st.floats(0.9999, 1.0001))
def test_it_never_falls_and_is_never_ahead_of_the_broker_by_more_than_the_drift_since_the_last_stamp(
    steps: list[tuple[int, int, int]], drift: float
) -> None:
    """Each step: time passes, a record is stamped and heard after a delay, and the wall clock jumps."""
    clock = ManualClock(T0)
    time, broker_ms, last = BrokerTime(clock), T0, 0
    for passes_ms, delay_ms, jump_ms in steps:
        stamped = broker_ms + passes_ms
        broker_ms = stamped + delay_ms
        clock.advance((passes_ms + delay_ms) * drift / 1000)
        clock.jump_wall(jump_ms / 1000)
        time.heard(stamped)
        now_ms = time.now_ms()
        assert now_ms is not None
        assert last <= now_ms <= max(broker_ms, last)
        last = now_ms
        broker_ms += 1_000
        clock.advance(drift)
        now_ms = time.now_ms()
        assert now_ms is not None
        assert last <= now_ms <= broker_ms + 1
        last = now_ms
