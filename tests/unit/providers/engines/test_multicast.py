from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterable
from typing import cast

import pytest

from pushcast.http2.leave import MayLeave, always
from pushcast.http2.pool import Pool
from pushcast.http2.queue import QueueFull, deliver
from pushcast.http2.request import Kind, Outcomes, RequestJob, Response, Template, Wrapped
from pushcast.providers.engines import multicast
from pushcast.providers.engines.engine import GATHERED_TARGETS
from pushcast.providers.engines.multicast import MulticastEngine

OK = Response(Kind.ANSWERED, 200)
TEMPLATE = Template(path=b"/", body=Wrapped())


class FakePool:
    """Keeps jobs; tests answer them."""

    def __init__(self) -> None:
        self.jobs: list[RequestJob] = []
        self.cancelled: list[tuple[RequestJob, list[int]]] = []
        self.has_room = asyncio.Event()
        self.has_room.set()
        self.rotations = 0

    async def room(self, count: int) -> None:
        await self.has_room.wait()

    def submit(self, job: RequestJob) -> None:
        if not self.has_room.is_set():
            raise QueueFull
        self.jobs.append(job)

    def cancel(self, job: RequestJob, indices: Iterable[int]) -> None:
        self.cancelled.append((job, list(indices)))

    def rotate(self) -> None:
        self.rotations += 1

    async def close(self) -> None:
        return


@pytest.fixture
def pool() -> FakePool:
    return FakePool()


@pytest.fixture
async def engine(pool: FakePool) -> MulticastEngine:
    engine = MulticastEngine(lambda: cast("Pool", pool))
    await engine.start()
    return engine


def begin(
    engine: MulticastEngine,
    bodies: list[bytes],
    got: Outcomes,
    template: Template = TEMPLATE,
    seconds: float = 10.0,
    may_leave: MayLeave = always,
) -> asyncio.Task[None]:
    exchange = engine.exchange(template, [bodies], len(bodies), seconds, got.extend, may_leave)
    return asyncio.create_task(exchange)


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_small_exchanges_of_one_turn_travel_as_one_job_and_hear_of_their_own_targets(
    engine: MulticastEngine, pool: FakePool
) -> None:
    first: Outcomes = []
    second: Outcomes = []
    tasks = [begin(engine, [b"a", b"b"], first), begin(engine, [b"c"], second)]
    await turns()
    (job,) = pool.jobs
    assert job.columns == [[b"a", b"b", b"c"]]
    other = Response(Kind.ANSWERED, 410)
    job.on_outcomes([(2, other), (0, OK)])
    assert (first, second) == ([(0, OK)], [(0, other)])
    await tasks[1]
    assert not tasks[0].done()
    job.on_outcomes([(1, OK)])
    await tasks[0]
    assert first == [(0, OK), (1, OK)]


async def test_exchanges_of_callers_who_lose_their_right_apart_are_jobs_of_their_own(
    engine: MulticastEngine, pool: FakePool
) -> None:
    def ours() -> bool:
        return False

    bodies = [[b"a"], [b"b"], [b"c"], [b"d"] * (GATHERED_TARGETS + 1)]
    gates = [ours, always, ours, ours]
    tasks = [begin(engine, each, [], may_leave=gate) for each, gate in zip(bodies, gates, strict=True)]
    await turns()
    found = {(b"".join(job.columns[0][:2]), job.may_leave) for job in pool.jobs}  # type: ignore[arg-type]
    assert found == {(b"ac", ours), (b"b", always), (b"dd", ours)}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_exchanges_that_differ_in_template_or_timeout_are_jobs_of_their_own(
    engine: MulticastEngine, pool: FakePool
) -> None:
    tasks = [
        begin(engine, [b"a"], []),
        begin(engine, [b"b"], [], Template(path=b"/", body=Wrapped())),
        begin(engine, [b"c"], [], seconds=20.0),
    ]
    await turns()
    assert [job.columns for job in pool.jobs] == [[[b"a"]], [[b"b"]], [[b"c"]]]
    for job in pool.jobs:
        job.on_outcomes([(0, OK)])
    await asyncio.gather(*tasks)


async def test_a_group_does_not_outgrow_a_batch(
    engine: MulticastEngine, pool: FakePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multicast, "MAX_GATHERED", 5)
    tasks = [begin(engine, [b"x", b"y"], []) for _ in range(5)]
    await turns()
    assert sorted(job.size for job in pool.jobs) == [2, 4, 4]
    for job in pool.jobs:
        job.on_outcomes([(index, OK) for index in range(job.size)])
    await asyncio.gather(*tasks)


async def test_a_large_exchange_is_not_copied(engine: MulticastEngine, pool: FakePool) -> None:
    bodies = [b"x"] * (GATHERED_TARGETS + 1)
    task = begin(engine, bodies, [])
    await turns()
    assert pool.jobs[0].columns[0] is bodies
    pool.jobs[0].on_outcomes([(index, OK) for index in range(len(bodies))])
    await task


@pytest.mark.parametrize("count", [1, GATHERED_TARGETS + 1])
async def test_a_full_queue_is_waited_for(engine: MulticastEngine, pool: FakePool, count: int) -> None:
    pool.has_room.clear()
    task = begin(engine, [b"x"] * count, [])
    await turns()
    assert pool.jobs == []
    pool.has_room.set()
    await turns()
    (job,) = pool.jobs
    job.on_outcomes([(index, OK) for index in range(count)])
    await task


@pytest.mark.parametrize("submitted", [True, False])
async def test_a_cancelled_exchange_takes_only_its_own_targets_back_and_hears_nothing_more(
    engine: MulticastEngine, pool: FakePool, submitted: bool
) -> None:
    kept: Outcomes = []
    lost: Outcomes = []
    keeping, losing = begin(engine, [b"a"], kept), begin(engine, [b"b", b"c"], lost)
    if submitted:
        await turns()
    else:
        await turns(1)
        assert pool.jobs == []
    losing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await losing
    await turns()
    (job,) = pool.jobs
    assert pool.cancelled == [(job, [1, 2])]
    job.on_outcomes([(1, OK), (2, OK), (0, OK)])
    await keeping
    assert (kept, lost) == ([(0, OK)], [])


async def test_what_a_callback_raises_reaches_its_caller_and_no_other(engine: MulticastEngine, pool: FakePool) -> None:
    def broken(outcomes: Outcomes) -> None:
        raise ValueError("receipt")

    kept: Outcomes = []
    failing = asyncio.create_task(engine.exchange(TEMPLATE, [[b"a"]], 1, 10.0, broken))
    keeping = begin(engine, [b"b"], kept)
    await turns()
    pool.jobs[0].on_outcomes([(0, OK), (1, OK)])
    await keeping
    with pytest.raises(ValueError, match="receipt"):
        await failing


async def test_many_wishes_for_new_connections_are_one_rotation(engine: MulticastEngine, pool: FakePool) -> None:
    asked_at = asyncio.get_running_loop().time() + 0.001
    while asyncio.get_running_loop().time() <= asked_at:
        await asyncio.sleep(0)
    for _ in range(5):
        engine.replace_connections(asked_at)
    assert pool.rotations == 1
    engine.replace_connections(asked_at - 1)
    assert pool.rotations == 1


class Bodies(list[bytes]):
    """A column that tests can see go."""


def report_error(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("size", [1, GATHERED_TARGETS + 1])
async def test_what_is_answered_is_freed_without_the_garbage_collector(
    engine: MulticastEngine, pool: FakePool, size: int
) -> None:
    bodies = Bodies([b"x"] * size)
    gone = weakref.ref(bodies)
    got: Outcomes = []
    gc.collect()
    gc.disable()
    try:
        exchange = begin(engine, bodies, got)
        del bodies
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        job = pool.jobs.pop()
        job.outbox = [(index, OK) for index in range(size)]
        deliver((job,), report_error)
        del job
        await exchange
        del exchange
        assert len(got) == size
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("targets", [1, GATHERED_TARGETS + 1])
async def test_waiting_for_room_does_not_eat_the_time_to_answer(
    engine: MulticastEngine, pool: FakePool, targets: int
) -> None:
    pool.has_room.clear()
    exchange = asyncio.create_task(engine.exchange(TEMPLATE, [[b"x"] * targets], targets, 10.0, lambda _: None))
    await asyncio.sleep(0.05)
    assert not pool.jobs
    pool.has_room.set()
    while not pool.jobs:
        await asyncio.sleep(0)
    assert pool.jobs[0].timeout_seconds == 10.0
    exchange.cancel()
    await asyncio.gather(exchange, return_exceptions=True)
