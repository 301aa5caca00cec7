from __future__ import annotations

import pytest

from pushcast.http2.pool_stats import LimitedBy, limited_by


@pytest.mark.parametrize(
    ("waiting", "in_flight", "limit", "slow", "found"),
    [
        (0, 100, 100, True, LimitedBy.WORK),
        (5, 74, 100, True, LimitedBy.STREAMS),
        (5, 75, 100, True, LimitedBy.LATENCY),
        (5, 100, 100, False, LimitedBy.GROWTH),
        (5, 400, 400, False, LimitedBy.SETTING),
    ],
)
def test_the_first_thing_that_keeps_requests_back_is_named(
    waiting: int, in_flight: int, limit: int, slow: bool, found: LimitedBy
) -> None:
    assert limited_by(waiting, in_flight, limit, setting=400, slow=slow) is found
