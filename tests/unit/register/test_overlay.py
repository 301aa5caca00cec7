"""Rows in flight."""

from __future__ import annotations

import asyncio

import pytest

from pushcast.register.overlay import Entry, Overlay
from unit.register.twin import record

KEY = b"u\0news\0d"


def applied(key: bytes, tag: bytes, offset: int = 0) -> list[object]:
    return [record("push.device.v1", 0, offset, key, None, [("ce_id", tag)])]


def test_an_entry_leaves_with_the_record_that_carries_its_tag() -> None:
    overlay = Overlay()
    overlay.put(0, b"u", KEY, Entry(None, b"t/1"))
    overlay.put(0, b"u", KEY, Entry(None, b"t/2"))
    overlay.applied(0, applied(KEY, b"t/1"))  # type: ignore[arg-type]
    assert overlay.of_user(0, b"u") == {KEY: Entry(None, b"t/2")}
    overlay.applied(0, applied(KEY, b"t/2"))  # type: ignore[arg-type]
    assert overlay.of_user(0, b"u") == {}
    assert len(overlay) == 0


def test_records_of_other_writers_and_other_partitions_leave_it_alone() -> None:
    overlay = Overlay()
    overlay.put(0, b"u", KEY, Entry(None, b"t/1"))
    overlay.applied(1, applied(KEY, b"t/1"))  # type: ignore[arg-type]
    overlay.applied(0, [record("push.device.v1", 0, 0, KEY, None), record("push.device.v1", 0, 1, None, None)])
    overlay.applied(0, applied(b"u\0news\0other", b"t/1"))  # type: ignore[arg-type]
    assert len(overlay) == 1


def test_a_user_whose_name_begins_like_another_is_another_user() -> None:
    overlay = Overlay()
    overlay.put(0, b"u2", b"u2\0news\0d", Entry(None, b"t/1"))
    assert overlay.of_user(0, b"u") == {}


async def test_room_opens_when_the_table_catches_up() -> None:
    overlay = Overlay(max_rows=2)
    overlay.put(0, b"u", KEY, Entry(None, b"t/1"))
    await overlay.room()
    overlay.put(0, b"v", b"v\0news\0d", Entry(None, b"t/2"))
    waiting = asyncio.ensure_future(overlay.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    overlay.applied(0, applied(KEY, b"t/1"))  # type: ignore[arg-type]
    await waiting


@pytest.mark.parametrize("dropped", [0, 7])
async def test_dropping_a_partition_forgets_its_rows_alone(dropped: int) -> None:
    overlay = Overlay(max_rows=1)
    overlay.put(0, b"u", KEY, Entry(None, b"t/1"))
    overlay.drop(dropped)
    assert len(overlay) == (0 if dropped == 0 else 1)
