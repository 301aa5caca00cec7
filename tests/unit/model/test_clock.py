"""Clocks that are told the time, and those that know it."""

from __future__ import annotations

import time

from pushcast.model.clock import ManualClock, SystemClock


def test_a_manual_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(5_000)
    before = (clock.now_ms(), clock.monotonic_seconds())
    assert before == (clock.now_ms(), clock.monotonic_seconds())
    clock.advance(1.5)
    assert (clock.now_ms(), clock.monotonic_seconds()) == (6_500, before[1] + 1.5)


def test_a_step_of_the_wall_clock_does_not_move_the_monotonic_one() -> None:
    clock = ManualClock(5_000)
    monotonic = clock.monotonic_seconds()
    clock.jump_wall(-3600)
    assert (clock.now_ms(), clock.monotonic_seconds()) == (5_000 - 3_600_000, monotonic)


def test_the_system_clock_is_the_machines() -> None:
    before = time.time_ns() // 1_000_000
    assert before <= SystemClock().now_ms() <= time.time_ns() // 1_000_000
    earlier = time.monotonic()
    assert earlier <= SystemClock().monotonic_seconds() <= time.monotonic()
