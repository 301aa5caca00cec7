"""The HTTP door."""

from __future__ import annotations

from typing import Final

from pushcast.observe.catalogue.metric import Label, Metric, MetricName

L = Label
N = MetricName

METRICS: Final = (
    Metric(
        N.GATEWAY_REQUESTS,
        "counter",
        "requests",
        (L.ROUTE, L.STATUS),
        "Requests answered, by call and HTTP status. `none`: no call has this path. `preflight`: of browsers.",
        "503: Kafka does not confirm in time. 500: an error of ours; the log has it. 401 and 429: see the clients.",
    ),
    Metric(
        N.GATEWAY_REQUEST_SECONDS,
        "histogram",
        "seconds",
        (L.ROUTE,),
        "From the head of a request to its answer, Kafka's confirmation included.",
        "Far above 0.01 for `send`: Kafka is slow to confirm, or the process has no CPU left; start another one.",
        (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    ),
    Metric(
        N.GATEWAY_ACK_SECONDS,
        "histogram",
        "seconds",
        (),
        "From when a record was put until Kafka confirmed or refused it. A bulk counts once for each 500 records.",
        "Near pushcast_gateway_request_seconds of `send`: look after the brokers. Far below it: this process is busy.",
        (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    ),
    Metric(
        N.GATEWAY_LIMITED,
        "counter",
        "requests",
        (L.POLICY,),
        "Requests refused as a key's quota is used up, or an address sent too many wrong keys or tokens (`address`).",
        "A key that needs more: make one with a larger `--requests-per-minute`. `address`: look who tries keys.",
    ),
    Metric(
        N.GATEWAY_PEERS,
        "gauge",
        "gateways",
        (),
        "Gateways that this process shares quotas with, itself included. Only with `gateway.sharing`.",
        "Fewer than there are: one does not write to push.where.v1, or its clock is a minute off.",
    ),
    Metric(
        N.GATEWAY_UNSHARED,
        "counter",
        "requests",
        (),
        "Requests let in by this process's own count because the gateway that counts for their key did not answer.",
        "Grows: a gateway is gone or slow, or `gateway.sharing` is wrong; meanwhile keys get more than their quotas.",
    ),
    Metric(
        N.GATEWAY_CONNECTIONS_REFUSED,
        "counter",
        "connections",
        (),
        "Connections closed unheard because too many were open, in all or from one address.",
        "Grows: raise gateway.max_connections, start another process, or look which address opens so many.",
    ),
    Metric(
        N.GATEWAY_UNCONFIRMED,
        "gauge",
        "records",
        (),
        "Records written to Kafka that it has not confirmed.",
        "Thousands: Kafka is slow; at 10,000 requests are refused with 503 `overloaded`.",
    ),
    Metric(
        N.GATEWAY_OLDEST_UNCONFIRMED,
        "gauge",
        "seconds",
        (),
        "How long the oldest of them waits.",
        "Above 2 every write is refused with 503 `kafka_unavailable`: look after the brokers.",
    ),
    Metric(
        N.GATEWAY_KEYS,
        "gauge",
        "keys",
        (),
        "API keys that this process knows, disabled ones included.",
        "0: nobody can send; `pushcast key create` makes the first one.",
    ),
    Metric(
        N.GATEWAY_KEYS_IGNORED,
        "counter",
        "records",
        (L.REASON,),
        "Records of push.key.v1 that change nothing because they are malformed or one too many.",
        "Any: somebody writes there by hand, or a newer release does; the log names the first of each reason.",
    ),
)
