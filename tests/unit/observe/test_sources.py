from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from pushcast.model.words import Lane
from pushcast.observe import sources
from pushcast.observe.catalogue import BY_NAME
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample
from pushcast.wire.control_state import ControlState
from unit.observe.figures import Group, Partition

ROOT = Path(__file__).parents[3]
LABELS = ("pushcast-report", "push.receipt.v1")


def test_a_partition_shows_lag_age_and_what_is_unfinished() -> None:
    partition = Partition(
        lag_records=12,
        oldest_unfinished_at_ms=7_500,
        in_flight_records=3,
        in_flight_bytes=900,
        in_flight_targets=40,
        paused=True,
    )
    samples = list(sources.transport(Group(partitions=[partition], last_heartbeat_at=98.0), 10_000, 100.0))
    assert Sample(Name.LAG, 12, LABELS) in samples
    assert Sample(Name.OLDEST_UNFINISHED, 2.5, LABELS) in samples
    assert Sample(Name.UNFINISHED_RECORDS, 3, LABELS) in samples
    assert Sample(Name.UNFINISHED_BYTES, 900, LABELS) in samples
    assert Sample(Name.UNFINISHED_TARGETS, 40, LABELS) in samples
    assert Sample(Name.PARTITIONS_PAUSED, 1, LABELS) in samples
    assert Sample(Name.HEARTBEAT_AGE, 2.0, ("pushcast-report",)) in samples
    assert Sample(Name.READY, 1, ("pushcast-report",)) in samples


def test_an_unknown_lag_is_not_shown_as_zero() -> None:
    samples = list(sources.transport(Group(partitions=[Partition(lag_records=None)]), 0, 0.0))
    assert Name.LAG not in {sample.name for sample in samples}
    assert Sample(Name.READY, 0, ("pushcast-report",)) in samples


def test_a_timestamp_ahead_of_our_clock_is_no_negative_age() -> None:
    group = Group(partitions=[Partition(oldest_unfinished_at_ms=20_000)])
    assert Sample(Name.OLDEST_UNFINISHED, 0.0, LABELS) in list(sources.transport(group, 10_000, 0.0))


def test_pauses_and_ignored_control_records_are_shown() -> None:
    state = ControlState()
    state.apply(b"pause/news/apns/bulk", b'{"since_ms":1}')
    state.apply(b"pause/chat/fcm/*", b'{"since_ms":1}')
    state.apply(b"weather", b"rain")
    samples = list(sources.control(state))
    assert {sample.labels for sample in samples if sample.name is Name.PAUSED} == {
        ("news", "apns", "bulk"),
        *(("chat", "fcm", lane) for lane in Lane),
    }
    assert samples[-1] == Sample(Name.CONTROL_IGNORED, 1, ("key_invalid",))


def test_pools_of_one_provider_add_up_and_say_what_limits_them() -> None:
    def made(limited_by: str, latency_seconds: float) -> SimpleNamespace:
        return SimpleNamespace(
            connections=2,
            ended={"closed_by_us": 1},
            in_flight=30,
            waiting=5,
            limit=100,
            limited_by=limited_by,
            latency_seconds=latency_seconds,
        )

    samples = list(sources.pools("news", "webpush", [made("work", 0.1), made("latency", 2.5), made("work", 0.2)]))
    labels = ("news", "webpush")
    assert Sample(Name.PROVIDER_REQUESTS, 90, labels) in samples
    assert Sample(Name.PROVIDER_REQUESTS_LIMIT, 300, labels) in samples
    assert Sample(Name.PROVIDER_LATENCY, 2.5, labels) in samples
    assert Sample(Name.PROVIDER_LIMITED, 2, (*labels, "work")) in samples
    assert Sample(Name.PROVIDER_LIMITED, 1, (*labels, "latency")) in samples
    assert Sample(Name.PROVIDER_CONNECTIONS_ENDED, 3, (*labels, "closed_by_us")) in samples
    assert all(len(sample.labels) == len(BY_NAME[sample.name].labels) for sample in samples)
