from __future__ import annotations

import asyncio
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pushcast.model.words import Lane, Platform
from pushcast.observe import sources
from pushcast.observe.catalogue import BY_NAME
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample
from pushcast.poll.figures import PollCounters
from pushcast.send.figures import Figures
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


def test_every_sample_of_a_stage_has_the_labels_of_the_catalogue() -> None:
    counters = Counter({(name, "word"): 2 for name in sources.STAGE_COUNTERS})
    samples = list(sources.stage("planner", "urgent", counters))
    assert len(samples) == len(counters)
    for name, value, labels in samples:
        assert value == 2
        assert len(labels) == len(BY_NAME[name].labels)
    assert Sample(Name.DEAD_LETTERS, 2, ("planner", "urgent", "word")) in samples
    assert Sample(Name.BATCHES, 2, ("word", "urgent")) in samples


def test_a_counter_without_a_metric_is_not_silent() -> None:
    (sample,) = sources.stage("planner", "urgent", {("novelty", ""): 7})
    assert sample == Sample(Name.LABELS_REFUSED, 7, ("counter",))


@pytest.mark.parametrize("stage", ["plan", "register"])
def test_every_counter_of_the_stages_has_a_metric(stage: str) -> None:
    texts = [path.read_text() for path in (ROOT / "app" / "pushcast" / stage).glob("*.py")]
    used = {name for text in texts for name in re.findall(r"""(?:_count\(|counters\[)["'](\w+)["'],""", text)}
    assert used, "the stage counts in another way: adapt this test and STAGE_COUNTERS"
    assert used <= sources.STAGE_COUNTERS.keys()


def test_what_a_sender_counts_is_labelled() -> None:
    figures = Figures()
    figures.outcomes["news", Platform.APNS, Lane.BULK, "invalid", "device_unregistered"] += 2
    figures.tries_again["news", Platform.APNS, Lane.BULK, "unknown"] += 3
    figures.edge[Lane.BULK, "dead_letters", "undecodable"] += 1
    figures.dropped[Platform.APNS, Lane.BULK] += 5
    figures.void[Platform.APNS, Lane.BULK] += 6
    figures.skipped[Platform.APNS, Lane.BULK] += 7
    figures.expiries_cut[Platform.FCM, Lane.BULK] += 8
    figures.parked["news", Platform.APNS, Lane.BULK, "breaker"] += 8
    figures.breakers["news", Platform.APNS] = "half_open"
    figures.breakers["chat", Platform.APNS] = "closed"
    figures.breakers_opened["news", Platform.APNS, "expired_key"] += 1
    assert list(sources.sender(figures)) == [
        Sample(Name.OUTCOMES, 2, ("news", "apns", "bulk", "invalid", "device_unregistered")),
        Sample(Name.TRIES_AGAIN, 3, ("news", "apns", "bulk", "unknown")),
        Sample(Name.DEAD_LETTERS, 1, ("sender", "bulk", "undecodable")),
        Sample(Name.DROPPED, 5, ("apns", "bulk")),
        Sample(Name.SEND_VOID, 6, ("apns", "bulk")),
        Sample(Name.SKIPPED, 7, ("apns", "bulk")),
        Sample(Name.EXPIRIES_CUT, 8, ("fcm", "bulk")),
        Sample(Name.PARKED, 8, ("news", "apns", "bulk", "breaker")),
        Sample(Name.BREAKER_OPEN, 1, ("news", "apns")),
        Sample(Name.BREAKER_OPEN, 0, ("chat", "apns")),
        Sample(Name.BREAKERS_OPENED, 1, ("news", "apns", "expired_key")),
    ]
    assert all(len(sample.labels) == len(BY_NAME[sample.name].labels) for sample in sources.sender(figures))


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


def test_takeovers_count_claims_of_either_kind() -> None:
    assert list(sources.takeovers("sender", "bulk", {"takeovers": 4, "tail_records": 9})) == [
        Sample(Name.TAKEOVERS, 4, ("sender", "bulk")),
        Sample(Name.TAIL_RECORDS, 9, ("sender", "bulk")),
        Sample(Name.TAIL_VOID, 0, ("sender", "bulk")),
    ]
    [claims, *_] = sources.takeovers("planner", "bulk", {"claims": 2})
    assert claims == Sample(Name.TAKEOVERS, 2, ("planner", "bulk"))


def test_what_a_poller_counts_is_labelled() -> None:
    figures = PollCounters()
    figures.receipts["news", Platform.EXPO, "invalid", "device_unregistered"] += 2
    figures.asked["news", Platform.EXPO, "answered"] += 1
    figures.edge["dead_letters", "undecodable"] += 3
    assert list(sources.poller(figures)) == [
        Sample(Name.PROVIDER_RECEIPTS, 2, ("news", "expo", "invalid", "device_unregistered")),
        Sample(Name.RECEIPTS_ASKED, 1, ("news", "expo", "answered")),
        Sample(Name.DEAD_LETTERS, 3, ("settler", "", "undecodable")),
    ]


class _Loop:
    """A loop whose time is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Any]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, at: float, call: Any) -> asyncio.TimerHandle:
        self.timers.append((at, call))
        return None  # type: ignore[return-value]

    def run_next(self, late: float) -> None:
        at, call = self.timers.pop()
        self.now = at + late
        call()


def test_the_longest_delay_of_the_last_minute_is_shown_to_everybody_who_asks() -> None:
    """faults.md P3-31: two Prometheus replicas each took half of what there was."""
    loop = _Loop()
    delay = sources.LoopDelay(loop)  # type: ignore[arg-type]
    for late in (0.0, 0.5, 0.125):
        loop.run_next(late)
    assert delay() == delay() == [Sample(Name.LOOP_DELAY, 0.5)]
    loop.now += sources.LOOP_DELAY_SECONDS - 0.2
    assert delay() == [Sample(Name.LOOP_DELAY, 0.125)], "the longer one is over a minute old"
    loop.now += 1.0
    assert delay() == [Sample(Name.LOOP_DELAY, 0.0)]


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
