from __future__ import annotations

import asyncio

from pushcast.http2.leave import MayLeave, always
from pushcast.http2.request import Template
from pushcast.providers.engines.engine import Columns, OnOutcomes
from pushcast.providers.webpush.endpoints import Origin
from pushcast.providers.webpush.origins import Origins
from twins.steady import Steady


class FakeEngine(Steady):
    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.state = "new"
        self.may_close = asyncio.Event()
        self.may_close.set()

    async def start(self) -> None:
        self.state = "open"

    async def exchange(
        self,
        template: Template,
        columns: Columns,
        size: int,
        timeout_seconds: float,
        on_outcomes: OnOutcomes,
        may_leave: MayLeave = always,
    ) -> None:
        raise NotImplementedError

    def replace_connections(self, opened_before: float) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        await self.may_close.wait()
        self.state = "closed"


A, B, C = (Origin(f"{name}.example", 443, True) for name in "abc")


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_an_origin_has_one_engine() -> None:
    origins = Origins(FakeEngine, 2)
    assert await origins.acquire(A) is await origins.acquire(A)
    assert origins.origins == [A]


async def test_the_longest_unused_makes_place() -> None:
    made: list[FakeEngine] = []

    def make(origin: Origin) -> FakeEngine:
        made.append(FakeEngine(origin))
        return made[-1]

    origins = Origins(make, 2)
    for origin in (A, B, A):
        await origins.acquire(origin)
        origins.release(origin)
    await origins.acquire(C)
    assert [engine.state for engine in made] == ["open", "closed", "open"]
    assert origins.origins == [A, C]


async def test_one_in_use_is_never_closed_and_the_next_waits() -> None:
    origins = Origins(FakeEngine, 1)
    await origins.acquire(A)
    waiting = asyncio.create_task(origins.acquire(B))
    await settled()
    assert not waiting.done()
    origins.release(A)
    assert (await waiting).origin is B  # type: ignore[attr-defined]
    assert origins.origins == [B]


async def test_engines_that_are_being_closed_count() -> None:
    origins = Origins(FakeEngine, 1)
    slow = await origins.acquire(A)
    slow.may_close.clear()  # type: ignore[attr-defined]
    origins.release(A)
    waiting = asyncio.create_task(origins.acquire(B))
    await settled()
    assert not waiting.done()
    slow.may_close.set()  # type: ignore[attr-defined]
    await waiting


async def test_no_more_is_closed_than_is_waited_for() -> None:
    made: dict[Origin, FakeEngine] = {}

    def make(origin: Origin) -> FakeEngine:
        made[origin] = FakeEngine(origin)
        made[origin].may_close.clear()
        return made[origin]

    held = [Origin(f"{number}.example", 443, True) for number in range(8)]
    origins = Origins(make, len(held))
    for origin in held:
        await origins.acquire(origin)
        origins.release(origin)
    given_up = [asyncio.create_task(origins.acquire(origin)) for origin in (A, B, C)]
    await settled()
    assert origins.origins == held[3:]
    for task in given_up:
        task.cancel()
    waiting = asyncio.create_task(origins.acquire(C))
    await settled()
    assert origins.origins == held[3:], "one of the three that are being closed will do"
    made[held[0]].may_close.set()
    await waiting
    assert origins.origins == [*held[3:], C]


async def test_those_who_wait_for_one_origin_need_one_place() -> None:
    origins = Origins(FakeEngine, 4)
    held = [Origin(f"{number}.example", 443, True) for number in range(4)]
    for origin in held:
        await origins.acquire(origin)
        origins.release(origin)
    await asyncio.gather(*[origins.acquire(A) for _ in range(3)])
    assert origins.origins == [*held[1:], A]


async def test_a_waiter_that_gives_up_leaves_nothing_behind() -> None:
    origins = Origins(FakeEngine, 1)
    await origins.acquire(A)
    waiting = asyncio.create_task(origins.acquire(B))
    await settled()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    origins.release(A)
    await settled()
    assert origins.origins == [A]
    await origins.close()
    assert origins.origins == []
