"""Every metric that Pushcast exports: what it is, and what to do about it. docs/metrics.md is generated from here.

A file for each stage or concern; a new metric is a name in `metric.py` and an entry in one of them.
"""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue import (
    broadcast,
    gateway,
    isolation,
    kafka,
    keep,
    page,
    plan,
    process,
    provider,
    register,
    report,
    send,
    settle,
)
from pushcast.observe.catalogue.metric import Kind, Label, Metric, MetricName

__all__ = ["BY_NAME", "CATALOGUE", "Kind", "Label", "Metric", "MetricName", "render_docs"]

CATALOGUE: Final[tuple[Metric, ...]] = (
    *process.METRICS,
    *kafka.METRICS,
    *register.METRICS,
    *plan.METRICS,
    *broadcast.METRICS,
    *send.METRICS,
    *provider.METRICS,
    *isolation.METRICS,
    *settle.METRICS,
    *keep.METRICS,
    *gateway.METRICS,
    *report.METRICS,
)

BY_NAME: Final = {metric.name: metric for metric in CATALOGUE}


def render_docs() -> str:
    """docs/metrics.md."""
    return page.render(CATALOGUE)
