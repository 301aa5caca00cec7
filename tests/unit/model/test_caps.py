"""Frequency caps, decided without Kafka (facts K1, K3, K4, K5 and K8 of reference/time.md)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pushcast.model.caps import Asked as AskedFor
from pushcast.model.caps import Capped, CapRule, Ended, SlotPlanned, Usage, slot_id, take, told
from pushcast.model.zones import zone_of

HOUR = 3_600_000
DAY = 24 * HOUR
ROLLING = CapRule("three", 3, window_ms=DAY)
BERLIN = zone_of("Europe/Berlin") or UTC


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


T0 = at("2027-01-15T00:00:00+00:00")


class User:
    """Whose notifications ask for slots."""

    def __init__(self, *rules: CapRule, zone: str = "UTC") -> None:
        self.rules = rules
        self.usage = Usage()
        self.zone = zone_of(zone) or UTC

    def asks(self, name: str, now_ms: int, *, klass: str = "promo", app: str = "news") -> Capped | None:
        asked = AskedFor(slot_id(name), klass, app, now_ms + DAY, self.zone)
        answer = take(self.usage, self.rules, asked, now_ms)
        if isinstance(answer, Capped):
            return answer
        self.usage = answer
        return None

    def hears(self, word: SlotPlanned | Ended, now_ms: int = T0) -> None:
        self.usage = told(self.usage, word, self.rules, now_ms)

    @property
    def taken(self) -> int:
        return len(self.usage.slots)


def ended(name: str, delivery: int = 0, *, accepted: bool = False, at_ms: int = T0) -> Ended:
    return Ended(slot_id(name), bytes([delivery] * 8), accepted, at_ms, "promo", "news")


def planned(name: str, count: int, account: int = 0) -> SlotPlanned:
    return SlotPlanned(slot_id(name), bytes([account] * 8), count)


def test_k1_a_slot_is_free_again_to_the_millisecond() -> None:
    user = User(ROLLING)
    for hour in (9, 13, 17):
        assert user.asks(f"n{hour}", T0 + hour * HOUR) is None
    assert user.asks("late", T0 + DAY + 9 * HOUR - 1) == Capped("three", "drop", T0 + DAY + 9 * HOUR)
    assert user.asks("free", T0 + DAY + 9 * HOUR) is None


def test_a_slot_taken_twice_is_one() -> None:
    """Ruling II.11: a keeper that is killed between the slot and the due record fires again."""
    user = User(ROLLING)
    for _ in range(5):
        assert user.asks("n", T0) is None
    assert user.taken == 1


def test_k3_a_slot_comes_back_when_nothing_of_it_was_accepted() -> None:
    user = User(CapRule("one", 1, window_ms=DAY))
    assert user.asks("n1", T0) is None
    user.hears(planned("n1", 2))
    user.hears(ended("n1", 1))
    user.hears(ended("n1", 1))  # a copy
    assert user.asks("n2", T0 + 1) is not None
    user.hears(ended("n1", 2))
    assert user.asks("n2", T0 + 2) is None


@pytest.mark.parametrize("last", [planned("n1", 1), ended("n1", 1)])
def test_words_come_in_any_order(last: SlotPlanned | Ended) -> None:
    user = User(CapRule("one", 1, window_ms=DAY))
    assert user.asks("n1", T0) is None
    for word in (ended("n1", 1), planned("n1", 1)):
        if word != last:
            user.hears(word)
    assert user.taken == 1
    user.hears(last)
    assert user.taken == 0


def test_a_slot_of_a_notification_that_is_planned_to_nothing_comes_back() -> None:
    user = User(CapRule("one", 1, window_ms=DAY))
    assert user.asks("n1", T0) is None
    user.hears(planned("n1", 0))
    assert user.taken == 0


def test_one_accepted_delivery_keeps_it_whatever_becomes_of_the_others() -> None:
    user = User(CapRule("one", 1, window_ms=DAY))
    assert user.asks("n1", T0) is None
    user.hears(ended("n1", 1, accepted=True))
    user.hears(planned("n1", 1))
    user.hears(ended("n1", 2))
    assert user.asks("n2", T0 + 1) is not None


def test_without_word_long_after_its_expiry_it_is_kept() -> None:
    """Ruling II.12."""
    user = User(CapRule("one", 1, window_ms=7 * DAY))
    assert user.asks("n1", T0) is None
    late = T0 + DAY + 600_001
    user.hears(planned("n1", 1), late)
    user.hears(ended("n1", 1), late)
    assert user.taken == 1


def test_k2_what_ignores_caps_counts_all_the_same_when_it_was_accepted() -> None:
    user = User(ROLLING)
    for number in range(3):
        assert user.asks(f"n{number}", T0) is None
    user.hears(ended("urgent", accepted=True, at_ms=T0 + HOUR))
    assert user.taken == 4
    capped = user.asks("n4", T0 + DAY)
    assert capped is None  # the three of T0 are over, that of the first hour is not
    assert user.taken == 2


def test_what_no_rule_counts_takes_no_slot() -> None:
    user = User(CapRule("promo", 1, frozenset({"other"}), window_ms=DAY), CapRule("shop", 1, None, "shop", DAY))
    for number in range(3):
        assert user.asks(f"n{number}", T0) is None
    assert user.taken == 0
    user.hears(ended("n9", accepted=True))
    assert user.taken == 0


def test_for_all_apps_it_takes_a_slot_of_each_app() -> None:
    user = User(CapRule("news", 1, None, "news", DAY))
    assert user.asks("n1", T0, app="") is None
    assert user.asks("n2", T0) is not None


def test_all_rules_must_allow_it_and_the_one_that_drops_goes_first() -> None:
    hold = CapRule("hold", 1, window_ms=2 * DAY, on_exceed="hold")
    drop = CapRule("drop", 1, window_ms=DAY, on_exceed="drop")
    user = User(hold, drop)
    assert user.asks("n1", T0) is None
    assert user.asks("n2", T0 + 1) == Capped("drop", "drop", T0 + DAY)
    assert user.asks("n2", T0 + DAY) == Capped("hold", "hold", T0 + 2 * DAY)


def test_k5_a_calendar_day_has_23_hours_when_clocks_jump() -> None:
    user = User(CapRule("two", 2, calendar="day"), zone="Europe/Berlin")
    assert user.asks("n1", at("2027-03-27T23:00:00+00:00")) is None  # 00:00 on the 28th
    assert user.asks("n2", at("2027-03-28T12:00:00+00:00")) is None
    last = at("2027-03-28T21:59:59.999+00:00")
    assert user.asks("n3", last) == Capped("two", "drop", last + 1)
    assert user.asks("n3", last + 1) is None


@pytest.mark.parametrize(
    ("calendar", "since", "until"),
    [
        ("week", "2027-01-11T00:00:00+00:00", "2027-01-18T00:00:00+00:00"),  # T0 is a Friday
        ("month", "2027-01-01T00:00:00+00:00", "2027-02-01T00:00:00+00:00"),
    ],
)
def test_weeks_begin_on_monday_and_months_on_the_first(calendar: str, since: str, until: str) -> None:
    rule = CapRule("one", 1, calendar=calendar)  # type: ignore[arg-type]
    for before, passes in ((at(since) - 1, True), (at(since), False)):
        user = User(rule)
        assert user.asks("n1", before) is None
        answer = user.asks("n2", T0)
        assert (answer is None) is passes
        assert passes or answer == Capped("one", "drop", at(until))


def test_a_day_does_not_begin_again_for_who_travels_west() -> None:
    user = User(CapRule("one", 1, calendar="day"), zone="Asia/Tokyo")
    assert user.asks("n1", at("2027-01-15T14:00:00+00:00")) is None  # the 15th, 23:00
    assert user.asks("n2", at("2027-01-15T15:00:00+00:00")) is None  # the 16th, 00:00
    user.zone = zone_of("America/New_York") or UTC  # there the 15th, 10:00
    assert user.asks("n3", at("2027-01-15T15:00:01+00:00")) is not None


def test_k5_a_day_without_a_midnight_begins_at_the_jump() -> None:
    """Cairo has no 00:00 on 30 April 2027."""
    user = User(CapRule("one", 1, calendar="day"), zone="Africa/Cairo")
    jump = at("2027-04-29T22:00:00+00:00")
    assert user.asks("n1", jump - 1) is None
    assert user.asks("n2", jump - 1) == Capped("one", "drop", jump)
    assert user.asks("n2", jump) is None


def test_slots_are_bounded_by_twice_the_limits() -> None:
    user = User(ROLLING)
    for number in range(100):
        user.hears(ended(f"n{number}", accepted=True, at_ms=T0 + number), T0 + number)
    assert user.taken == 6


def test_k4_one_notification_on_three_devices_counts_once() -> None:
    user = User(ROLLING)
    assert user.asks("n1", T0) is None
    user.hears(planned("n1", 3))
    for device in range(3):
        user.hears(ended("n1", device, accepted=True))
    assert user.taken == 1
