"""A device whose app tells of its user was there."""

from __future__ import annotations

from typing import Any

import orjson

from pushcast.model.device import DeviceRow
from pushcast.register.decide import SEEN_EVERY_MS, seen
from pushcast.register.kept import Kept
from pushcast.stream.batch import Record
from pushcast.wire.devices.devices import decode_row
from pushcast.wire.topics import DEVICE, ENGAGEMENT, dead_letter
from unit.register.test_stage import HOME, USER, register, unregister
from unit.register.twin import T0, Harness, record

REGISTERED = T0 - 1000
LATER = REGISTERED + SEEN_EVERY_MS


def told(offset: int, event: str = "opened", *, at: int = LATER, partition: int = HOME, **more: Any) -> Record:
    ids = {"ids": ["n-1"]} if event in ("opened", "received", "read") else {}
    value = orjson.dumps({"event": event, "app": "news", "device": "d-1", "at": at, **ids, **more})
    return record(ENGAGEMENT, partition, offset, USER, value, timestamp=LATER + 9 * SEEN_EVERY_MS)


def rows(harness: Harness) -> list[DeviceRow]:
    return [decode_row(each.value or b"") for each in harness.kafka.log[DEVICE, HOME]]


def counted(harness: Harness) -> dict[str, int]:
    return {word: count for (kind, word), count in harness.counters.items() if kind == "seen"}


async def test_a_device_that_its_app_tells_of_is_seen_once_a_day() -> None:
    harness = Harness()
    await harness.change((USER, register()))
    events = [told(0), told(1, "seen", at=LATER + 5), told(2, "active", at=LATER + SEEN_EVERY_MS), told(3, at=LATER)]
    batch = await harness.feed(ENGAGEMENT, *events)
    assert [row.seen_at for row in rows(harness)] == [REGISTERED, LATER, LATER + SEEN_EVERY_MS]
    assert counted(harness) == {"written": 2, "unchanged": 2}
    assert not batch.unfinished()
    last = rows(harness)[-1]
    assert (last.registered_at, last.first_at, last.state) == (REGISTERED, T0, "active")


async def test_an_event_counts_as_done_when_its_row_is_in_kafka() -> None:
    harness = Harness()
    await harness.change((USER, register()))
    harness.kafka.acks = False
    batch = await harness.feed(ENGAGEMENT, told(0))
    assert batch.unfinished()
    harness.kafka.acknowledge()
    assert not batch.unfinished()


async def test_what_tells_of_no_device_of_the_partition_changes_nothing_and_is_nobodys_dead_letter() -> None:
    harness = Harness()
    await harness.change((USER, register()), (USER, register("d-2")), (USER, unregister("d-2")))
    before = len(rows(harness))
    unreadable = record(ENGAGEMENT, HOME, 3, USER, b"{", timestamp=LATER)
    events = [told(0, device="d-9"), told(1, device="d-2"), told(2, "read", device=None, app=None), unreadable]
    batch = await harness.feed(ENGAGEMENT, *events)
    await harness.feed(ENGAGEMENT, told(0, partition=HOME + 1))
    assert len(rows(harness)) == before
    assert counted(harness) == {"unknown": 2}
    assert not batch.unfinished()
    assert not [topic for topic, _ in harness.kafka.log if topic == dead_letter(ENGAGEMENT)]


def test_a_late_event_takes_nothing_back() -> None:
    row = DeviceRow("news", "d", "apns", "token", b"t", "", b"h" * 16, "active", LATER, LATER)
    assert seen(LATER - SEEN_EVERY_MS, row) is Kept.UNCHANGED
    assert seen(LATER + SEEN_EVERY_MS - 1, row) is Kept.UNCHANGED
    assert seen(LATER, None) is Kept.UNKNOWN
