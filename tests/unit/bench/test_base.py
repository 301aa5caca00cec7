"""Rows and options of benchmarks."""

from __future__ import annotations

import pytest

from pushcast.bench.base import Options, Result, Row, percentiles


def test_a_row_says_how_many_per_second_of_the_clock_and_of_the_cpu() -> None:
    shown = Row("devices/import", 1000, 2.0, 0.5, 7, {"p50": 1.0, "p95": 2.0, "p99": 3.0}).to_dict()
    assert shown == {
        "name": "devices/import",
        "items": 1000,
        "seconds": 2.0,
        "cpu_seconds": 0.5,
        "per_second": 500.0,
        "per_cpu_second": 2000.0,
        "rss_bytes": 7,
        "latency_ms": {"p50": 1.0, "p95": 2.0, "p99": 3.0},
    }


def test_a_rate_that_cannot_be_told_is_null_and_not_a_number() -> None:
    shown = Row("latency/urgent", 1, 0.0, 0.0, 0).to_dict()
    assert (shown["per_second"], shown["per_cpu_second"], shown["latency_ms"]) == (None, None, None)


def test_a_result_carries_the_machine_and_what_the_benchmark_adds() -> None:
    setup = Result([], {"partitions": 8}).to_dict()["setup"]
    assert setup["partitions"] == 8
    assert setup["calibration_us"] > 0
    assert {"python", "kafka", "cpus", "cpu", "pushcast", "load_average_1m"} <= setup.keys()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5.0], {"p50": 5.0, "p95": 5.0, "p99": 5.0}),
        ([float(n) for n in range(100, 0, -1)], {"p50": 50.0, "p95": 95.0, "p99": 99.0}),
        ([1.0, 2.0], {"p50": 1.0, "p95": 2.0, "p99": 2.0}),
    ],
)
def test_percentiles_are_values_that_were_measured(values: list[float], expected: dict[str, float]) -> None:
    assert percentiles(values) == expected


def test_no_values_have_no_percentiles() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentiles([])


@pytest.mark.parametrize(
    ("shapes", "row", "wanted"),
    [
        (None, "plan/chat/json", True),
        (("alert",), "plan/alert/json", True),
        (("alert",), "plan/chat/json", False),
        (("plan/chat", "stock"), "plan/stock", True),
        (("json",), "plan/chat/avro", False),
    ],
)
def test_shapes_pick_rows(shapes: tuple[str, ...] | None, row: str, wanted: bool) -> None:
    assert Options(shapes=shapes).wants(row) is wanted
