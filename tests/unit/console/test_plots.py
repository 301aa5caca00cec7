"""ProcessFigures of processes, and plots as geometry."""

from __future__ import annotations

import math
import re

import pytest

from pushcast.console.figures import DeliveryRates, ProcessFigures, SpeedStep, UrgentSpeed, oldest_of, read_figures
from pushcast.console.plots import BOTTOM, HEIGHT, TOP, WIDTH, accepted_a_second, arrival, parts_of, rates, speeds
from pushcast.console.words import duration, number, percent, when
from twins.console import METRICS


def test_figures_are_read_from_the_metrics_of_a_process() -> None:
    figures = read_figures(METRICS % (7, 2, 1.5))
    assert figures == ProcessFigures({"accepted": 7.0, "invalid": 2.0}, {"pushcast-plan-urgent": 1.5})
    assert oldest_of([figures], "urgent") == 1.5
    assert oldest_of([figures], "bulk") is None


def test_how_fast_urgent_deliveries_are_accepted_is_read_from_what_reporters_count() -> None:
    def told(accepted: int) -> ProcessFigures:
        lines = (
            f'pushcast_accepted_seconds_bucket{{lane="{lane}",le="{bound}"}} {accepted * share}'
            for lane in ("urgent", "bulk")
            for bound, share in (("0.5", 0.5), ("1.0", 1.0), ("+Inf", 1.0))
        )
        return read_figures("\n".join(lines))

    found = DeliveryRates()
    found.add(0, {"a": told(1000)})
    assert found.urgent() is None
    found.add(5000, {"a": told(1200)})
    assert found.urgent() == UrgentSpeed(200, 0.5, 0.99)


def test_the_speed_of_urgent_deliveries_is_told_for_each_half_minute() -> None:
    def told(fast: int, slow: int) -> ProcessFigures:
        return ProcessFigures({}, {}, {0.5: fast, 2.0: fast + slow, math.inf: fast + slow})

    found = DeliveryRates()
    for step, (fast, slow) in enumerate(((0, 0), (100, 0), *[(100, 0)] * 6, (100, 100))):
        found.add(step * 5000, {"a": told(fast, slow)})
    first, *between, _, last = found.speeds()
    assert first == SpeedStep(5000, UrgentSpeed(100, 0.25, 0.495))
    assert {each.speed for each in between} == {UrgentSpeed(100, 0.25, 0.495)}, "it looks back half a minute"
    assert last.speed is not None
    assert (last.speed.accepted, last.speed.half) == (100, 1.25)
    assert found.speeds()[-2].speed is None, "nothing urgent within half a minute"


def test_the_plot_of_speeds_has_gaps_stays_in_its_frame_and_says_what_was_worst() -> None:
    ends = [f"12:00:{number:02}" for number in range(6)]
    plot = speeds(ends, [0.1, None, 0.2, 0.2, None, 0.1], [0.4, None, 1.2, math.inf, None, 0.3])
    assert plot is not None
    assert plot.says == "99 % within 300 ms now, at worst within longer than is counted."
    most, half = plot.shapes
    assert [path.count("M") for path in (most.edge, half.edge)] == [3, 3]
    assert most.area == half.area == ""
    assert all(TOP <= float(y) <= HEIGHT - BOTTOM for y in re.findall(r"[ML][\d.]+,([\d.]+)", most.edge + half.edge))
    assert plot.rows[0] == ["12:00:05", "100 ms", "300 ms"]
    assert plot.rows[-2] == ["12:00:01", "\N{EN DASH}", "\N{EN DASH}"]
    assert [tick.text for tick in plot.y_ticks] == ["0 s", "750 ms", "1.5 s"]


@pytest.mark.parametrize("known", [[None, None], [0.2]])
def test_without_two_points_or_anything_urgent_there_is_no_plot_of_speeds(known: list[float | None]) -> None:
    assert speeds(["12:00:00", "12:00:05"][: len(known)], known, known) is None


def test_a_plot_of_speeds_below_a_second_has_an_axis_of_milliseconds() -> None:
    plot = speeds(["12:00:00", "12:00:05"], [0.03, 0.02], [0.04, 0.13])
    assert plot is not None
    assert [tick.text for tick in plot.y_ticks] == ["0 s", "75 ms", "150 ms"]
    assert plot.says == "99 % within 130 ms now, at worst within 130 ms."


def test_rates_are_differences_over_all_processes() -> None:
    found = DeliveryRates()
    found.add(0, {"a": ProcessFigures({"accepted": 100}, {})})
    found.add(5000, {"a": ProcessFigures({"accepted": 150}, {}), "b": ProcessFigures({"accepted": 1000}, {})})
    found.add(10_000, {"a": ProcessFigures({"accepted": 150}, {}), "b": ProcessFigures({"accepted": 1005}, {})})
    assert found.series()["accepted"] == [10.0, 1.0]
    assert found.ends() == [5000, 10_000]


def test_a_process_that_starts_again_counts_from_nothing_again() -> None:
    found = DeliveryRates()
    for at, total in ((0, 100), (5000, 105), (10_000, 10)):
        found.add(at, {"a": ProcessFigures({"accepted": total}, {})})
    assert found.series()["accepted"] == [1.0, 2.0]


def test_rates_keep_ten_minutes() -> None:
    found = DeliveryRates()
    for step in range(300):
        found.add(step * 5000, {"a": ProcessFigures({"accepted": step}, {})})
    assert len(found.ends()) == 120


def test_a_bar_is_as_long_as_what_it_stands_for() -> None:
    parts = parts_of({"accepted": 3, "invalid": 0, "dead": 1})
    assert [(part.name, part.begin, part.size) for part in parts] == [("accepted", 0.0, 75.0), ("dead", 75.0, 25.0)]
    assert parts_of({"accepted": 0}) == []
    assert parts_of({"accepted": 1}, 4)[0].size == 25.0


def _points(path: str) -> list[tuple[float, float]]:
    pairs = (point.split(",") for point in path.strip("MZ").split(" "))
    return [(float(x), float(y)) for x, y in pairs]


@pytest.mark.parametrize("top", [0.0, 0.4, 12, 3154, 999_999])
def test_a_plot_stays_in_its_frame(top: float) -> None:
    plot = rates(["12:00:00", "12:00:05"], {"accepted": [0.0, top], "dead": [0.0, top]}, 5.0)
    for shape in plot.shapes:
        for x, y in _points(shape.area):
            assert 0 <= x <= WIDTH
            assert TOP <= y <= HEIGHT - BOTTOM


def test_the_curve_of_arrivals_rises_to_the_share_that_was_taken() -> None:
    histogram = [{"up_to_ms": 100.0, "count": 5}, {"up_to_ms": 1000.0, "count": 4}]
    plot = arrival(histogram, accepted=9, planned=10)
    assert plot is not None
    heights = [y for _, y in _points(plot.shapes[0].edge)]
    assert heights == sorted(heights, reverse=True)
    assert heights[-1] == pytest.approx(HEIGHT - BOTTOM - 0.9 * (HEIGHT - BOTTOM - TOP), abs=0.1)
    assert list(plot.rows) == [["100 ms", "5", "50 %"], ["1 s", "9", "90 %"]]
    assert arrival([], 0, 10) is None


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.5, "50 %"),
        (0.9996, "99.96 %"),
        (0.0000147, "0.001 %"),
        (0.012, "1 %"),
        (None, "\N{EN DASH}"),
    ],
)
def test_a_share_has_the_digits_that_tell_it_from_none_and_from_all(share: float | None, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0421, "42 ms"), (1, "1 s"), (90, "1.5 min"), (7200, "2 h"), (172_800, "2 d")]
)
def test_a_duration_has_the_unit_that_fits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_numbers_and_times_are_written_for_people() -> None:
    assert [number(value) for value in (0.0, 1234567, 12.34, 331.4)] == ["0", "1,234,567", "12.3", "331"]
    now = 1_790_000_000_000
    assert when("2026-09-21T14:13:20.000Z", now) == "14:13:20"
    assert when("2026-09-20T14:13:20.000Z", now) == "20 Sep, 14:13"
    assert when("2025-09-20T14:13:20.000Z", now) == "20 Sep 2025, 14:13"


def test_the_plot_of_accepted_deliveries_has_as_many_under_it_as_were_accepted() -> None:
    histogram = [{"up_to_ms": bound, "count": count} for bound, count in ((500.0, 300), (1000.0, 600), (2000.0, 100))]
    plot = accepted_a_second(histogram)
    assert plot is not None
    edge = _points(plot.shapes[0].edge)
    assert len(edge) == 61
    assert (edge[0][0], edge[-1][0]) == (0, WIDTH)
    assert plot.x_ticks[-1].text == "2 s"
    top = float(plot.y_ticks[-1].text.replace(",", ""))
    speeds = [(HEIGHT - BOTTOM - y) / (HEIGHT - BOTTOM - TOP) * top for _, y in edge[:-1]]
    assert sum(speed * 2 / 60 for speed in speeds) == pytest.approx(1000, rel=0.01)
    assert plot.says.startswith("At most ")
    assert accepted_a_second([]) is None


def test_a_few_stragglers_do_not_press_the_plot_of_accepted_deliveries_together() -> None:
    plot = accepted_a_second([{"up_to_ms": 1000.0, "count": 9990}, {"up_to_ms": 600_000.0, "count": 10}])
    assert plot is not None
    assert plot.x_ticks[-1].text == "1 s"


@pytest.mark.parametrize("days", [0.5, 7, 8, 28, 30])
def test_deliveries_of_events_that_are_weeks_old_have_a_plot(days: float) -> None:
    """An event may live for 28 days: a report whose first delivery took seven answered 500."""
    bound = days * 86_400_000
    plot = arrival([{"up_to_ms": bound, "count": 20}], 20, 20)
    assert plot is not None
    assert all(0 <= each <= plot.width for each in (*plot.places, *(mark.at for mark in plot.marks)))
    assert all(0 <= tick.at <= plot.width for tick in plot.x_ticks)
