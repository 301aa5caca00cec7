from __future__ import annotations

import pytest

from pushcast.simulators.service_rate import ServiceRate


def test_what_comes_faster_than_it_is_served_queues() -> None:
    rate = ServiceRate(10)
    assert [round(rate.wait_seconds(5.0), 6) for _ in range(3)] == [0.1, 0.2, 0.3]


def test_the_queue_is_served_while_nothing_comes() -> None:
    rate = ServiceRate(10)
    for _ in range(3):
        rate.wait_seconds(5.0)
    assert round(rate.wait_seconds(5.2), 6) == 0.2
    assert round(rate.wait_seconds(60.0), 6) == 0.1


def test_without_a_rate_nothing_waits() -> None:
    assert ServiceRate().wait_seconds(5.0) == 0.0


def test_a_negative_rate_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="service_rate: -1"):
        ServiceRate(-1)
