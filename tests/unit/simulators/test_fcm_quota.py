from __future__ import annotations

import pytest

from pushcast.simulators.fcm.quota import Quota, QuotaKeeper


def keeper(**limits: object) -> QuotaKeeper:
    made = QuotaKeeper()
    made.limits = Quota.parse({"project_per_minute": None, "device_per_minute": None, "collapsible": False, **limits})
    return made


def test_the_projects_window_begins_with_its_first_message() -> None:
    quota = keeper(project_per_minute=2)
    verdicts = [quota.refuse("p", b"d", False, now) for now in (30.0, 50.0, 89.9, 90.0)]
    assert verdicts == [None, None, "project", None]
    assert quota.refuse("other", b"d", False, 50.0) is None


def test_refusals_do_not_count() -> None:
    quota = keeper(project_per_minute=1)
    assert [quota.refuse("p", b"d", False, 0.0) for _ in range(3)] == [None, "project", "project"]
    assert quota.refuse("p", b"d", False, 60.0) is None


def test_a_device_takes_so_many_a_minute() -> None:
    quota = keeper(device_per_minute=2)
    assert [quota.refuse("p", b"d", False, 0.0) for _ in range(3)] == [None, None, "device"]
    assert quota.refuse("p", b"e", False, 0.0) is None
    assert quota.refuse("p", b"d", False, 61.0) is None


def test_collapsible_messages_come_back_one_every_three_minutes() -> None:
    quota = keeper(collapsible=True)
    assert [quota.refuse("p", b"d", True, 0.0) for _ in range(21)] == [None] * 20 + ["device"]
    assert quota.refuse("p", b"d", False, 0.0) is None
    assert [quota.refuse("p", b"d", True, 181.0) for _ in range(2)] == [None, "device"]


def test_an_unknown_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="quota: unknown"):
        Quota.parse({"per_second": 3})
