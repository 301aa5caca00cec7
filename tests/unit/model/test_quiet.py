"""Quiet hours where the device is: facts Q1, Q2 and Q10 of reference/time.md, and what clocks do at their borders."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushcast.model.quiet import DAYS, next_quiet, quiet_until, spread_after
from pushcast.model.user import QuietHours
from pushcast.model.zones import zone_of

NIGHT = (QuietHours(DAYS, "22:00", "07:00"),)


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def until(
    at: str, zone: str = "Europe/Berlin", windows: tuple[QuietHours, ...] = NIGHT, later_ms: int = 0
) -> str | None:
    found = zone_of(zone)
    assert found is not None
    end = quiet_until(windows, found, ms(at), later_ms)
    return None if end is None else datetime.fromtimestamp(end / 1000, UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("at", "end"),
    [
        ("2026-12-01T20:59:59.999Z", None),
        ("2026-12-01T21:00:00Z", "2026-12-02T06:00:00Z"),
        ("2026-12-02T05:59:59.999Z", "2026-12-02T06:00:00Z"),
        ("2026-12-02T06:00:00Z", None),
    ],
)
def test_q1_they_begin_with_their_first_millisecond_and_are_over_with_their_last(at: str, end: str | None) -> None:
    assert until(at) == end


def test_q2_the_night_of_the_gap_is_an_hour_shorter_and_that_of_the_fold_an_hour_longer() -> None:
    assert until("2027-03-27T21:00Z") == "2027-03-28T05:00:00Z"
    assert until("2027-10-30T20:00Z") == "2027-10-31T06:00:00Z"


def test_q10_days_are_those_on_which_the_hours_begin() -> None:
    friday = (QuietHours(("fri",), "22:00", "07:00"),)
    assert until("2026-12-05T05:30Z", windows=friday) == "2026-12-05T06:00:00Z"
    assert until("2026-12-06T05:30Z", windows=friday) is None


def test_a_reading_that_the_clocks_jump_over_is_passed_at_the_jump() -> None:
    before_the_jump = (QuietHours(DAYS, "01:00", "02:30"),)
    assert until("2027-03-28T00:59:59.999Z", windows=before_the_jump) == "2027-03-28T01:00:00Z"
    assert until("2027-03-28T01:00Z", windows=before_the_jump) is None
    in_the_gap = (QuietHours(DAYS, "02:10", "02:50"),)
    assert until("2027-03-28T01:00Z", windows=in_the_gap) is None
    midnight = (QuietHours(DAYS, "00:00", "07:00"),)
    assert until("2027-04-29T21:59:59.999Z", "Africa/Cairo", midnight) is None
    assert until("2027-04-29T22:00Z", "Africa/Cairo", midnight) == "2027-04-30T04:00:00Z"


def test_of_a_reading_that_comes_twice_the_first_opens_and_the_second_closes() -> None:
    around = (QuietHours(DAYS, "02:15", "02:45"),)
    assert until("2027-10-31T00:15Z", windows=around) == "2027-10-31T01:45:00Z"
    assert until("2027-10-31T00:50Z", windows=around) == "2027-10-31T01:45:00Z", "also in between"


def test_windows_that_touch_or_overlap_are_one() -> None:
    evening, night = QuietHours(DAYS, "20:00", "23:00"), QuietHours(DAYS, "23:00", "06:00")
    late = QuietHours(DAYS, "05:30", "08:00")
    assert until("2026-12-01T20:00Z", windows=(evening, night, late)) == "2026-12-02T07:00:00Z"


def test_windows_that_leave_no_hour_of_the_week_open_have_an_end_to_look_again_at() -> None:
    always = (QuietHours(DAYS, "00:00", "12:00"), QuietHours(DAYS, "12:00", "00:00"))
    assert until("2026-12-01T20:00Z", windows=always) is not None


def test_what_was_held_leaves_spread_and_nothing_overtakes_it_meanwhile() -> None:
    assert until("2026-12-01T21:00Z", later_ms=90_000) == "2026-12-02T06:01:30Z"
    assert until("2026-12-02T06:01:29.999Z", later_ms=90_000) == "2026-12-02T06:01:30Z"
    assert until("2026-12-02T06:01:30Z", later_ms=90_000) is None


def test_the_spread_of_a_user_is_always_the_same_and_even_over_users() -> None:
    drawn = [spread_after(f"user-{number}", 300_000) for number in range(3000)]
    assert drawn == [spread_after(f"user-{number}", 300_000) for number in range(3000)]
    by_minute = [sum(minute * 60_000 <= each < (minute + 1) * 60_000 for each in drawn) for minute in range(5)]
    assert sum(by_minute) == 3000
    assert min(by_minute) > 500
    assert spread_after("user-1", 0) == 0


def test_the_next_ones_begin_after_now() -> None:
    zone = zone_of("Europe/Berlin")
    assert zone is not None
    assert next_quiet(NIGHT, zone, ms("2026-12-02T06:00Z")) == ms("2026-12-02T21:00Z")
    assert next_quiet(NIGHT, zone, ms("2026-12-02T21:00Z")) == ms("2026-12-03T21:00Z")
    assert next_quiet((), zone, ms("2026-12-02T21:00Z")) is None
    sunday = (QuietHours(("sun",), "10:00", "11:00"),)
    assert next_quiet(sunday, zone, ms("2026-12-06T10:00Z")) == ms("2026-12-13T09:00Z")


ZONES = st.sampled_from(["Europe/Berlin", "Africa/Cairo", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"])
TIMES = st.builds(lambda hour, minute: f"{hour:02}:{minute:02}", st.integers(0, 23), st.integers(0, 59))
WINDOWS = st.lists(
    st.tuples(TIMES, TIMES, st.sets(st.sampled_from(DAYS), min_size=1)).filter(lambda each: each[0] != each[1]),
    max_size=3,
).map(lambda found: tuple([QuietHours(tuple(sorted(days)), begins, ends) for begins, ends, days in found]))
INSTANTS = st.integers(ms("2027-01-01T00:00Z"), ms("2027-12-30T00:00Z"))


@given(windows=WINDOWS, name=ZONES, at=INSTANTS)
def test_an_end_is_no_quiet_hour_itself_and_all_before_it_is(
    windows: tuple[QuietHours, ...], name: str, at: int
) -> None:
    zone = zone_of(name)
    assert zone is not None
    end = quiet_until(windows, zone, at)
    if end is None or end - at > 7 * 86_400_000:
        return
    assert end > at
    assert quiet_until(windows, zone, end) is None
    for share in range(1, 10):
        assert quiet_until(windows, zone, at + (end - at - 1) * share // 10) == end


@given(windows=WINDOWS, name=ZONES, at=INSTANTS)
def test_on_a_day_without_a_change_of_clocks_it_is_what_clocks_on_the_wall_say(
    windows: tuple[QuietHours, ...], name: str, at: int
) -> None:
    zone = zone_of(name)
    assert zone is not None
    shown = datetime.fromtimestamp(at / 1000, UTC).astimezone(zone)
    around = {(shown + timedelta(days=days)).utcoffset() for days in (-2, -1, 0, 1, 2)}
    if len(around) > 1:
        return
    minute = shown.strftime("%H:%M")
    today, yesterday = DAYS[shown.weekday()], DAYS[shown.weekday() - 1]
    says = any(
        (window.begins <= minute < window.ends and today in window.days)
        if window.begins < window.ends
        else (minute >= window.begins and today in window.days) or (minute < window.ends and yesterday in window.days)
        for window in windows
    )
    assert (quiet_until(windows, zone, at) is not None) == says
