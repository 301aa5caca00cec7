from __future__ import annotations

from random import Random

import pytest

from pushcast.simulators.latency import Latency, LatencyHistogram


def test_jitter_stays_around_the_constant() -> None:
    samples = [Latency.parse({"ms": 50, "jitter_ms": 20}).sample_seconds(Random(n)) for n in range(1_000)]
    assert 0.030 <= min(samples) < 0.035
    assert 0.065 < max(samples) <= 0.070


def test_a_log_normal_has_its_median_and_its_99th_percentile() -> None:
    random = Random(7)
    latency = Latency.parse({"p50_ms": 70, "p99_ms": 400})
    samples = sorted(latency.sample_seconds(random) for _ in range(20_000))
    assert samples[10_000] == pytest.approx(0.070, rel=0.05)
    assert samples[19_800] == pytest.approx(0.400, rel=0.15)


@pytest.mark.parametrize("value", [{"millis": 3}, {"ms": -1}, {"p50_ms": 50, "p99_ms": 10}, {"p50_ms": 0, "p99_ms": 9}])
def test_a_latency_that_cannot_be_is_refused(value: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="latency"):
        Latency.parse(value)


def test_quantiles_are_right_within_two_percent() -> None:
    histogram = LatencyHistogram()
    for ms in range(1, 10_001):
        histogram.add(ms / 10)
    summary = histogram.summary()
    assert summary["count"] == 10_000
    for name, exact in {"p50": 500.0, "p95": 950.0, "p99": 990.0}.items():
        assert summary[name] == pytest.approx(exact, rel=0.02)
    assert summary["max"] == 1000.0


def test_an_empty_histogram_has_no_quantiles() -> None:
    assert LatencyHistogram().summary() == {"count": 0, "p50": None, "p95": None, "p99": None, "max": None}


def test_impossible_values_are_counted_in_the_outermost_buckets() -> None:
    histogram = LatencyHistogram()
    histogram.add(-5.0)
    histogram.add(1e12)
    assert histogram.count == 2
