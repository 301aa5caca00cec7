"""What a process shows of its Apps, of the control topic and of what is called off, as samples.

What a stage counts stands beside the stage (`observe.stage_counters`), connections beside the providers.
"""

from __future__ import annotations

from collections.abc import Iterator

from pushcast.model.words import Lane
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample
from pushcast.transport.app_state import AppState
from pushcast.wire.control.cancel_state import CancelState
from pushcast.wire.control.control_state import ControlState


def app_samples(group: AppState, now_ms: int, boottime_seconds: float) -> Iterator[Sample]:
    """Figures of an App, per topic over its partitions. A lag that is not known yet is not shown."""
    yield Sample(Name.READY, group.assigned and group.recovered and group.lag_known, (group.name,))
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


def control_samples(state: ControlState) -> Iterator[Sample]:
    """What the control topic says."""
    for app, platform in {(subject.app, subject.platform) for subject in state.pauses}:
        for lane in Lane:
            if state.paused(app, platform, lane):
                yield Sample(Name.PAUSED, 1, (app, platform, lane))
    for reason, count in state.ignored.items():
        yield Sample(Name.CONTROL_IGNORED, count, (reason,))


def cancel_samples(state: CancelState) -> Iterator[Sample]:
    """What is called off, as far as this process follows it."""
    yield Sample(Name.CANCELS, state.count)
    yield Sample(Name.CANCELS_FORGOTTEN, state.evicted)
    for reason, count in state.ignored.items():
        yield Sample(Name.CANCELS_IGNORED, count, (reason,))
