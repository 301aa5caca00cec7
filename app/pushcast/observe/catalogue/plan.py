"""PLAN: multicast batches, and notifications that became none."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue.metric import Label, Metric, MetricName

L = Label
N = MetricName

_TARGETS = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)

METRICS: Final = (
    Metric(
        N.BATCHES,
        "counter",
        "batches",
        (L.PLATFORM, L.LANE),
        "Multicast batches written for senders.",
        "Planned targets over batches is the mean batch; near 1 under load: windows are too short.",
    ),
    Metric(
        N.TARGETS,
        "counter",
        "targets",
        (L.PLATFORM, L.LANE),
        "Deliveries planned.",
        "Must be met by pushcast_outcomes_total in the long run; `pushcast audit` tells exactly.",
    ),
    Metric(
        N.BATCH_TARGETS,
        "histogram",
        "targets",
        (L.PLATFORM, L.LANE),
        "Targets per multicast batch.",
        "As for pushcast_batches_total.",
        _TARGETS,
    ),
    Metric(
        N.NOT_PLANNED,
        "counter",
        "notifications",
        (L.LANE, L.REASON),
        "Notifications that were planned to nothing.",
        "Many no_devices: producers notify users who never registered, or REGISTER lags. Many expired: PLAN lags.",
    ),
    Metric(
        N.ZONES_ASSUMED,
        "counter",
        "devices",
        (L.LANE,),
        "Devices without a time zone, or with one that there is not, that a local time was asked for.",
        "Let the app register its zone; until then `apps.<app>.time_zone` counts, UTC unless it is set.",
    ),
    Metric(
        N.HELD,
        "counter",
        "notifications",
        (L.LANE, L.REASON),
        "Notifications that went to the keeper, by why they wait.",
        "Nothing: they come back when they are due. pushcast_timers says how many wait.",
    ),
)
