"""A member acts only while nobody else can own its partitions."""

from __future__ import annotations

import pytest

from pushcast.stream import assignment as lease


@pytest.mark.parametrize(
    ("age_seconds", "timeout_seconds", "held"),
    [(0.0, 6.0, True), (4.7, 6.0, True), (4.81, 6.0, False), (60.0, 6.0, False), (7.9, 10.0, True), (8.0, 10.0, False)],
)
def test_a_lease_ends_a_fifth_before_the_session(age_seconds: float, timeout_seconds: float, held: bool) -> None:
    assert lease.holds(1000.0, 1000.0 + age_seconds, timeout_seconds) is held


def test_a_short_session_keeps_a_second_of_margin() -> None:
    assert lease.holds(1000.0, 1000.9, 2.0)
    assert not lease.holds(1000.0, 1001.0, 2.0)


def test_there_is_no_lease_before_the_first_heartbeat() -> None:
    assert not lease.holds(0.0, 500.0, 10.0)


def test_the_clock_goes_forward() -> None:
    assert lease.boottime_seconds() <= lease.boottime_seconds()
