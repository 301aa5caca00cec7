"""What keeps one app's trouble to itself: parked work, breakers, pauses."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue.metric import Label, Metric, MetricName

L = Label
N = MetricName

METRICS: Final = (
    Metric(
        N.PARKED,
        "counter",
        "targets",
        (L.APP, L.PLATFORM, L.LANE, L.REASON),
        "Targets kept aside in push.parked.v1: `paused`, `breaker` (its provider is broken), `budget` (it is slow) or "
        "`key_unknown` (the address is sealed with a key that the sender does not hold).",
        "breaker: see pushcast_breaker_open and the log. budget: the app's provider answers slowly; see its latency. "
        "key_unknown: give the senders the keyring that has the key (docs/sealing.md).",
    ),
    Metric(
        N.BREAKER_OPEN,
        "gauge",
        "0 or 1",
        (L.APP, L.PLATFORM),
        "1 while this process lets nothing but probes out to an app's provider.",
        "Alert on 1 for minutes. pushcast_breakers_opened_total has the reason: a refused key needs an operator.",
    ),
    Metric(
        N.BREAKERS_OPENED,
        "counter",
        "openings",
        (L.APP, L.PLATFORM, L.REASON),
        "Times that this process found an app's provider broken.",
        "Growing while the provider is well: its failures come in bursts; see send.breaker in the configuration.",
    ),
    Metric(
        N.PAUSED,
        "gauge",
        "0 or 1",
        (L.APP, L.PLATFORM, L.LANE),
        "1 for what an operator has paused, as this process knows it.",
        "`pushcast pause --list` says who and why. Work of it waits in push.parked.v1, and expires there.",
    ),
    Metric(
        N.CONTROL_IGNORED,
        "counter",
        "records",
        (L.REASON,),
        "Records of the control topic that this process could not read.",
        "Somebody writes there by hand, or a newer release does: upgrade this process, or find the writer.",
    ),
)
