"""Deliveries that should have ended and have not, whether their reports are published, kept or neither."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pushcast.model.words import Source
from pushcast.observe.catalogue import MetricName
from pushcast.observe.metrics import Sample
from pushcast.report import samples
from pushcast.report import store as stores
from pushcast.report.answers import state_of
from pushcast.report.follow import Follower
from pushcast.report.modes import EVERYTHING, Modes
from pushcast.report.store import PartitionStore
from pushcast.wire import topics
from twins.books import CREATED_MS, DAY_MS, entries, leg, planned, receipt, walked

FULL = Modes(full=frozenset({"breaking"}))
OVERDUE_MS = CREATED_MS + DAY_MS + 300_000 + 60_000  # the expiry of `planned`, and a whole minute behind 5 more
UNPUBLISHED = {
    "without a mode": EVERYTHING,
    "history": Modes(history=frozenset({"breaking"})),
    "totals": Modes(totals=frozenset({"breaking"})),
}


@pytest.fixture(params=UNPUBLISHED.values(), ids=list(UNPUBLISHED))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PartitionStore]:
    """Of a class whose sums nobody publishes."""
    found = PartitionStore(tmp_path / "0", {}, request.param)
    yield found
    found.close()


def publish(store: PartitionStore) -> None:
    """As if Kafka had all sums."""
    for name, note in store.unpublished(10):
        store.published(name, note)


def test_what_is_published_and_has_not_ended_5_minutes_after_its_expiry_is_overdue(tmp_path: Path) -> None:
    store = PartitionStore(tmp_path / "0", {}, FULL)
    store.apply(topics.PLANNED, entries(planned((7, "n", {"apns": 3}, ""), (8, "m", {"fcm": 1}, ""))))
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "a")))
    assert store.overdue(OVERDUE_MS) == {}, "nobody has published it"
    publish(store)
    assert (store.overdue(OVERDUE_MS - 120_000), store.overdue(OVERDUE_MS)) == ({}, {"breaking": 3})
    store.close()
    store = PartitionStore(tmp_path / "0", {}, FULL)
    store.apply(topics.RECEIPT, entries(receipt("m", "u", "a", platform="fcm"), first=1))
    assert store.overdue(OVERDUE_MS) == {"breaking": 2}, "a restart forgets nothing, and what ended late is no more"
    publish(store)
    later = planned((9, "n", {"apns": 1}, ""), created_at=CREATED_MS + DAY_MS)
    store.apply(topics.PLANNED, entries(later, first=1))
    publish(store)
    found = store.overdue(OVERDUE_MS), store.overdue(OVERDUE_MS + DAY_MS)
    assert found == ({}, {"breaking": 3}), "it expires a day later now"
    store.close()


def test_a_broadcast_whose_deliveries_do_not_end_is_overdue(tmp_path: Path) -> None:
    store = PartitionStore(tmp_path / "0", {}, FULL)
    store.apply(topics.WALKED, entries(leg("b", 0, 4, expires_at=CREATED_MS + DAY_MS, last=True)))
    publish(store)
    assert store.overdue(OVERDUE_MS) == {"": 4}
    note = store.note("broadcast", "b")
    assert note is not None
    assert state_of(note, OVERDUE_MS) == "overdue"
    assert store.overdue(OVERDUE_MS + 7 * DAY_MS) == {}, "its receipts may be gone from Kafka by then"
    store.close()


def test_deliveries_of_a_class_that_nobody_publishes_are_overdue(store: PartitionStore) -> None:
    store.apply(topics.PLANNED, entries(planned((7, "n", {"apns": 2, "fcm": 1}, ""), (8, "m", {"fcm": 1}, ""))))
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "a")))
    assert store.overdue(OVERDUE_MS - 120_000) == {}
    assert store.overdue(OVERDUE_MS) == {"breaking": 3}
    late = [receipt("n", "u", "b", "dead"), receipt("n", "u", "c", platform="fcm"), receipt("m", "u", "c", "expired")]
    store.apply(topics.RECEIPT, entries(*late, first=1))
    assert store.overdue(OVERDUE_MS) == {}


def test_what_is_planned_for_all_apps_of_a_user_ends_under_the_names_of_the_apps(store: PartitionStore) -> None:
    every_app = planned((7, "n", {"apns": 2}, ""), app="")
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "a", app="shop")))
    assert store.overdue(OVERDUE_MS) == {}, "what it was planned by is not read yet"
    store.apply(topics.PLANNED, entries(every_app))
    assert store.overdue(OVERDUE_MS) == {"breaking": 1}
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "b"), first=1))
    assert store.overdue(OVERDUE_MS) == {}


def test_a_redrive_and_a_later_run_of_a_planner_leave_nothing_open(store: PartitionStore) -> None:
    twice = [planned((7, "n", {"apns": 1}, ""), run=run) for run in (0, 0, 1)]
    store.apply(topics.PLANNED, entries(*twice))
    if "breaking" not in store._modes.totals:  # which cannot know a delivery again
        store.apply(topics.RECEIPT, entries(receipt("n", "u", "a", "dead")))
        store.apply(topics.RECEIPT, entries(receipt("n", "u", "a", run=1), first=1))
        assert store.overdue(OVERDUE_MS) == {}
        return
    assert store.overdue(OVERDUE_MS) == {"breaking": 1}


def test_the_longest_lived_notification_of_a_minute_decides_when_its_class_is_looked_at(store: PartitionStore) -> None:
    short, long = ((7, "n", {"apns": 1}, ""), 3_600_000), ((8, "m", {"apns": 1}, ""), 2 * DAY_MS)
    store.apply(topics.PLANNED, entries(*(planned(row, ttl_ms=ttl_ms) for row, ttl_ms in (short, long))))
    assert store.overdue(OVERDUE_MS) == {}
    assert store.overdue(OVERDUE_MS + DAY_MS) == {"breaking": 2}


def test_what_became_due_more_than_7_days_ago_is_left_out(store: PartitionStore) -> None:
    store.apply(topics.PLANNED, entries(planned((7, "n", {"apns": 1}, ""))))
    assert store.overdue(CREATED_MS + 7 * DAY_MS - 60_000) == {"breaking": 1}
    assert store.overdue(CREATED_MS + 7 * DAY_MS + 60_000) == {}, "its receipt may be gone from Kafka by then"


def test_dry_runs_walks_and_records_that_say_no_class_do_not_count(store: PartitionStore) -> None:
    store.apply(topics.WALKED, entries(leg("b", 0, 5, expires_at=CREATED_MS + 1)))
    store.apply(topics.PLANNED, entries(planned((7, "n", {"apns": 1}, ""), klass="")))
    store.apply(topics.PLANNED, entries(planned((8, "m", {"apns": 1}, ""), source=Source.DUE), first=1))
    store.apply(topics.RECEIPT, entries(walked("b", "u", "a"), receipt("m", "v", "a", source=Source.DUE)))
    assert store.overdue(OVERDUE_MS) == {}


def test_of_more_minutes_than_are_looked_at_the_first_to_expire_count(
    store: PartitionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "MOST_WATCHED", 2)
    minutes = [planned((n, f"n{n}", {"apns": 1}, ""), created_at=CREATED_MS + n * 60_000) for n in range(5)]
    store.apply(topics.PLANNED, entries(*minutes))
    assert store.overdue(OVERDUE_MS + DAY_MS) == {"breaking": 2}


def test_the_metric_tells_them_by_class_and_zero_where_there_are_none(tmp_path: Path) -> None:
    follower = Follower({}, "group", tmp_path, {}, keep_days=30, partitions=8, fatal=lambda *_: None)

    def told() -> list[Sample]:
        return [each for each in samples.of(follower, CREATED_MS) if each.name is MetricName.REPORT_OVERDUE]

    assert told() == [Sample(MetricName.REPORT_OVERDUE, 0, ("",))]
    follower.overdue = {0: Counter({"chat": 2}), 1: Counter({"chat": 1, "": 4})}
    values: list[Any] = [(each.value, each.labels) for each in told()]
    assert values == [(4, ("",)), (3, ("chat",))]
