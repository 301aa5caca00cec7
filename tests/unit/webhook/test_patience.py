"""How long an endpoint is left alone, and when it is given up."""

from __future__ import annotations

import pytest

from pushcast.webhook.patience import GIVEN_UP_MS, TAKEN, EndpointPatience, Said, given_up

HOUR_MS = 3_600_000


def test_waits_double_up_to_a_quarter_of_an_hour_and_begin_anew_after_a_success() -> None:
    patience = EndpointPatience(lambda low, high: (low + high) / 2)
    waits = [patience.failed(Said("http_500"), 100.0) for _ in range(10)]
    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]
    assert patience.again_at == 1000.0
    patience.taken()
    assert (patience.failures, patience.again_at, patience.failed(Said("timeout"), 0.0)) == (0, 0.0, 5.0)


def test_endpoints_of_one_receiver_do_not_come_back_together() -> None:
    low, high = (EndpointPatience(pick).failed(Said("timeout"), 0.0) for pick in (min, max))
    assert (low, high) == (4.0, 6.0)


@pytest.mark.parametrize(("asked", "waits"), [(60.0, 60.0), (0.5, 0.5), (10**8, 3600.0)])
def test_w5_retry_after_is_obeyed_up_to_an_hour(asked: float, waits: float) -> None:
    assert EndpointPatience(max).failed(Said("http_429", asked), 7.0) == waits


@pytest.mark.parametrize("asked", [0.0, -5.0])
def test_a_retry_after_of_nothing_or_of_a_time_that_is_over_takes_no_wait_away(asked: float) -> None:
    patience = EndpointPatience(lambda low, high: (low + high) / 2)
    assert [patience.failed(Said("http_503", asked), 7.0) for _ in range(3)] == [5, 10, 20]


def test_w5_an_endpoint_is_given_up_at_410_and_after_72_hours() -> None:
    assert "410" in (given_up(Said("http_410"), 0, 0) or "")
    began = 1_790_000_000_000
    assert given_up(Said("timeout"), began, began + GIVEN_UP_MS - 1) is None
    assert "72 hours" in (given_up(Said("timeout"), began, began + GIVEN_UP_MS) or "")
    assert given_up(Said(TAKEN), began, began + GIVEN_UP_MS) is None
