"""The law of reports (doors.md B): a store is a function of its logs.

However the logs are cut into batches, in whatever order the batches of different topics come, after any restarts and
whatever is read again: equal prefixes give equal rows, byte by byte.
"""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.model.words import Outcome
from pushcast.report import ending, engaged, forgotten, rows
from pushcast.report.apply import BOOKS, BookEntry
from pushcast.report.store import PartitionStore
from pushcast.wire import topics
from pushcast.wire.headers import LEDGER
from twins.books import DAY_MS, by, engagement, leg, planned, receipt, walked

LOGS = dict.fromkeys(BOOKS, "cluster/topic")
OUTCOMES = [str(outcome) for outcome in Outcome]


def logs_of(seed: int) -> dict[str, list[BookEntry]]:
    """Books of a partition with copies, redrives, zombies, duplicates and unreadable records."""
    source = random.Random(seed)
    values: dict[str, list[bytes | None]] = {topic: [] for topic in BOOKS}
    told: list[BookEntry] = []
    for _ in range(source.randint(1, 25)):
        note, user, device = f"n{source.randint(0, 3)}", f"u{source.randint(0, 3)}", f"d{source.randint(0, 2)}"
        created_at = 1_790_000_000_000 + source.randint(0, 2) * DAY_MS // 2
        run = source.choice([0, 0, 0, 1, 2])
        counts = {source.choice(["apns", "fcm"]): source.randint(1, 3)} if source.random() < 0.8 else {}
        values[topics.PLANNED].append(
            planned(
                (source.randint(0, 5), note, counts, "" if counts else "no_devices"), run=run, created_at=created_at
            )
        )
        outcome = source.choice(OUTCOMES)
        ended_at = created_at + source.randint(0, 10**6)
        of_a_walk = source.random() < 0.2
        values[topics.RECEIPT].append(
            walked(note, user, device, outcome, run=run, variant=source.choice([None, "a", "b"]))
            if of_a_walk
            else receipt(note, user, device, outcome, run=run, created_at=created_at, ended_at=ended_at)
        )
        count = source.randint(0, 4)
        variants = {source.choice("ab"): count} if source.random() < 0.5 else {}
        values[topics.WALKED].append(leg(note, source.randint(0, 2), count, variants=variants))
        told_at = created_at + source.randint(-2 * DAY_MS, 40 * DAY_MS if source.random() < 0.2 else 10**6)
        told.append(engagement(source.choice(["received", "opened", "opened"]), note, user, device, told_at))
        if source.random() < 0.1:
            values[source.choice(BOOKS)].append(source.choice([None, b"weather"]))
    for topic in BOOKS:
        values[topic] += source.choices(values[topic], k=len(values[topic]) // 2)  # copies
        source.shuffle(values[topic])
    epochs = dict.fromkeys(BOOKS, 1)
    logs: dict[str, list[BookEntry]] = {topic: [] for topic in BOOKS}
    for topic, records in values.items():
        for value in records:
            if source.random() < 0.1:
                epochs[topic] += 1
                logs[topic].append(BookEntry(len(logs[topic]), None, by("stage/0", epochs[topic], fence=True)))
            epoch = epochs[topic] - (source.random() < 0.1)
            ledger = [(LEDGER, b"%d" % len(logs[topic]))] if source.random() < 0.5 else []
            logs[topic].append(BookEntry(len(logs[topic]), value, (*ledger, *by("stage/0", epoch))))
    for offset in range(source.randint(0, 5)):
        value = source.choice([b'{"op":"forget_user"}', b'{"op":"forget"}', b"weather", b'{"op":"register"}'])
        at = 1_790_000_000_000 + source.randint(0, DAY_MS)
        first = len(logs[topics.DEVICE_CHANGED])
        logs[topics.DEVICE_CHANGED].append(BookEntry(first, value, (), f"u{offset % 2}".encode(), at))
    told += source.choices(told, k=len(told) // 2)
    source.shuffle(told)
    first = len(logs[topics.ENGAGEMENT])
    logs[topics.ENGAGEMENT] += [msgspec.structs.replace(each, offset=first + place) for place, each in enumerate(told)]
    return logs


def made(
    path: Path, logs: dict[str, list[BookEntry]], source: random.Random, forgets: bool = False
) -> list[tuple[bytes, bytes]]:
    """A store that reads these logs in batches of its own, is closed now and then, and reads some records again.

    `forgets`: its offsets are not those of its rows, as if they had been written apart.
    """
    store = PartitionStore(path, LOGS)
    at = dict.fromkeys(BOOKS, 0)
    while any(at[topic] < len(logs[topic]) for topic in BOOKS):
        topic = source.choice(BOOKS)
        start = max(0, at[topic] - source.choice([0, 0, 3]))  # what a restart reads again
        end = min(len(logs[topic]), at[topic] + source.randint(0, 6))
        if forgets:
            meta = store.meta(topic)
            meta.offset = start
            store._database.put(rows.meta_key(topic), rows.encode(meta))
        store.apply(topic, logs[topic][start:end])
        at[topic] = end
        if source.random() < 0.1:
            store.close()
            store = PartitionStore(path, LOGS)
            assert store.offsets() == at
    found = list(store.rows())
    store.close()
    return found


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), ways=st.tuples(st.integers(0, 2**32), st.integers(0, 2**32)))
def test_r2_equal_logs_make_equal_stores_byte_by_byte(
    seed: int, ways: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("reports")
    logs = logs_of(seed)
    one, other = (made(folder / str(number), logs, random.Random(way)) for number, way in enumerate(ways))
    assert one == other


def test_deliveries_that_do_not_look_for_what_was_told_before_break_the_law(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "told_before", lambda *_: engaged.NOTHING)
    broken = 0
    for seed in range(10):
        logs = logs_of(seed)
        broken += made(tmp_path / f"{seed}-1", logs, random.Random(1)) != made(
            tmp_path / f"{seed}-2", logs, random.Random(2)
        )
    assert broken


def test_rows_without_their_offsets_break_the_law(tmp_path: Path) -> None:
    broken = 0
    for seed in range(10):
        logs = logs_of(seed)
        ways = [made(tmp_path / f"{seed}-{way}", logs, random.Random(way), forgets=True) for way in (1, 2)]
        broken += ways[0] != ways[1]
    assert broken


def test_receipts_that_do_not_ask_who_is_forgotten_break_the_law(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgotten, "until_of", lambda *_: 0)
    broken = 0
    for seed in range(10):
        logs = logs_of(seed)
        ways = [made(tmp_path / f"{seed}-{way}", logs, random.Random(way)) for way in (1, 2)]
        broken += ways[0] != ways[1]
    assert broken
