"""What SEND counts, as metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample
from pushcast.observe.stage_counters import stage
from pushcast.send.figures import Figures
from pushcast.send.reads import ROLE


def samples_of(figures: Figures) -> Iterator[Sample]:
    """Counters of the senders of a process."""
    counted: Mapping[Name, Mapping[Any, int]] = {
        Name.OUTCOMES: figures.outcomes,
        Name.TRIES_AGAIN: figures.tries_again,
        Name.DROPPED: figures.dropped,
        Name.SEND_VOID: figures.void,
        Name.SKIPPED: figures.skipped,
        Name.EXPIRIES_CUT: figures.expiries_cut,
        Name.SENT_UNHEARD: figures.unheard,
        Name.PARKED: figures.parked,
        Name.BREAKERS_OPENED: figures.breakers_opened,
    }
    for name, series in counted.items():
        for labels, count in series.items():
            yield Sample(name, count, labels)
    for (lane, counter, reason), count in figures.edge.items():
        yield from stage(ROLE, lane, {(counter, reason): count})
    for where, state in figures.breakers.items():
        yield Sample(Name.BREAKER_OPEN, state != "closed", where)
