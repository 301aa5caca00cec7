"""What becomes of the jobs of a pool. Time is as in `pools`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace

import pytest

from pushcast.http2.dial import Endpoint
from pushcast.http2.errors import ClosedByUs
from pushcast.http2.frames import REFUSED_STREAM
from pushcast.http2.options import ConnectionOptions
from pushcast.http2.pool import Pool
from pushcast.http2.pool_stats import LimitedBy
from pushcast.http2.queue import QueueFull
from pushcast.http2.request import UNHEARD, Template
from unit.http2.pools import QUICK, Clock, finished, pooling, submit
from unit.http2.scripted import Peer, serving, until, within
from unit.http2.wire import apns_template


async def test_a_job_is_sent_and_answered_over_a_connection_opened_for_it() -> None:
    async with serving() as server, pooling(server) as pool:
        sent = submit(pool, 500)
        await finished(sent)
        assert sent.kinds() == {"answered": 500}
        assert len(server.peers) == 1
        assert {headers[b":path"] for headers in server.requests} == {b"/3/device/%064x" % n for n in range(500)}


async def test_deadlines_free_their_streams_for_others() -> None:
    slow = b"/3/device/%064x" % 0

    def script(peer: Peer, stream_id: int, headers: dict[bytes, bytes], body: bytes) -> None:
        if headers[b":path"] != slow:
            peer.answer(stream_id)

    options = replace(QUICK, max_connections=1, connection=ConnectionOptions(ping_after_seconds=1e9))
    clock = Clock()
    async with serving(script, streams=1) as server, pooling(server, options, clock=clock) as pool:
        stuck = submit(pool, 1, seconds=100.0)
        await until(lambda: len(server.requests) == 1)
        others = submit(pool, 20, seconds=1e6, first=1)
        clock.ahead = 101.0
        await finished(stuck, others)
        assert stuck.kinds() == {"deadline": 1}
        assert others.kinds() == {"answered": 20}
        assert len(server.peers) == 1


async def test_what_waits_past_its_deadline_takes_no_stream_that_the_same_deadline_frees() -> None:
    never = ConnectionOptions(ping_after_seconds=1e9)
    options = replace(QUICK, max_connections=1, tick_seconds=10.0, connection=never)
    clock = Clock()
    async with (
        serving(lambda *_: None, streams=1) as server,
        pooling(server, options, clock=clock) as pool,
    ):
        sent = submit(pool, 3, seconds=95.0)
        await until(lambda: len(server.requests) == 1)
        for _ in range(9):
            clock.ahead += 10.0
            pool.tick(clock())
        assert not sent.outcomes
        clock.ahead += 10.0
        pool.tick(clock())
        await finished(sent)
        assert sent.kinds() == {"deadline": 1, "unsent": 2}
        assert len(server.requests) == 1


async def test_what_waits_gets_the_time_that_this_process_was_away() -> None:
    """Without CPU for longer than a request may wait, nothing is given up: all of its time is still to come."""
    async with serving(streams=0) as server, pooling(server, replace(QUICK, tick_seconds=10.0)) as pool:
        sent = submit(pool, 2, seconds=95.0)
        now = asyncio.get_running_loop().time()
        for late_by in (110.0, 170.0):
            now += 10.0 + late_by
            pool.tick(now)
        for _ in range(7):
            now += 10.0
            pool.tick(now)
        assert not sent.outcomes
        pool.tick(now + 10.0)
        assert {response.fault for response in sent.outcomes.values()} == {UNHEARD}


async def test_a_pool_says_what_keeps_more_from_leaving() -> None:
    options = replace(QUICK, max_in_flight=2, max_connections=1)
    async with serving(lambda *_: None, streams=100) as server, pooling(server, options) as pool:
        assert pool.stats.limited_by is LimitedBy.WORK
        submit(pool, 5)
        await until(lambda: len(server.requests) == 2)
        assert (pool.stats.limit, pool.stats.limited_by) == (2, LimitedBy.SETTING)
    async with (
        serving(lambda *_: None, streams=1) as server,
        pooling(server, replace(QUICK, max_connections=1)) as pool,
    ):
        submit(pool, 5)
        await until(lambda: len(server.requests) == 1)
        assert pool.stats.limited_by is LimitedBy.STREAMS


async def test_cancelling_a_job_ends_all_of_it_and_nothing_else() -> None:
    held: list[tuple[Peer, int]] = []
    async with (
        serving(lambda peer, stream_id, *_: held.append((peer, stream_id)), streams=20) as server,
        pooling(server, replace(QUICK, max_connections=1)) as pool,
    ):
        sent, other = submit(pool, 50), submit(pool, 5)
        await until(lambda: len(held) == 20)
        server.script = lambda peer, stream_id, *_: peer.answer(stream_id)
        pool.cancel(sent.job)
        await finished(sent, other)
        assert sent.kinds() == {"unknown": 20, "unsent": 30}
        assert {response.fault for response in sent.outcomes.values()} == {"cancelled"}
        assert other.kinds() == {"answered": 5}


async def test_refused_streams_are_sent_again() -> None:
    refused: set[bytes] = set()

    def script(peer: Peer, stream_id: int, headers: dict[bytes, bytes], body: bytes) -> None:
        if headers[b"apns-id"] not in refused and len(refused) < 20:
            refused.add(headers[b"apns-id"])
            peer.reset(stream_id, REFUSED_STREAM)
        else:
            peer.answer(stream_id)

    async with serving(script) as server, pooling(server) as pool:
        sent = submit(pool, 100)
        await finished(sent)
        assert sent.kinds() == {"answered": 100}
        assert len(refused) == 20
        assert len(server.requests) == 120


async def test_room_is_awaited_and_the_bound_holds() -> None:
    options = replace(QUICK, max_waiting=100)
    async with serving(streams=10) as server, pooling(server, options) as pool:
        jobs = [submit(pool, 60)]
        with pytest.raises(QueueFull):
            submit(pool, 60)
        for _ in range(20):
            await within(pool.room(60))
            jobs.append(submit(pool, 60))
            assert pool.stats.waiting <= 100
        await finished(*jobs)
        assert sum(len(sent.outcomes) for sent in jobs) == 21 * 60


async def test_closing_gives_grace_then_ends_everything() -> None:
    held: list[tuple[Peer, int]] = []
    async with serving(lambda peer, stream_id, *_: held.append((peer, stream_id)), streams=4) as server:
        pool = Pool(Endpoint(host="127.0.0.1", port=server.port), replace(QUICK, max_connections=1))
        sent = submit(pool, 10)
        await until(lambda: len(held) == 4)
        closing = asyncio.ensure_future(pool.close(grace_seconds=0.2))
        await asyncio.sleep(0)
        held[0][0].answer(held[0][1])
        await within(closing)
        assert sent.kinds() == {"answered": 1, "unknown": 3, "unsent": 6}
        assert {r.fault for r in sent.outcomes.values()} == {None, "closed_by_us"}
        await until(lambda: server.alive == 0)
        with pytest.raises(ClosedByUs):
            submit(pool, 1)


async def test_closing_an_unused_pool_is_quick_and_closing_twice_is_fine() -> None:
    pool = Pool(Endpoint(host="127.0.0.1", port=1))
    await within(pool.close())
    await within(pool.close())


async def test_a_single_request_is_asked_and_answered() -> None:
    async with (
        serving(lambda peer, stream_id, *_: peer.answer(stream_id, 404, b"none")) as server,
        pooling(server) as pool,
    ):
        response = await within(pool.ask(Template(path=b"/1/apps", method=b"GET"), timeout_seconds=20))
        assert (response.status, response.body) == (404, b"none")
        assert server.requests[0][b":method"] == b"GET"


async def test_a_cancelled_single_request_frees_its_stream() -> None:
    held: list[int] = []
    async with serving(lambda peer, stream_id, *_: held.append(stream_id)) as server, pooling(server) as pool:
        task = asyncio.ensure_future(pool.ask(apns_template(), [b"1", b"2"], timeout_seconds=60))
        await until(lambda: len(held) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pool.stats.in_flight == 0


ASYNCIO_TOO = [
    test_a_job_is_sent_and_answered_over_a_connection_opened_for_it,
    test_deadlines_free_their_streams_for_others,
    test_cancelling_a_job_ends_all_of_it_and_nothing_else,
    test_closing_gives_grace_then_ends_everything,
]


@pytest.mark.parametrize("scenario", ASYNCIO_TOO, ids=lambda scenario: scenario.__name__.removeprefix("test_"))
def test_the_same_holds_on_the_loop_of_asyncio(scenario: Callable[[], Coroutine[None, None, None]]) -> None:
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(scenario())
