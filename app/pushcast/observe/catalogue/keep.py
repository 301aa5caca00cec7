"""What was called off."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue.metric import Label, Metric, MetricName

L = Label
N = MetricName

METRICS: Final = (
    Metric(
        N.CANCELS,
        "gauge",
        "ids and threads",
        (),
        "Cancels that this process remembers, of the partitions that it follows.",
        "Near 200,000 a partition the oldest are forgotten: cancel campaigns as a whole, or threads, instead of ids.",
    ),
    Metric(
        N.CANCELS_FORGOTTEN,
        "counter",
        "ids and threads",
        (),
        "Cancels that this process let go because a partition had too many.",
        "Alert on any: what they named may leave.",
    ),
    Metric(
        N.CANCELS_IGNORED,
        "counter",
        "records",
        (L.REASON,),
        "Records of push.cancel.v1 that this process could not read; the keeper writes their dead letters.",
        "Look into push.cancel.v1.dlq: somebody believes that something was cancelled.",
    ),
)
