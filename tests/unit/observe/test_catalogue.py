from __future__ import annotations

import re
from pathlib import Path

from pushcast.observe.catalogue import BY_NAME, CATALOGUE, Label, MetricName, render_docs

ROOT = Path(__file__).parents[3]


def test_every_name_is_described_once() -> None:
    assert len(CATALOGUE) == len(BY_NAME)
    assert set(BY_NAME) == set(MetricName)


def test_every_label_is_used() -> None:
    assert {label for metric in CATALOGUE for label in metric.labels} == set(Label)


def test_names_follow_the_conventions_of_prometheus() -> None:
    for metric in CATALOGUE:
        assert re.fullmatch(r"pushcast_[a-z_]+[a-z]", metric.name)
        assert (metric.kind == "counter") == metric.name.endswith("_total"), metric.name
        assert (metric.kind == "histogram") == bool(metric.buckets), metric.name
        assert list(metric.buckets) == sorted(set(metric.buckets))
        if metric.unit in ("seconds", "bytes"):
            assert metric.name.removesuffix("_total").endswith(metric.unit)


def test_every_metric_says_what_to_do() -> None:
    for metric in CATALOGUE:
        assert metric.meaning.endswith(".")
        assert metric.remedy.endswith(".")


def test_the_generated_page_is_fresh() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert page == render_docs(), "run `python -m pushcast.observe.catalogue > docs/metrics.md`"
