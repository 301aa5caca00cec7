"""Turns what the transport, the control topic and connections tell into samples, whatever stage has them.

Structural types: this layer imports none of them. What a stage counts stands beside the stage (`stage_counters`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from pushcast.model.words import Lane
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample


class PartitionFigures(Protocol):
    """One assigned partition: `pushcast.stream.stage.PartitionState`."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def lag_records(self) -> int | None: ...
    @property
    def oldest_unfinished_at_ms(self) -> int | None: ...
    @property
    def in_flight_records(self) -> int: ...
    @property
    def in_flight_bytes(self) -> int: ...
    @property
    def in_flight_targets(self) -> int: ...
    @property
    def paused(self) -> bool: ...
    @property
    def waits_for(self) -> str | None: ...


class GroupFigures(Protocol):
    """One App, `transport.host.AppState`. `last_heartbeat_at` is CLOCK_BOOTTIME seconds, 0 before the first."""

    @property
    def name(self) -> str: ...
    @property
    def assigned(self) -> bool: ...
    @property
    def recovered(self) -> bool: ...
    @property
    def partitions(self) -> Iterable[PartitionFigures]: ...
    @property
    def last_heartbeat_at(self) -> float: ...
    @property
    def problems(self) -> Iterable[str]: ...
    @property
    def earlier(self) -> Mapping[str, int]: ...
    @property
    def jumped(self) -> Mapping[str, int]: ...
    @property
    def held_seconds(self) -> Mapping[str, float]: ...


class ControlFigures(Protocol):
    """`pushcast.wire.control_state.ControlState`."""

    @property
    def pauses(self) -> Mapping[Any, Any]: ...
    @property
    def ignored(self) -> Mapping[str, int]: ...
    def paused(self, app: str, platform: Any, lane: Any, /) -> bool: ...


class CancelFigures(Protocol):
    """`pushcast.wire.cancel_state.CancelState`."""

    @property
    def count(self) -> int: ...
    @property
    def evicted(self) -> int: ...
    @property
    def ignored(self) -> Mapping[str, int]: ...


class PoolFigures(Protocol):
    """`pushcast.http2.pool_stats.PoolStats`."""

    @property
    def connections(self) -> int: ...
    @property
    def ended(self) -> Mapping[str, int]: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def limit(self) -> int: ...
    @property
    def limited_by(self) -> str: ...
    @property
    def latency_seconds(self) -> float: ...


def lag_known(group: GroupFigures) -> bool:
    """Whether the broker has told the end of the log of every owned partition."""
    return all(partition.lag_records is not None for partition in group.partitions)


def transport(group: GroupFigures, now_ms: int, boottime_seconds: float) -> Iterator[Sample]:
    """Figures of an App, per topic over its partitions. A lag that is not known yet is not shown."""
    yield Sample(Name.READY, group.assigned and group.recovered and lag_known(group), (group.name,))
    if group.last_heartbeat_at:
        yield Sample(Name.HEARTBEAT_AGE, max(0.0, boottime_seconds - group.last_heartbeat_at), (group.name,))
    yield Sample(Name.TRANSACTION_WAIT, max(group.held_seconds.values(), default=0.0), (group.name,))
    for topic, count in group.earlier.items():
        yield Sample(Name.EARLIER_SCHEMAS, count, (group.name, topic))
    for topic, count in group.jumped.items():
        yield Sample(Name.LOG_JUMPED, count, (group.name, topic))
    for partition in group.partitions:
        labels = (group.name, partition.topic)
        oldest_at = partition.oldest_unfinished_at_ms
        yield Sample(Name.PARTITIONS, 1, labels)
        yield Sample(Name.PARTITIONS_PAUSED, partition.paused, labels)
        yield Sample(Name.UNFINISHED_RECORDS, partition.in_flight_records, labels)
        yield Sample(Name.UNFINISHED_BYTES, partition.in_flight_bytes, labels)
        yield Sample(Name.UNFINISHED_TARGETS, partition.in_flight_targets, labels)
        yield Sample(Name.OLDEST_UNFINISHED, 0.0 if oldest_at is None else max(0, now_ms - oldest_at) / 1000, labels)
        if partition.lag_records is not None:
            yield Sample(Name.LAG, partition.lag_records, labels)


def control(state: ControlFigures) -> Iterator[Sample]:
    """What the control topic says."""
    for app, platform in {(subject.app, subject.platform) for subject in state.pauses}:
        for lane in Lane:
            if state.paused(app, platform, lane):
                yield Sample(Name.PAUSED, 1, (app, platform, lane))
    for reason, count in state.ignored.items():
        yield Sample(Name.CONTROL_IGNORED, count, (reason,))


def cancels(state: CancelFigures) -> Iterator[Sample]:
    """What is called off, as far as this process follows it."""
    yield Sample(Name.CANCELS, state.count)
    yield Sample(Name.CANCELS_FORGOTTEN, state.evicted)
    for reason, count in state.ignored.items():
        yield Sample(Name.CANCELS_IGNORED, count, (reason,))


def pools(app: str, platform: str, stats: Sequence[PoolFigures]) -> Iterator[Sample]:
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
