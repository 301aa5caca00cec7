"""SEND: outcomes, what is in flight, what a hand-over left out."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue.metric import Label, Metric, MetricName

L = Label
N = MetricName

METRICS: Final = (
    Metric(
        N.OUTCOMES,
        "counter",
        "deliveries",
        (L.APP, L.PLATFORM, L.LANE, L.OUTCOME, L.REASON),
        "Deliveries that ended, receipts acknowledged or on their way.",
        "Alert on the share of other outcomes than accepted per app; docs/providers.md explains the reasons.",
    ),
    Metric(
        N.TRIES_AGAIN,
        "counter",
        "attempts",
        (L.APP, L.PLATFORM, L.LANE, L.DISPOSITION),
        "Attempts that were followed by another. `unknown` ones may have reached the device.",
        "A steady share: the provider is overloaded or the network loses connections.",
    ),
    Metric(
        N.DROPPED,
        "counter",
        "targets",
        (L.PLATFORM, L.LANE),
        "Targets given back unfinished when a partition moved; its next owner sends them.",
        "Grows at rebalances only. Otherwise the quiesce bound is too short for the provider's deadline.",
    ),
    Metric(
        N.SEND_VOID,
        "counter",
        "records",
        (L.PLATFORM, L.LANE),
        "Send batches of planners that had been fenced off: skipped, their successors planned them again.",
        "A few after a planner was stopped or cut off. Steadily: two planners believe that they own a partition.",
    ),
    Metric(
        N.SKIPPED,
        "counter",
        "targets",
        (L.PLATFORM, L.LANE),
        "Targets that a predecessor had brought to an end before its commit: found in the ledger, not sent again.",
        "Grows after a sender was killed or lost its partitions; that is the ledger at work.",
    ),
    Metric(
        N.EXPIRIES_CUT,
        "counter",
        "targets",
        (L.PLATFORM, L.LANE),
        "Targets whose expiry is later than the provider takes (28 days; APNs, Expo: 2038), cut to that.",
        "A producer writes an expires_at that is too far away: look for a wrong unit.",
    ),
    Metric(
        N.SENT_UNHEARD,
        "counter",
        "targets",
        (L.PLATFORM, L.LANE),
        "Urgent targets that left while their sender had not known for 2 s that it has heard every cancel.",
        "Kafka is slow for push.cancel.v1. Ask `pushcast cancel … --report` what came too late; other lanes waited.",
    ),
    Metric(
        N.IN_FLIGHT,
        "gauge",
        "deliveries",
        (L.APP, L.PLATFORM),
        "Deliveries at the provider or not yet acknowledged.",
        "This many can reach a device twice if the process is killed now.",
    ),
    Metric(
        N.IN_FLIGHT_LIMIT,
        "gauge",
        "deliveries",
        (),
        "What pushcast_in_flight_deliveries may sum up to.",
        "At the limit with idle CPU the provider's latency limits: raise send.max_in_flight, or start more senders.",
    ),
)
