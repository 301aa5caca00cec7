"""Reports."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue.metric import Label, Metric, MetricName

L = Label
N = MetricName

METRICS: Final = (
    Metric(
        N.REPORT_PARTITIONS,
        "gauge",
        "partitions",
        (),
        "Partitions whose reports this process keeps.",
        "The sum over all reporters is below kafka.partitions: reports name the others as missing; start a reporter.",
    ),
    Metric(
        N.REPORT_BEHIND,
        "gauge",
        "records",
        (L.TOPIC,),
        "Records of the books that are written and not yet in the reports, as far as was heard.",
        "Grows for minutes: reports are old; start another reporter. After a start on a new disk it falls for a while.",
    ),
)
