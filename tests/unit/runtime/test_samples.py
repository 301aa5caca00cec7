from __future__ import annotations

from pushcast.model.words import Lane
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample
from pushcast.runtime.samples import app_samples, control_samples
from pushcast.wire.control.control_state import ControlState
from unit.transport.figures import app_state, partition_state

LABELS = ("pushcast-report", "push.receipt.v1")


def test_a_partition_shows_lag_age_and_what_is_unfinished() -> None:
    partition = partition_state(
        lag_records=12,
        oldest_unfinished_at_ms=7_500,
        in_flight_records=3,
        in_flight_bytes=900,
        in_flight_targets=40,
        paused=True,
    )
    samples = list(app_samples(app_state(partitions=[partition], last_heartbeat_at=98.0), 10_000, 100.0))
    assert Sample(Name.LAG, 12, LABELS) in samples
    assert Sample(Name.OLDEST_UNFINISHED, 2.5, LABELS) in samples
    assert Sample(Name.UNFINISHED_RECORDS, 3, LABELS) in samples
    assert Sample(Name.UNFINISHED_BYTES, 900, LABELS) in samples
    assert Sample(Name.UNFINISHED_TARGETS, 40, LABELS) in samples
    assert Sample(Name.PARTITIONS_PAUSED, 1, LABELS) in samples
    assert Sample(Name.HEARTBEAT_AGE, 2.0, ("pushcast-report",)) in samples
    assert Sample(Name.READY, 1, ("pushcast-report",)) in samples


def test_an_unknown_lag_is_not_shown_as_zero() -> None:
    samples = list(app_samples(app_state(partitions=[partition_state(lag_records=None)]), 0, 0.0))
    assert Name.LAG not in {sample.name for sample in samples}
    assert Sample(Name.READY, 0, ("pushcast-report",)) in samples


def test_a_timestamp_ahead_of_our_clock_is_no_negative_age() -> None:
    group = app_state(partitions=[partition_state(oldest_unfinished_at_ms=20_000)])
    assert Sample(Name.OLDEST_UNFINISHED, 0.0, LABELS) in list(app_samples(group, 10_000, 0.0))


def test_pauses_and_ignored_control_records_are_shown() -> None:
    state = ControlState()
    state.apply(b"pause/news/apns/bulk", b'{"since_ms":1}')
    state.apply(b"pause/chat/fcm/*", b'{"since_ms":1}')
    state.apply(b"weather", b"rain")
    samples = list(control_samples(state))
    assert {sample.labels for sample in samples if sample.name is Name.PAUSED} == {
        ("news", "apns", "bulk"),
        *(("chat", "fcm", lane) for lane in Lane),
    }
    assert samples[-1] == Sample(Name.CONTROL_IGNORED, 1, ("key_invalid",))
