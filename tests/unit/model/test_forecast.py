"""How much is due soon: D9 of reference/time.md."""

from __future__ import annotations

from pushcast.model.forecast import HOUR_MS, MINUTE_MS, Forecast, Peak, forecast

#: Half a minute after an hour began.
NOW = 500_000 * HOUR_MS + 30_000


def test_what_is_due_is_counted_by_minutes_and_hours_of_the_clock() -> None:
    found = forecast(
        [NOW - 1, NOW, NOW + 1, NOW + MINUTE_MS, NOW + 59 * MINUTE_MS, NOW + HOUR_MS, NOW + 30 * HOUR_MS], NOW
    )
    assert found.overdue == 2, "what is due now is not late yet, and is not ahead either"
    assert (found.minutes[0], found.minutes[1], found.minutes[59]) == (1, 1, 1)
    assert (found.hours[0], found.hours[1], found.later) == (3, 1, 1)
    assert (found.within_a_minute, found.within_an_hour, found.within_a_day) == (4, 5, 6)


def test_the_fullest_minute_is_named_by_when_it_begins() -> None:
    found = forecast([NOW + 5 * MINUTE_MS] * 3 + [NOW + 7 * MINUTE_MS] * 2, NOW)
    assert found.peak == Peak(NOW - 30_000 + 5 * MINUTE_MS, 3)
    assert forecast([NOW + 2 * HOUR_MS], NOW).peak is None


def test_what_is_overdue_fills_the_minute_that_has_begun() -> None:
    assert forecast([0, 1], NOW).peak == Peak(NOW - 30_000, 2)


def test_forecasts_of_partitions_add_up_by_the_clock_even_when_they_were_counted_at_different_times() -> None:
    earlier = forecast([NOW + 2 * MINUTE_MS, NOW + HOUR_MS], NOW)
    earlier.complete = False
    whole = Forecast(NOW + MINUTE_MS)
    whole.merge(earlier)
    whole.merge(forecast([NOW + 2 * MINUTE_MS], NOW + MINUTE_MS))
    assert whole.minutes[1] == 2
    assert whole.within_a_day == 3
    assert not whole.complete


def test_ascending_times_are_counted_together_as_they_are_one_by_one() -> None:
    due = sorted([NOW - 1, NOW, NOW, *range(NOW + 1, NOW + 30 * HOUR_MS, 7 * MINUTE_MS + 1), NOW + 60 * MINUTE_MS])
    for first in range(0, len(due), 17):
        together = Forecast(NOW)
        together.add_ascending(due[first:])
        one_by_one = forecast(due[first:], NOW)
        assert vars(together) == vars(one_by_one)
