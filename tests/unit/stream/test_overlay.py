"""Rows in flight."""

from __future__ import annotations

import asyncio

from pushcast.model.device import DeviceRow
from pushcast.stream.overlay import InFlight, Overlay, OverlayEntry
from unit.register.twin import record

KEY = b"u\0news\0d"


def applied(key: bytes, tag: bytes, offset: int = 0) -> list[object]:
    return [record("push.device.v1", 0, offset, key, None, [("ce_id", tag)])]


def test_an_entry_leaves_with_the_record_that_carries_its_tag() -> None:
    in_flight = InFlight()
    overlay = Overlay[DeviceRow](in_flight)
    overlay.put(b"u", KEY, OverlayEntry(None, b"t/1"))
    overlay.put(b"u", KEY, OverlayEntry(None, b"t/2"))
    assert overlay.applied(applied(KEY, b"t/1")) == []  # type: ignore[arg-type]
    assert overlay.of_user(b"u") == {KEY: OverlayEntry(None, b"t/2")}
    assert overlay.applied(applied(KEY, b"t/2")) == [KEY]  # type: ignore[arg-type]
    assert overlay.of_user(b"u") == {}
    assert len(in_flight) == 0


def test_records_of_other_writers_leave_it_alone() -> None:
    in_flight = InFlight()
    overlay = Overlay[DeviceRow](in_flight)
    overlay.put(b"u", KEY, OverlayEntry(None, b"t/1"))
    overlay.applied([record("push.device.v1", 0, 0, KEY, None), record("push.device.v1", 0, 1, None, None)])
    overlay.applied(applied(b"u\0news\0other", b"t/1"))  # type: ignore[arg-type]
    assert len(in_flight) == 1


def test_a_user_whose_name_begins_like_another_is_another_user() -> None:
    overlay = Overlay[DeviceRow](InFlight())
    overlay.put(b"u2", b"u2\0news\0d", OverlayEntry(None, b"t/1"))
    assert overlay.of_user(b"u") == {}


async def test_room_opens_when_the_table_catches_up() -> None:
    in_flight = InFlight(max_rows=2)
    first, second = Overlay[DeviceRow](in_flight), Overlay[DeviceRow](in_flight)
    first.put(b"u", KEY, OverlayEntry(None, b"t/1"))
    await in_flight.room()
    second.put(b"v", b"v\0news\0d", OverlayEntry(None, b"t/2"))
    waiting = asyncio.ensure_future(in_flight.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    first.applied(applied(KEY, b"t/1"))  # type: ignore[arg-type]
    await waiting


def test_dropping_a_partition_forgets_its_rows_alone() -> None:
    in_flight = InFlight(max_rows=1)
    first, second = Overlay[DeviceRow](in_flight), Overlay[DeviceRow](in_flight)
    first.put(b"u", KEY, OverlayEntry(None, b"t/1"))
    second.drop()
    assert len(in_flight) == 1
    first.drop()
    first.drop()
    assert len(in_flight) == 0


def test_many_that_are_put_at_once_are_there_as_if_put_one_by_one() -> None:
    writes = [
        (user, user + b"\0news\0" + device, OverlayEntry[DeviceRow](None, b"t/%d" % tag))
        for tag, (user, device) in enumerate([(b"u", b"d"), (b"v", b"d"), (b"u", b"e"), (b"u", b"d")])
    ]
    counted, counted_too = InFlight(), InFlight()
    single, many = Overlay[DeviceRow](counted), Overlay[DeviceRow](counted_too)
    for write in writes:
        single.put(*write)
    many.put_many(writes)
    assert many.of_user(b"u") == single.of_user(b"u")
    assert many.of_user(b"v") == single.of_user(b"v")
    assert len(counted) == len(counted_too) == 3
