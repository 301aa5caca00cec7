"""Wall time in every zone: facts S6 to S11 of reference/time.md, with the pinned tzdata."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime

import pytest

from pushcast.model.zones import due_at, next_day, reading_of, tzdata_version, zone_of


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def due(reading: str, zone: str, created: str = "2026-10-01T00:00:00Z") -> str:
    found, where = reading_of(reading), zone_of(zone)
    assert found is not None
    assert where is not None
    at = due_at(found, where, ms(created))
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")


@pytest.mark.parametrize(
    ("zone", "instant"),
    [
        ("Pacific/Kiritimati", "2026-12-23T19:00Z"),
        ("Pacific/Chatham", "2026-12-23T19:15Z"),
        ("Australia/Adelaide", "2026-12-23T22:30Z"),
        ("Asia/Tokyo", "2026-12-24T00:00Z"),
        ("Australia/Eucla", "2026-12-24T00:15Z"),
        ("Asia/Kathmandu", "2026-12-24T03:15Z"),
        ("Asia/Kolkata", "2026-12-24T03:30Z"),
        ("Europe/Kyiv", "2026-12-24T07:00Z"),
        ("Europe/Berlin", "2026-12-24T08:00Z"),
        ("America/St_Johns", "2026-12-24T12:30Z"),
        ("America/New_York", "2026-12-24T14:00Z"),
        ("Pacific/Marquesas", "2026-12-24T18:30Z"),
        ("Pacific/Niue", "2026-12-24T20:00Z"),
        ("Etc/GMT+12", "2026-12-24T21:00Z"),
    ],
)
def test_s6_one_reading_has_an_instant_in_each_zone(zone: str, instant: str) -> None:
    assert due("2026-12-24T09:00", zone) == instant


@pytest.mark.parametrize(
    ("reading", "zone", "instant"),
    [
        ("2027-03-28T02:30", "Europe/Berlin", "2027-03-28T01:30Z"),
        ("2027-03-14T02:30", "America/New_York", "2027-03-14T07:30Z"),
        ("2027-04-30T00:00", "Africa/Cairo", "2027-04-29T22:00Z"),
    ],
)
def test_s7_a_reading_that_is_jumped_over_comes_later_by_the_gap(reading: str, zone: str, instant: str) -> None:
    assert due(reading, zone) == instant


@pytest.mark.parametrize(
    ("reading", "zone", "instant"),
    [
        ("2027-10-31T02:30", "Europe/Berlin", "2027-10-31T00:30Z"),
        ("2027-11-07T01:30", "America/New_York", "2027-11-07T05:30Z"),
        ("2027-10-28T23:30", "Africa/Cairo", "2027-10-28T20:30Z"),
    ],
)
def test_s8_of_two_equal_readings_the_first_counts(reading: str, zone: str, instant: str) -> None:
    assert due(reading, zone) == instant


def test_s9_a_reading_without_a_day_comes_at_the_next_such_time() -> None:
    assert due("09:00", "Europe/Berlin", "2027-03-27T12:00:00Z") == "2027-03-28T07:00Z"
    assert due("09:00", "Europe/Berlin", "2026-12-24T07:59:59Z") == "2026-12-24T08:00Z"
    assert due("09:00", "Europe/Berlin", "2026-12-24T08:00:00Z") == "2026-12-25T08:00Z"


def test_s11_a_fixed_offset_is_a_zone_and_mars_is_none() -> None:
    assert due("2026-12-24T09:00", "UTC+05:30") == "2026-12-24T03:30Z"
    for name in ("Mars/Phobos", "UTC+15:00", "UTC+05:75", "", "../etc/passwd", "a" * 65, "Europe"):
        assert zone_of(name) is None, name


def test_s22_the_next_day_is_the_next_date_and_not_24_hours() -> None:
    reading, berlin = reading_of("2027-03-27T09:00"), zone_of("Europe/Berlin")
    assert reading is not None
    assert berlin is not None
    assert next_day(reading, berlin, 0) - due_at(reading, berlin, 0) == 23 * 3_600_000


@pytest.mark.parametrize("text", ["25:00", "2026-12-24T09:00Z", "2026-12-24T09:00+01:00", "2026-02-30T09:00", "9:00"])
def test_what_is_no_wall_time_is_none(text: str) -> None:
    assert reading_of(text) is None


def test_zones_come_from_the_pinned_package_and_nothing_else() -> None:
    assert zoneinfo.TZPATH == ()
    assert tzdata_version().startswith("20")
