"""Metrics of one process. Stages count in plain dictionaries; what they hold is read when somebody scrapes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from pushcast.observe.catalogue import BY_NAME, CATALOGUE, Metric, MetricName
from pushcast.observe.vocabulary import Vocabulary

Labels = tuple[str, ...]


class Sample(NamedTuple):
    """One value. `labels` in the order of the catalogue."""

    name: MetricName
    value: float
    labels: Labels = ()


#: Asked at every scrape, on the loop: must not block. Counters must not fall.
Source = Callable[[], Iterable[Sample]]


class _Histogram:
    """Counts per bucket; a value above the last bound counts in the bucket that follows it."""

    __slots__ = ("counts", "total")

    def __init__(self, bounds: int) -> None:
        self.counts = [0] * (bounds + 1)
        self.total = 0.0


class Metrics(Collector):
    """All of a process, on a registry of its own. Belongs to the event loop.

    Samples of several sources with equal labels are added up; of gauges in seconds the largest counts.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.registry: Final = CollectorRegistry()
        self._vocabulary = vocabulary
        self._sources: list[Source] = []
        self._counts: dict[tuple[MetricName, Labels], float] = {}
        self._histograms: dict[tuple[MetricName, Labels], _Histogram] = {}
        ProcessCollector(registry=self.registry)
        self.registry.register(self)

    def add_source(self, source: Source) -> None:
        """Asks `source` at every scrape from now on."""
        self._sources.append(source)

    def count(self, name: MetricName, amount: float = 1, labels: Labels = ()) -> None:
        """Adds to a counter that nobody keeps elsewhere."""
        if (name, labels) not in self._counts:  # what stands there was admitted
            labels = self._admit(BY_NAME[name], labels)
        self._counts[name, labels] = self._counts.get((name, labels), 0) + amount

    def observe(self, name: MetricName, values: Iterable[float], labels: Labels = ()) -> None:
        """Adds values to a histogram, many at a time: about 0.2 µs each."""
        metric = BY_NAME[name]
        histogram = self._histograms.get((name, labels))  # what stands there was admitted
        if histogram is None:
            key = (name, self._admit(metric, labels))
            histogram = self._histograms.setdefault(key, _Histogram(len(metric.buckets)))
        counts, bounds = histogram.counts, metric.buckets
        for value in values:
            counts[bisect_left(bounds, value)] += 1
            histogram.total += value

    def put_histogram(self, name: MetricName, counts: Sequence[int], total: float, labels: Labels = ()) -> None:
        """Sets what somebody else keeps. `counts`: per bucket, and one above the last; none of them may fall."""
        metric = BY_NAME[name]
        histogram = self._histograms.setdefault((name, self._admit(metric, labels)), _Histogram(len(metric.buckets)))
        histogram.counts, histogram.total = list(counts), total

    def exposition(self) -> bytes:
        """The page for Prometheus. Raises what a source raises."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Family]:
        """For the registry."""
        values = self._values()
        for metric in CATALOGUE:
            if metric.kind == "histogram":
                yield self._histogram_family(metric)
                continue
            make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = make(metric.name, metric.meaning, labels=metric.labels)
            for labels, value in values.get(metric.name, {}).items():
                family.add_metric(labels, value)
            yield family

    def _values(self) -> dict[MetricName, dict[Labels, float]]:
        values: dict[MetricName, dict[Labels, float]] = {}
        own = [Sample(name, value, labels) for (name, labels), value in self._counts.items()]
        for source in (*self._sources, lambda: own, self._refused):
            for name, value, labels in source():
                metric = BY_NAME[name]
                series = values.setdefault(name, {})
                admitted = self._admit(metric, labels)
                before = series.get(admitted, 0)
                largest = metric.kind == "gauge" and metric.unit == "seconds"
                series[admitted] = max(before, value) if largest else before + value
        return values

    def _refused(self) -> list[Sample]:
        refused = self._vocabulary.refused
        return [Sample(MetricName.LABELS_REFUSED, count, (label,)) for label, count in refused.items()]

    def _admit(self, metric: Metric, labels: Sequence[str]) -> Labels:
        if len(labels) != len(metric.labels):
            raise ValueError(f"{metric.name} has the labels {', '.join(metric.labels)}, not {len(labels)} values")
        return tuple(map(self._vocabulary.admit, metric.labels, labels))

    def _histogram_family(self, metric: Metric) -> Family:
        family = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
        bounds = [*map(str, metric.buckets), "+Inf"]
        for (name, labels), histogram in self._histograms.items():
            if name == metric.name:
                cumulative = accumulate(histogram.counts)
                family.add_metric(labels, list(zip(bounds, cumulative, strict=True)), sum_value=histogram.total)
        return family
