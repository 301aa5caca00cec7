"""Room in an outbox: who puts waits for it, and what is acknowledged makes it."""

from __future__ import annotations

import asyncio

import pytest

from pushcast.kafka.room import Room
from pushcast.stream.errors import Full


def room(max_records: int = 2, max_bytes: int = 1_000, failed: list[bool] | None = None) -> Room:
    return Room(asyncio.get_running_loop(), max_records, max_bytes, lambda: bool(failed))


async def test_whoever_waits_goes_on_when_enough_is_acknowledged() -> None:
    found = room()
    found.put(10)
    await found.wait()
    found.put(10)
    waiting = asyncio.ensure_future(found.wait())
    await asyncio.sleep(0)
    assert (waiting.done(), found.has_room()) == (False, False)
    found.acked(10)
    assert found.has_room()
    found.wake()
    await waiting
    assert found.unacknowledged == 1


async def test_bytes_count_as_records_do() -> None:
    found = room(max_records=100, max_bytes=100)
    found.put(100)
    waiting = asyncio.ensure_future(found.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    found.take_back(100)
    found.wake()
    await waiting


async def test_those_who_wait_go_on_one_by_one_so_that_the_bounds_hold() -> None:
    found = room(max_records=1)
    found.put(1)
    waiting = [asyncio.ensure_future(found.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    for each in waiting:
        each.add_done_callback(lambda _: found.put(1))
    found.acked(1)
    found.wake()
    for _ in range(4):
        await asyncio.sleep(0)
    assert [each.done() for each in waiting] == [True, False]
    found.acked(1)
    found.wake()
    await asyncio.gather(*waiting)


async def test_twice_the_bounds_is_a_programming_error() -> None:
    found = room()
    for _ in range(4):
        found.put(1)
    with pytest.raises(Full, match="4 unacknowledged"):
        found.put(1)


async def test_nobody_waits_for_an_outbox_that_has_failed() -> None:
    failed: list[bool] = []
    found = room(failed=failed)
    found.put(1)
    found.put(1)
    waiting = asyncio.ensure_future(found.wait())
    await asyncio.sleep(0)
    failed.append(True)
    found.wake()
    await waiting


async def test_it_says_beforehand_whether_many_can_be_put_at_once() -> None:
    found = room(max_records=2, max_bytes=50)
    found.put(10, 2)
    assert [found.takes(count, 2) for count in (1, 2, 3)] == [True, True, False]
    assert [found.takes(1, size) for size in (90, 91)] == [True, False]
    found.put(20, 2)
    with pytest.raises(Full):
        found.put(1)
    found.take_back(20, 2)
    found.acked(5)
    assert (found.unacknowledged, found.takes(3, 95), found.takes(4, 1)) == (1, True, False)
