"""The lag of a group that is down is told by others (faults.md P2-15)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from pushcast.config.settings import Settings
from pushcast.kafka.positions import Members, Spot
from pushcast.kafka.reach import Unreachable
from pushcast.model.clock import ManualClock
from pushcast.model.words import Lane, Platform
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample
from pushcast.runtime import group_watch
from pushcast.runtime.group_watch import GroupWatch
from pushcast.runtime.hosted import specs_of
from pushcast.runtime.roles import ROLES
from pushcast.stream.stages import readings
from pushcast.wire import groups, topics
from pushcast.wire.groups import Reading

NOW_MS = 1_800_000_000_000
SENDERS = Reading("sender", "pushcast-send-apns-bulk", ("push.send.apns.bulk.v1",))
SETTLERS = Reading("settler", "pushcast-settle", ("push.retry.10s.v1", "push.parked.v1"))


class TwinPositions:
    """Two partitions of every topic, of which retention has taken the first record; senders are away."""

    def __init__(self) -> None:
        self.error: KafkaException | None = None
        self.handled: dict[str, int] = {}

    def members(self, groups: Sequence[str]) -> dict[str, Members]:
        return {group: Members("empty", 0) if "send" in group else Members("stable", 2) for group in groups}

    def starts(self, spots: Sequence[Spot]) -> dict[Spot, int]:
        if self.error is not None:
            raise self.error
        return dict.fromkeys(spots, 1)

    def ends(self, spots: Sequence[Spot]) -> dict[Spot, int]:
        return {spot: 1001 if spot[0] == SENDERS.topics[0] else 7 for spot in spots}

    def at(self, times_ms: Mapping[Spot, int]) -> dict[Spot, int]:
        assert set(times_ms.values()) <= {NOW_MS - 120_000}
        return {spot: 5 for spot in times_ms if spot[1] == 0}  # in the other partition all records are older

    def committed_by(self, wanted: Mapping[str, Collection[Spot]]) -> dict[str, dict[Spot, int]]:
        return {
            group: {} if "send" in group else dict.fromkeys(spots, self.handled.get(group, 7))
            for group, spots in wanted.items()
        }


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_watch, "require_broker", lambda _: None)


def watch(positions: Any) -> GroupWatch:
    return GroupWatch(positions, [SENDERS, SETTLERS], 2, "nowhere:1", prompt=(), clock=ManualClock(NOW_MS))


def test_o4_notifications_that_wait_for_a_planner_longer_than_the_service_level_are_counted() -> None:
    positions = TwinPositions()
    planners = Reading("planner", "pushcast-plan-bulk", (topics.notification(Lane.BULK), topics.due(Lane.BULK)))
    positions.handled[planners.group] = 3
    found = GroupWatch(positions, [planners], 2, "nowhere:1", prompt=[Lane.BULK], clock=ManualClock(NOW_MS))
    found.look()
    # Of partition 0 what lies between 3 and 5 is old, of partition 1 all that is there: 3 to 7.
    assert Sample(Name.SLO_UNPLANNED, 2 + 4, (Lane.BULK,)) in set(found.samples())


def test_a_group_without_members_has_the_lag_of_all_that_is_still_there() -> None:
    found = watch(TwinPositions())
    found.look()
    assert set(found.samples()) == {
        Sample(Name.GROUP_LAG, 2000, (SENDERS.group, SENDERS.topics[0])),
        Sample(Name.GROUP_LAG, 0, (SETTLERS.group, "push.retry.10s.v1")),
        Sample(Name.GROUP_LAG, 0, (SETTLERS.group, "push.parked.v1")),
        Sample(Name.GROUP_MEMBERS, 0, (SENDERS.group,)),
        Sample(Name.GROUP_MEMBERS, 2, (SETTLERS.group,)),
    }


async def test_figures_end_with_the_answers_and_come_back_with_them(reachable: None) -> None:
    positions = TwinPositions()
    found = watch(positions)
    task = asyncio.create_task(found.run(0.001))
    try:
        for error, there in ((None, 5), (KafkaException(KafkaError(KafkaError._TIMED_OUT)), 0), (None, 5)):
            positions.error = error
            async with asyncio.timeout(10):
                while len(list(found.samples())) != there:
                    await asyncio.sleep(0.001)
    finally:
        task.cancel()


async def test_nothing_is_asked_of_a_cluster_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()

    def away(servers: str) -> None:
        asked.set()
        raise Unreachable(f"no broker answers at {servers}")

    monkeypatch.setattr(group_watch, "require_broker", away)
    found = watch(None)  # a question would raise AttributeError
    task = asyncio.create_task(found.run(0.001))
    try:
        await asyncio.wait_for(asked.wait(), 10)
        assert list(found.samples()) == []
        assert not task.done()
    finally:
        task.cancel()


def test_the_groups_of_the_tools_are_those_of_the_stages() -> None:
    apns = {"key_file": "k.p8", "key_id": "E52JRQW3DA", "team_id": "4P2AQZH86A", "topic": "com.example.news"}
    fcm = {"service_account_file": "f.json", "project_id": "news", "mirror_topics": ["team"]}
    webpush = {"vapid_key_file": "v.pem", "subject": "mailto:a@example.com", "allowed_hosts": ["push.example.com"]}
    news = {"apns": apns, "fcm": fcm, "webpush": webpush, "expo": {}}
    settings = Settings.model_validate({"apps": {"news": news}})
    of_stages: dict[tuple[str, str], set[str]] = {}
    for role in ROLES:
        for spec in specs_of(role, settings, list(Lane), list(Platform)):
            read = of_stages.setdefault((spec.role, spec.group), set())
            read.update(topic for each in spec.subscriptions for topic in each.topics)
    assert {(each.role, each.group): set(each.topics) for each in readings()} == of_stages


def test_a_platform_that_no_app_has_is_not_watched() -> None:
    assert {each.group for each in readings([Platform.FCM])} & {
        groups.poll(Platform.EXPO),
        groups.send(Platform.APNS, Lane.BULK),
    } == set()
