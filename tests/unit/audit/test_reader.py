"""The books on librdkafka's own broker."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping

import pytest
from confluent_kafka import TopicPartition

from pushcast.audit.accounts import Totals
from pushcast.audit.reader import Books, planner_group
from pushcast.audit.spans import read_span
from pushcast.config.settings import Settings
from pushcast.kafka import group_questions
from pushcast.kafka.clients import open_consumer
from pushcast.kafka.positions import Positions, Spot
from pushcast.kafka.topics import load_topology
from pushcast.model.words import Lane, Platform
from pushcast.wire import groups, topics
from pushcast.wire.answers.receipts import Planned, encode_planned
from twins.broker import TOO_LARGE, inner_broker, write

INTAKE = topics.notification(Lane.BULK)
NOW_MS = time.time_ns() // 1_000_000
DAY_MS = 86_400_000


@pytest.fixture
def broker() -> Iterator[str]:
    with inner_broker(*[topic.name for topic in load_topology().topics]) as servers:
        yield servers


@pytest.fixture(autouse=True)
def times(monkeypatch: pytest.MonkeyPatch, broker: str) -> None:
    """This broker does not look times up: it calls all of them later than its last record."""

    def at(positions: Positions, times_ms: Mapping[Spot, int]) -> dict[Spot, int]:
        settings = settings_of(broker)
        found: dict[Spot, int] = {}
        with Books(settings) as books:
            for (topic, partition), time_ms in times_ms.items():
                low, end = positions.starts([(topic, partition)]), positions.ends([(topic, partition)])
                records = read_span(
                    books._consumer, partition, {topic: low[topic, partition]}, {topic: end[topic, partition]}
                )
                late = [each.offset() or 0 for each in records if each.timestamp()[1] >= time_ms]
                if late:
                    found[topic, partition] = min(late)
        return found

    monkeypatch.setattr(Positions, "at", at)


@pytest.fixture(autouse=True)
def no_thread_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Roles are forked in other tests, where no thread may be."""
    monkeypatch.setattr(group_questions, "IDLE_SECONDS", 0.01)
    yield
    for thread in threading.enumerate():
        if thread.name == "groups":
            thread.join(10)


def settings_of(broker: str) -> Settings:
    return Settings.model_validate({"kafka": {"bootstrap_servers": broker, "partitions": 1}})


def plan(broker: str, offset: int, timestamp_ms: int) -> None:
    planned = Planned(Lane.BULK)
    planned.add(offset, f"n{offset}", {})
    write(broker, topics.PLANNED, 0, encode_planned(planned, 1), timestamp_ms=timestamp_ms)


def reckoned(broker: str) -> Totals:
    with Books(settings_of(broker)) as books:
        return books.reckon(None)


def test_what_is_kept_whole_is_judged_whatever_its_age(broker: str) -> None:
    for age_days in (8, 0):
        write(broker, INTAKE, 0, b"{}", timestamp_ms=NOW_MS - age_days * DAY_MS)
    plan(broker, 0, NOW_MS - 8 * DAY_MS)
    totals = reckoned(broker)
    assert (totals.notifications, totals.unaccounted) == (1, 1)
    assert [row["offset"] for row in totals.unbalanced] == [1]


@pytest.mark.parametrize("topic", [topics.PLANNED, topics.RECEIPT])
def test_notifications_whose_other_half_retention_took_are_not_called_lost(broker: str, topic: str) -> None:
    write(broker, INTAKE, 0, b"{}", timestamp_ms=NOW_MS - 8 * DAY_MS)
    plan(broker, 0, NOW_MS - 8 * DAY_MS)
    write(broker, topic, 0, b"", TOO_LARGE)
    totals = reckoned(broker)
    assert (totals.notifications, totals.unaccounted, totals.unbalanced) == (0, 0, [])
    assert totals.balanced


def test_a_young_notification_is_judged_also_where_everything_old_is_gone(broker: str) -> None:
    write(broker, topics.PLANNED, 0, b"", TOO_LARGE)
    write(broker, INTAKE, 0, b"{}", timestamp_ms=NOW_MS)
    assert [row["where"] for row in reckoned(broker).unbalanced] == ["lag"]


def test_a_topic_that_was_made_anew_leaves_no_surplus_behind(broker: str) -> None:
    """Faults, section 3 no 11: the offsets are used again, the accounts are not."""
    for offset in range(3):
        plan(broker, offset, NOW_MS)  # of n0 to n2, whose topic was deleted
    write(broker, INTAKE, 0, b'{"id": "again"}', timestamp_ms=NOW_MS)
    totals = reckoned(broker)
    assert (totals.notifications, totals.not_judgeable, totals.unaccounted) == (0, 3, 1)
    assert [(row["notification"], row["source"]) for row in totals.unbalanced] == [("again", "notification")]


def test_what_several_groups_have_not_finished_is_told_for_each_topic(broker: str) -> None:
    send = topics.send(Platform.APNS, Lane.URGENT)
    for topic, count in ((INTAKE, 3), (topics.due(Lane.BULK), 2), (send, 4)):
        for _ in range(count):
            write(broker, topic, 0, b"record")
    with open_consumer({"bootstrap.servers": broker}, planner_group(Lane.BULK)) as planner:
        planner.commit(offsets=[TopicPartition(INTAKE, 0, 1)], asynchronous=False)
    pairs = [
        (planner_group(Lane.BULK), INTAKE),
        (groups.send(Platform.APNS, Lane.URGENT), send),
        (planner_group(Lane.BULK), topics.due(Lane.BULK)),
        (groups.SETTLE, topics.retry("1m")),
    ]
    with Books(settings_of(broker)) as books:
        lags = books.lags(pairs)
        assert lags == [books.lag(*pair) for pair in pairs]
    assert [(lag.group, lag.topic) for lag in lags] == pairs
    assert [lag.records for lag in lags] == [2, 4, 2, 0]
