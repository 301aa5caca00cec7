"""Requests to a provider and the connections that they go over."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue.metric import Label, Metric, MetricName

L = Label
N = MetricName

#: Around what providers answer in: APNs some ms, FCM tens to hundreds; the deadline of a request is 10 s.
_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

METRICS: Final = (
    Metric(
        N.PROVIDER_SECONDS,
        "histogram",
        "seconds",
        (L.APP, L.PLATFORM),
        "From sending a request to its answer.",
        "A rise for one app alone: its project or region. For all: the network.",
        _REQUEST_SECONDS,
    ),
    Metric(
        N.PROVIDER_CONNECTIONS,
        "gauge",
        "connections",
        (L.APP, L.PLATFORM),
        "Open connections to the provider.",
        "0 while deliveries wait: see pushcast_provider_connections_ended_total and the log.",
    ),
    Metric(
        N.PROVIDER_CONNECTIONS_ENDED,
        "counter",
        "connections",
        (L.APP, L.PLATFORM, L.REASON),
        "Connections that are no more.",
        "Rotation is normal; refused or reset ones in numbers are the network's or the provider's.",
    ),
)
