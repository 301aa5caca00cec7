"""SPREAD and WALK: broadcasts on their way to the devices of their audience."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue.metric import Label, Metric, MetricName

L = Label
N = MetricName

METRICS: Final = (
    Metric(
        N.BROADCASTS,
        "counter",
        "broadcasts",
        (L.RESULT,),
        "What was spread: broadcast, count, scheduled, duplicate or expired; later a step, due, or why none came.",
        "Many duplicates: a producer uses ids again. Expired ones: the settler was away, or created_at is wrong.",
    ),
    Metric(
        N.WALK_LEGS,
        "counter",
        "legs",
        (L.LANE,),
        "Legs of walks over the devices whose record is acknowledged.",
        "None while `pushcast broadcast status` says walking: see the lag of the senders and holds.",
    ),
    Metric(
        N.WALK_VOID,
        "counter",
        "records",
        (L.LANE,),
        "Orders that were skipped: copies of a settler's successor, or written by one that had been fenced off.",
        "Nothing: this is how a broadcast is not walked twice.",
    ),
)
