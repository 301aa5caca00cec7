"""What POLL counts, as metrics."""

from __future__ import annotations

from collections.abc import Iterator

from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample
from pushcast.observe.stage_counters import stage
from pushcast.poll.figures import PollCounters
from pushcast.poll.reads import ROLE


def samples_of(figures: PollCounters) -> Iterator[Sample]:
    """Counters of POLL."""
    for labels, count in figures.receipts.items():
        yield Sample(Name.PROVIDER_RECEIPTS, count, labels)
    for question, count in figures.asked.items():
        yield Sample(Name.RECEIPTS_ASKED, count, question)
    yield from stage(ROLE, "", figures.edge)
