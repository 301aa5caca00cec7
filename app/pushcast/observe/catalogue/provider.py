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
        N.PROVIDER_REQUESTS,
        "gauge",
        "requests",
        (L.APP, L.PLATFORM),
        "Requests that have left and are not answered.",
        "At pushcast_provider_requests_limit: see pushcast_provider_limited_pools.",
    ),
    Metric(
        N.PROVIDER_REQUESTS_WAITING,
        "gauge",
        "requests",
        (L.APP, L.PLATFORM),
        "Requests that wait to leave.",
        "Beside few requests out: what limits is told by pushcast_provider_limited_pools.",
    ),
    Metric(
        N.PROVIDER_REQUESTS_LIMIT,
        "gauge",
        "requests",
        (L.APP, L.PLATFORM),
        "Requests that may be out now: follows what answers take (send.limit).",
        "Low while work waits: the provider is slow, or asked again after little use.",
    ),
    Metric(
        N.PROVIDER_LATENCY,
        "gauge",
        "seconds",
        (L.APP, L.PLATFORM),
        "Mean of what answers took lately, from when their requests had left; of the slowest connection pool.",
        "Far above its usual: the provider is slow, and the limit falls until it is not.",
    ),
    Metric(
        N.PROVIDER_LIMITED,
        "gauge",
        "pools",
        (L.APP, L.PLATFORM, L.REASON),
        "Connection pools by what keeps more requests from being out: work (nothing waits), latency, growth (the limit "
        "is on its way up), setting (send.max_in_flight), streams (or connections).",
        "latency: the provider. setting with idle CPU: raise send.max_in_flight. streams: raise max_connections.",
    ),
    Metric(
        N.PROVIDER_CONNECTIONS_ENDED,
        "counter",
        "connections",
        (L.APP, L.PLATFORM, L.REASON),
        "Connections that are no more.",
        "Rotation is normal; refused or reset ones in numbers are the network's or the provider's.",
    ),
    Metric(
        N.CREDENTIAL_EXPIRES,
        "gauge",
        "seconds",
        (L.APP, L.PLATFORM),
        "When a certificate ends, in seconds since the epoch. Keys and tokens without an end have no series.",
        "Within two weeks: put a new certificate in place of the file; senders take it within 6 s, without a restart.",
    ),
    Metric(
        N.MIRRORED_TOPICS,
        "counter",
        "changes",
        (L.APP, L.RESULT),
        "What FCM was told of devices' topics: `followed`, `left`, or why not, as `unregistered` and `given_up`.",
        "`given_up`: FCM refused for ten minutes, and these devices are told of again when they refresh; look at the"
        " log for `fcm_topics_refused`. `not_mirrored`: registrars and senders differ in `mirror_topics`.",
    ),
)
