"""What is kept of which class, and what other programs get."""

from __future__ import annotations

import json
from pathlib import Path

from pushcast.config.classes import Class
from pushcast.report.apply import BookEntry, apply
from pushcast.report.follow import Follower
from pushcast.report.modes import Modes, modes_of
from pushcast.report.published import key_of, value_of
from pushcast.report.store import PartitionStore
from pushcast.wire import topics
from twins.books import CREATED_MS, Rows, engagement, entries, leg, planned, receipt

FULL = Modes(full=frozenset({"breaking"}))
HISTORY = Modes(history=frozenset({"breaking"}))


def test_modes_are_those_of_the_classes() -> None:
    classes = {"a": Class(report="full"), "b": Class(report="history"), "c": Class(), "d": Class(report="totals")}
    assert modes_of(classes) == Modes(frozenset({"d"}), frozenset({"b"}), frozenset({"a"}))


def test_a_class_with_history_keeps_deliveries_and_no_sums() -> None:
    store = Rows()
    for topic, log in {
        topics.PLANNED: entries(planned((7, "n", {"apns": 1}, ""))),
        topics.RECEIPT: entries(receipt("n", "u", "a"), receipt("n", "u", "a", run=1)),
        topics.ENGAGEMENT: [engagement("opened", "n", "u", "a", CREATED_MS + 5)],
        topics.WALKED: entries(leg("b", 0, 4)),
    }.items():
        for key, value in apply(store, topic, log, HISTORY).items():
            if value is not None:
                store[key] = value
    kinds = {key[:1] for key in store}
    assert [key for key in store if key[:1] == b"n"] == [b"n" + key[1:] for key in store if key[:1] == b"s"]
    assert store.note("b", "broadcast").planned == {"apns": 4}
    assert {b"d", b"b", b"p", b"e", b"t", b"m"} <= kinds


def test_sums_are_published_until_kafka_has_them_as_they_are(tmp_path: Path) -> None:
    store = PartitionStore(tmp_path / "0", {}, FULL)
    store.apply(topics.PLANNED, entries(planned((7, "n", {"apns": 2}, ""))))
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "a")))
    [(name, note)] = store.unpublished(10)
    store.close()
    store = PartitionStore(tmp_path / "0", {}, FULL)
    assert store.unpublished(10) == [(name, note)], "a restart forgets nothing"
    assert all(key[:1] != b"s" for key, _ in store.rows()), "it is no part of what the logs make"
    store.published(name, note)
    assert store.unpublished(10) == []
    assert all(key[:1] != b"o" for key, _ in store.rows()), "nor is what is open of what was published"
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "b"), first=1))
    assert [each.ended_count for _, each in store.unpublished(10)] == [2]
    store.close()
    plain = PartitionStore(tmp_path / "1", {})
    plain.apply(topics.PLANNED, entries(planned((7, "n", {"apns": 2}, ""))))
    assert plain.unpublished(10) == [], "nothing is published unless it is asked for"
    plain.close()


def test_a_record_has_flat_sums_of_one_partition_under_a_key_of_its_own() -> None:
    store = Rows()
    store.apply(topics.PLANNED, entries(planned((7, "n", {"apns": 2}, ""))))
    store.apply(topics.RECEIPT, entries(receipt("n", "u", "a")))
    note = store.note("n")
    value = json.loads(value_of(note, 3, 9, CREATED_MS))
    assert key_of(note, 3) == b"notification\0n\x003"
    assert {name: value[name] for name in ("kind", "id", "partition", "version", "state", "planned", "open")} == {
        "kind": "notification",
        "id": "n",
        "partition": 3,
        "version": 9,
        "state": "sending",
        "planned": 2,
        "open": 1,
    }
    assert (value["accepted"], value["dead"], value["class"]) == (1, 0, "breaking")
    assert not any(isinstance(each, dict | list) for each in value.values())


def test_records_that_cannot_be_read_are_counted_by_book_and_reason(tmp_path: Path) -> None:
    logs = {topics.RECEIPT: "log", topics.ENGAGEMENT: "log"}
    follower = Follower({}, "group", tmp_path, logs, keep_days=30, partitions=8, fatal=lambda *_: None)
    for partition in range(2):
        store = follower.stores[partition] = PartitionStore(tmp_path / str(partition), logs)
        store.apply(topics.RECEIPT, entries(b"weather"))
        store.apply(topics.ENGAGEMENT, [BookEntry(0, b'{"event":"opened"}', (), b"u", CREATED_MS)])
    found, rows = follower.unreadable(), follower.row_count()
    for each in follower.stores.values():
        each.close()
    assert found == {(topics.RECEIPT, "unknown_frame"): 2, (topics.ENGAGEMENT, "invalid_field"): 2}
    assert rows >= 4, "at least how far each book was applied, in each store"
