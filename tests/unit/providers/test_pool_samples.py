"""Connections to a provider, as metrics show them."""

from __future__ import annotations

from pushcast.http2.pool_stats import LimitedBy, PoolStats
from pushcast.observe.catalogue import BY_NAME
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample
from pushcast.providers.pool_samples import pool_samples


def test_pools_of_one_provider_add_up_and_say_what_limits_them() -> None:
    def made(limited_by: LimitedBy, latency_seconds: float) -> PoolStats:
        return PoolStats(
            connections=2,
            opening=0,
            draining=0,
            in_flight=30,
            waiting=5,
            opened=3,
            ended={"closed_by_us": 1},
            limit=100,
            limited_by=limited_by,
            latency_seconds=latency_seconds,
        )

    stats = [made(LimitedBy.WORK, 0.1), made(LimitedBy.LATENCY, 2.5), made(LimitedBy.WORK, 0.2)]
    samples = list(pool_samples("news", "webpush", stats))
    labels = ("news", "webpush")
    assert Sample(Name.PROVIDER_REQUESTS, 90, labels) in samples
    assert Sample(Name.PROVIDER_REQUESTS_LIMIT, 300, labels) in samples
    assert Sample(Name.PROVIDER_LATENCY, 2.5, labels) in samples
    assert Sample(Name.PROVIDER_LIMITED, 2, (*labels, "work")) in samples
    assert Sample(Name.PROVIDER_LIMITED, 1, (*labels, "latency")) in samples
    assert Sample(Name.PROVIDER_CONNECTIONS_ENDED, 3, (*labels, "closed_by_us")) in samples
    assert all(len(sample.labels) == len(BY_NAME[sample.name].labels) for sample in samples)
