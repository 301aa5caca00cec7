"""A7 of reference/time.md: a rate at which something expires before it may leave is told to who sends it."""

from __future__ import annotations

from typing import Any

import msgspec

from pushcast.model.notification import Content, Notification, Options
from pushcast.model.pacing import Rates
from pushcast.model.rate_outlook import RateOutlook, TooSlow
from pushcast.model.timing import Timing
from pushcast.model.zones import reading_of
from pushcast.wire.control.control import Rate

NOW = 1_800_000_000_000
RATES = Rates({"xmas": Rate(60, "", "")}, {"promo": 10})


def note(**facts: Any) -> Notification:
    usual = Notification("n", "ann", "news", "promo", Content(), Options(), b"", NOW, NOW + 60_000, due_at=NOW)
    return msgspec.structs.replace(usual, **facts)


def outlook(*notes: Notification, rates: Rates = RATES) -> list[TooSlow]:
    found = RateOutlook(rates, NOW)
    for each in notes:
        found.add(each)
    return found.too_slow()


def test_what_a_rate_lets_leave_in_time_is_not_told() -> None:
    assert outlook(*[note()] * 10) == []


def test_of_what_comes_on_top_it_says_how_many_expire() -> None:
    assert outlook(*[note()] * 13) == [TooSlow("class/promo", 10, 13, 3)]


def test_each_rate_is_judged_by_itself_and_what_has_none_by_none() -> None:
    campaign = [note(campaign="xmas")] * 61
    others = [note(klass="chat", expires_at=NOW)] * 5
    assert outlook(*campaign, *others, *[note()] * 11) == [
        TooSlow("campaign/xmas", 60, 61, 1),
        TooSlow("class/promo", 10, 11, 1),
    ]


def test_a_rate_begins_when_the_notification_is_due() -> None:
    due = NOW + 3_600_000
    later = note(timing=Timing(due), due_at=due, expires_at=due + 60_000)
    assert outlook(*[later] * 10) == []


def test_a_local_time_is_left_out_because_each_device_has_its_own() -> None:
    local = note(timing=Timing(reading=reading_of("09:00")), expires_at=NOW)
    assert outlook(local) == []


def test_it_says_who_is_too_slow_in_a_sentence() -> None:
    [found] = outlook(*[note()] * 1_200)
    assert str(found) == (
        "1,190 of 1,200 notifications expire before they may leave: the rate of class promo is 10 a minute"
    )
    assert found.to_dict()["late"] == 1_190
