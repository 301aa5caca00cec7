"""Every metric that Pushcast exports: what it is, and what to do about it. docs/metrics.md is generated from here.

A file for each stage or concern; a new metric is a name in `metric.py` and an entry in one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
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

__all__ = ["BY_NAME", "CATALOGUE", "SECTIONS", "Kind", "Label", "Metric", "MetricName", "render_docs"]

#: Each file with a title: a row of the dashboard `runtime`, in this order.
SECTIONS: Final[Mapping[str, tuple[Metric, ...]]] = {
    "Process": process.METRICS,
    "Kafka": kafka.METRICS,
    "Devices": register.METRICS,
    "Planning": plan.METRICS,
    "Broadcasts": broadcast.METRICS,
    "Sending": send.METRICS,
    "Providers": provider.METRICS,
    "Isolation": isolation.METRICS,
    "Retries": settle.METRICS,
    "Timers": keep.METRICS,
    "Gateway": gateway.METRICS,
    "Reports": report.METRICS,
}

CATALOGUE: Final[tuple[Metric, ...]] = tuple(metric for section in SECTIONS.values() for metric in section)

BY_NAME: Final = {metric.name: metric for metric in CATALOGUE}


def render_docs() -> str:
    """docs/metrics.md."""
    return page.render(CATALOGUE)
