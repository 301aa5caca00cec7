"""When a pool opens, replaces and gives up connections. Time is as in `pools`."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from pushcast.http2 import dialer
from pushcast.http2.connection import Connection
from pushcast.http2.dial import Endpoint, dial
from pushcast.http2.errors import ConnectionFault
from pushcast.http2.frames import ENHANCE_YOUR_CALM
from pushcast.http2.options import ConnectionOptions
from pushcast.http2.pool import Pool
from pushcast.http2.request import UNHEARD, Kind, Outcomes
from unit.http2.pools import QUICK, Clock, finished, pooling, submit
from unit.http2.scripted import Peer, Server, serving, until, within


async def test_connections_are_added_while_streams_limit_and_the_load_is_spread() -> None:
    held: list[tuple[Peer, int]] = []
    async with (
        serving(lambda peer, stream_id, *_: held.append((peer, stream_id)), streams=10) as server,
        pooling(server) as pool,
    ):
        sent = submit(pool, 100)
        await until(lambda: len(held) == 40)
        assert len(server.peers) == 4
        assert {peer.most_streams for peer in server.peers} == {10}
        server.script = lambda peer, stream_id, *_: peer.answer(stream_id)
        for peer, stream_id in held:
            peer.answer(stream_id)
        await finished(sent)
        assert pool.stats.connections == 4


async def test_a_connection_opened_ahead_takes_the_first_job() -> None:
    async with serving() as server, pooling(server) as pool:
        pool.open_ahead()
        pool.open_ahead()
        await until(lambda: pool.stats.connections == 1 and not pool.stats.opening)
        pool.open_ahead()
        assert pool.stats.opened == 1
        sent = submit(pool, 5)
        await finished(sent)
        assert sent.kinds() == {"answered": 5}
        assert len(server.peers) == 1


async def test_a_busy_thread_gets_no_further_connection() -> None:
    clock = iter(range(1_000_000))
    held: list[tuple[Peer, int]] = []
    async with serving(lambda peer, stream_id, *_: held.append((peer, stream_id)), streams=10) as server:
        pool = Pool(Endpoint(host="127.0.0.1", port=server.port), QUICK, cpu_clock=lambda: float(next(clock)))
        sent = submit(pool, 100)
        await until(lambda: len(held) == 10)
        now = asyncio.get_running_loop().time()
        for tick in range(1, 50):
            pool.tick(now + tick)
        assert pool.stats.opening == 0
        assert len(server.peers) == 1
        await within(pool.close())
        assert sent.kinds() == {"unknown": 10, "unsent": 90}


@pytest.mark.parametrize("pushes", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
async def test_a_goaway_every_thousand_requests_loses_and_doubles_nothing(pushes: int) -> None:
    def script(peer: Peer, stream_id: int, *_: object) -> None:
        if len(peer.seen) <= 1_000:
            peer.answer(stream_id)
        if len(peer.seen) == 1_000:
            peer.go_away(stream_id, debug=b'{"reason":"Shutdown"}')

    async with serving(script, streams=300) as server, pooling(server, replace(QUICK, max_waiting=100_000)) as pool:
        jobs = [submit(pool, 500, first=start) for start in range(0, pushes, 500)]
        await finished(*jobs)
        assert {kind for sent in jobs for kind in sent.kinds()} == {"answered"}
        answered = [headers[b"apns-id"] for peer in server.peers for _, headers, _ in peer.seen[:1_000]]
        assert len(answered) == len(set(answered)) == pushes
        assert len(server.peers) >= pushes // 1_000
        assert set(pool.stats.ended) == {"peer_went_away"}


async def test_what_was_below_the_last_id_and_never_answered_is_unknown_and_not_resent() -> None:
    def script(peer: Peer, stream_id: int, *_: object) -> None:
        if peer.number:
            peer.answer(stream_id)
        elif len(peer.seen) == 10:
            for other in range(1, 9, 2):
                peer.answer(other)
            peer.go_away(11)
            peer.transport.close()

    async with serving(script) as server, pooling(server) as pool:
        sent = submit(pool, 10)
        await finished(sent)
        assert sent.kinds() == {"answered": 8, "unknown": 2}
        assert sorted(index for index, r in sent.outcomes.items() if r.kind is Kind.UNKNOWN) == [4, 5]
        assert [headers[b"apns-id"] for _, headers, _ in server.peers[1].seen] == [b"id-%08d" % n for n in range(6, 10)]


async def test_a_connection_is_replaced_before_its_ids_run_out() -> None:
    options = replace(QUICK, max_connections=1, connection=ConnectionOptions(max_stream_id=2_001))
    async with serving(streams=50) as server, pooling(server, options) as pool:
        jobs = [submit(pool, 500, first=start) for start in range(0, 4_000, 500)]
        await finished(*jobs)
        assert {kind for sent in jobs for kind in sent.kinds()} == {"answered"}
        assert len(server.peers) >= 4
        assert all(len(peer.seen) <= 1_001 for peer in server.peers)
        assert set(pool.stats.ended) <= {"closed_by_us"}


async def test_an_aged_connection_is_replaced_without_a_gap() -> None:
    options = replace(QUICK, connection=ConnectionOptions(max_age_seconds=100.0, ping_after_seconds=1e9))
    held: list[tuple[Peer, int]] = []
    clock = Clock()
    async with (
        serving(lambda peer, stream_id, *_: held.append((peer, stream_id))) as server,
        pooling(server, options, clock=clock) as pool,
    ):
        old = submit(pool, 5, seconds=1e6)
        await until(lambda: len(held) == 5)
        clock.ahead = 60.0  # worn at 90 or later; the real clock runs beside it
        pool.tick(clock())
        assert pool.stats.opening == 0
        clock.ahead = 101.0
        pool.tick(clock())
        assert (pool.stats.connections, pool.stats.opening) == (1, 1)
        await until(lambda: pool.stats.draining == 1)
        new = submit(pool, 5, seconds=1e6)
        await until(lambda: len(held) == 10)
        assert [peer.number for peer, _ in held] == [0] * 5 + [1] * 5
        for peer, stream_id in held:
            peer.answer(stream_id)
        await finished(old, new)
        await until(lambda: not server.peers[0].alive)
        assert old.kinds() == new.kinds() == {"answered": 5}


async def test_rotation_moves_to_a_new_connection_and_finishes_the_old() -> None:
    held: list[tuple[Peer, int]] = []
    async with (
        serving(lambda peer, stream_id, *_: held.append((peer, stream_id))) as server,
        pooling(server) as pool,
    ):
        old = submit(pool, 3)
        await until(lambda: len(held) == 3)
        pool.rotate()
        new = submit(pool, 3)
        await until(lambda: len(held) == 6)
        assert [peer.number for peer, _ in held] == [0] * 3 + [1] * 3
        for peer, stream_id in held:
            peer.answer(stream_id)
        await finished(old, new)
        assert old.kinds() == new.kinds() == {"answered": 3}


async def test_rotation_by_an_answer_that_came_with_a_goaway_passes_over_what_leaves_already() -> None:
    held: list[tuple[Peer, int]] = []
    problems: list[Exception] = []
    async with (
        serving(lambda peer, stream_id, *_: held.append((peer, stream_id)), streams=2) as server,
        pooling(server) as pool,
    ):
        sent = submit(pool, 4)
        hear = sent.job.on_outcomes

        def rotating(outcomes: Outcomes) -> None:
            hear(outcomes)
            try:
                pool.rotate()
            except Exception as problem:
                problems.append(problem)

        await until(lambda: len(held) == 4)
        first, second = server.peers
        for peer, stream_id in held:
            if peer is first:
                peer.answer(stream_id)
        await until(lambda: sent.job.unfinished == 2)
        sent.job.on_outcomes = rotating
        mine = [stream_id for peer, stream_id in held if peer is second]
        second.answer(mine[0], 503)
        second.go_away()
        await until(lambda: sent.job.unfinished == 1)
        second.answer(mine[1])
        await finished(sent)
        assert problems == []
        assert sent.kinds() == {"answered": 4}


async def test_a_lost_connection_makes_its_requests_unknown_and_the_rest_go_on() -> None:
    def script(peer: Peer, stream_id: int, *_: object) -> None:
        if peer.number:
            peer.answer(stream_id)
        elif len(peer.seen) == 10:
            peer.transport.abort()

    faults: list[ConnectionFault] = []
    async with serving(script, streams=10) as server, pooling(server, faults=faults) as pool:
        sent = submit(pool, 30)
        await finished(sent)
        assert sent.kinds() == {"unknown": 10, "answered": 20}
        assert len(server.requests) == 30
        assert [fault.reason for fault in faults] == ["connection_dropped"]


async def test_nobody_there_is_tried_again_with_growing_pauses_until_the_deadline() -> None:
    async with serving() as server:
        pass
    faults: list[ConnectionFault] = []
    times: list[float] = []
    loop = asyncio.get_running_loop()

    def note(fault: ConnectionFault) -> None:
        faults.append(fault)
        times.append(loop.time())

    options = replace(QUICK, backoff_seconds=0.01, backoff_cap_seconds=10.0)
    pool = Pool(Endpoint(host="127.0.0.1", port=server.port), options, on_end=note, rng=random.Random(1))
    sent = submit(pool, 3, seconds=0.4)
    await finished(sent)
    assert {(r.kind, r.fault) for r in sent.outcomes.values()} == {(Kind.UNSENT, UNHEARD)}
    assert {fault.reason for fault in faults} == {"connect_failed"}
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(pauses) >= 2
    assert pauses[-1] > pauses[0]
    await within(pool.close())


async def test_a_server_that_comes_back_is_found() -> None:
    async with serving() as gone:
        port = gone.port
    pool = Pool(Endpoint(host="127.0.0.1", port=port), QUICK, rng=random.Random(1))
    sent = submit(pool, 3)
    await until(lambda: pool.stats.ended.get("connect_failed", 0) >= 2)
    listener = None
    server = Server(lambda peer, stream_id, *_: peer.answer(stream_id), 100)
    try:
        listener = await asyncio.get_running_loop().create_server(lambda: Peer(server), "127.0.0.1", port)
        await finished(sent)
        assert sent.kinds() == {"answered": 3}
    finally:
        await within(pool.close())
        if listener is not None:
            listener.close()


async def test_an_angry_goaway_is_not_answered_with_a_new_connection_at_once() -> None:
    def script(peer: Peer, stream_id: int, *_: object) -> None:
        peer.go_away(0, ENHANCE_YOUR_CALM, b"too_many_pings")

    options = replace(QUICK, backoff_seconds=1_000.0, backoff_cap_seconds=1_000.0)
    faults: list[ConnectionFault] = []
    async with serving(script) as server, pooling(server, options, faults) as pool:
        sent = submit(pool, 1, seconds=0.2)
        await finished(sent)
        assert sent.kinds() == {"unsent": 1}
        assert len(server.peers) == 1
        assert faults[0].reason == "peer_went_away"


async def test_a_dead_peer_is_noticed_and_the_work_moves_on() -> None:
    options = replace(
        QUICK,
        max_connections=1,
        connection=ConnectionOptions(ping_after_seconds=0.03, ping_timeout_seconds=0.03),
    )

    def script(peer: Peer, stream_id: int, *_: object) -> None:
        if peer.number:
            peer.answer(stream_id)
        else:
            peer.server.silent = True

    async with serving(script, streams=5) as server, pooling(server, options) as pool:
        sent = submit(pool, 20)
        await until(lambda: pool.stats.ended.get("peer_silent", 0) == 1)
        server.silent = False
        await finished(sent)
        assert sent.kinds()["answered"] == 15
        assert server.peers[0].pings >= 1


@pytest.fixture
def returned(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Connections are made, but tasks that dial get them only when this is set, as on a loaded machine."""
    event = asyncio.Event()

    async def dial_and_wait(*args: Any) -> Connection:
        connection = await dial(*args)
        await event.wait()
        return connection

    monkeypatch.setattr(dialer, "dial", dial_and_wait)
    return event


async def test_a_connection_sends_nothing_before_its_dial_has_returned(returned: asyncio.Event) -> None:
    """Until then the pool does not have the connection, and could cancel nothing on it."""
    async with serving(lambda *_: None, streams=20) as server, pooling(server) as pool:
        sent = submit(pool, 50)
        await until(lambda: any(peer.settled for peer in server.peers))
        assert (pool.stats.in_flight, server.requests) == (0, [])
        returned.set()
        await until(lambda: len(server.requests) == 20)
        pool.cancel(sent.job)
        assert sent.kinds() == {"unknown": 20, "unsent": 30}


@pytest.mark.parametrize("given_up_by", ["close", "time"])
async def test_a_connection_whose_dial_is_given_up_is_closed(returned: asyncio.Event, given_up_by: str) -> None:
    seconds = 0.2 if given_up_by == "time" else 60.0
    async with serving() as server, pooling(server, replace(QUICK, connect_timeout_seconds=seconds)) as pool:
        submit(pool, 1)
        await until(lambda: any(peer.settled for peer in server.peers))
        if given_up_by == "close":
            await within(pool.close())
        await until(lambda: not server.peers[0].alive)
    assert not returned.is_set()


async def test_surplus_connections_leave_after_a_quiet_time() -> None:
    options = replace(QUICK, shrink_after_seconds=600.0, connection=ConnectionOptions(idle_ping_seconds=None))
    held: list[tuple[Peer, int]] = []
    clock = Clock()
    async with (
        serving(lambda peer, stream_id, *_: held.append((peer, stream_id)), streams=5) as server,
        pooling(server, options, clock=clock) as pool,
    ):
        sent = submit(pool, 20)
        await until(lambda: len(held) == 20)
        for peer, stream_id in held:
            peer.answer(stream_id)
        await finished(sent)
        pool.tick(clock())
        clock.ahead = 500.0
        pool.tick(clock())
        assert pool.stats.connections == 4
        clock.ahead = 601.0
        pool.tick(clock())
        assert pool.stats.connections == 3
        await until(lambda: server.alive == 3)


ASYNCIO_TOO = [
    test_connections_are_added_while_streams_limit_and_the_load_is_spread,
    test_what_was_below_the_last_id_and_never_answered_is_unknown_and_not_resent,
    test_a_connection_is_replaced_before_its_ids_run_out,
    test_an_aged_connection_is_replaced_without_a_gap,
    test_a_lost_connection_makes_its_requests_unknown_and_the_rest_go_on,
    test_a_server_that_comes_back_is_found,
    test_a_dead_peer_is_noticed_and_the_work_moves_on,
]


@pytest.mark.parametrize("scenario", ASYNCIO_TOO, ids=lambda scenario: scenario.__name__.removeprefix("test_"))
def test_the_same_holds_on_the_loop_of_asyncio(scenario: Callable[[], Coroutine[None, None, None]]) -> None:
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(scenario())
