from __future__ import annotations

import pytest

from pushcast.simulators.fcm.quota import Quota, QuotaKeeper


def keeper(**limits: object) -> QuotaKeeper:
    made = QuotaKeeper()
    made.limits = Quota.parse(dict.fromkeys(Quota.__slots__) | {"collapsible": False} | limits)
    return made


def test_the_projects_window_begins_with_its_first_message() -> None:
    quota = keeper(project_per_minute=2)
    assert [quota.refuses_project("p", now) for now in (30.0, 50.0, 89.9, 90.0)] == [False, False, True, False]
    assert not quota.refuses_project("other", 50.0)


def test_refusals_do_not_count() -> None:
    quota = keeper(project_per_minute=1)
    assert [quota.refuses_project("p", 0.0) for _ in range(3)] == [False, True, True]
    assert not quota.refuses_project("p", 60.0)


@pytest.mark.parametrize(("limit", "window_seconds"), [("device_per_minute", 60.0), ("device_per_hour", 3600.0)])
def test_a_device_takes_so_many_in_a_window(limit: str, window_seconds: float) -> None:
    quota = keeper(**{limit: 2})
    assert [quota.refuses_device(b"d", False, 0.0) for _ in range(3)] == [False, False, True]
    assert not quota.refuses_device(b"e", False, 0.0)
    assert quota.refuses_device(b"d", False, window_seconds - 1)
    assert not quota.refuses_device(b"d", False, window_seconds + 1)


def test_a_device_s_hour_goes_on_when_its_minute_is_over() -> None:
    quota = keeper(device_per_minute=2, device_per_hour=3)
    verdicts = [quota.refuses_device(b"d", False, now) for now in (0.0, 1.0, 2.0, 61.0, 62.0, 3601.0)]
    assert verdicts == [False, False, True, False, True, False]


def test_collapsible_messages_come_back_one_every_three_minutes() -> None:
    quota = keeper(collapsible=True)
    assert [quota.refuses_device(b"d", True, 0.0) for _ in range(21)] == [False] * 20 + [True]
    assert not quota.refuses_device(b"d", False, 0.0)
    assert [quota.refuses_device(b"d", True, 181.0) for _ in range(2)] == [False, True]


def test_an_unknown_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="quota: unknown"):
        Quota.parse({"per_second": 3})
