"""How the connections to a provider stand, as samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pushcast.http2.pool_stats import PoolStats
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample


def pool_samples(app: str, platform: str, stats: Sequence[PoolStats]) -> Iterator[Sample]:
    """Connections of one app to one provider; Web Push has a pool for each push service."""
    labels = (app, platform)
    yield Sample(Name.PROVIDER_CONNECTIONS, sum(each.connections for each in stats), labels)
    yield Sample(Name.PROVIDER_REQUESTS, sum(each.in_flight for each in stats), labels)
    yield Sample(Name.PROVIDER_REQUESTS_WAITING, sum(each.waiting for each in stats), labels)
    yield Sample(Name.PROVIDER_REQUESTS_LIMIT, sum(each.limit for each in stats), labels)
    yield Sample(Name.PROVIDER_LATENCY, max((each.latency_seconds for each in stats), default=0.0), labels)
    for word, count in Counter(each.limited_by for each in stats).items():
        yield Sample(Name.PROVIDER_LIMITED, count, (*labels, word))
    ended: Counter[str] = Counter()
    for each in stats:
        ended.update(each.ended)
    for reason, count in ended.items():
        yield Sample(Name.PROVIDER_CONNECTIONS_ENDED, count, (*labels, reason))
