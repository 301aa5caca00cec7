"""Rows of `bench keep` that go the whole way, event to provider: capped events on an idle system, and beside a minute
full of timers."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from pushcast.bench import timers
from pushcast.bench.base import Options, Row
from pushcast.bench.cluster import BenchCluster, ProcessUnderTest, bench_cluster, role
from pushcast.bench.planning import APP, load_devices
from pushcast.bench.sink import simulator
from pushcast.bench.steady import SteadyEvents
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane, Platform

IDLE: Final = "keep/capped"
MINUTE: Final = "keep/minute"
EVENTS: Final = 500
#: A broker compiles its request path while it is new: the chain has been up for half a minute then.
WARM_UP_EVENTS: Final = 2_500
#: Those whose device is on APNs (`planning.device_rows`).
USERS: Final = range(1, 2_000, 2)
MINUTE_MS: Final = 60_000
DRAIN_SECONDS: Final = 300.0
LOOK_SECONDS: Final = 0.5


class _Chain(NamedTuple):
    cluster: BenchCluster
    keeper: ProcessUnderTest
    events: SteadyEvents


def rows(options: Options, items: int, setup: dict[str, Any]) -> Iterator[Row]:
    """`keep/capped`: 100 events a second of a class that caps count, each for another user, with nothing beside them.
    `keep/minute`: the same while `items` timers of the normal lane are due within one minute. Latency: event produced
    → the simulator answers its push. CPU and memory: the keeper's. `setup` gets the keeper's memory before the timers.
    """
    with _chain(options) as chain:
        chain.events.run("", lambda number: number < WARM_UP_EVENTS)
        if options.wants(IDLE):
            options.say(f"{IDLE}: {EVENTS} events")
            yield _row(IDLE, chain, lambda number: number < EVENTS)
        if options.wants(MINUTE):
            setup["keeper_idle_bytes"] = chain.keeper.reading().rss_bytes
            yield from _minute(options, chain, items)


def _minute(options: Options, chain: _Chain, items: int) -> Iterator[Row]:
    cluster, keeper, _ = chain
    due_at = timers.ahead(items)
    before = timers.let_go(cluster)
    options.say(f"{MINUTE}: {items} timers of one minute")
    timers.load(cluster, keeper, "minute", items, lambda number: due_at + number * MINUTE_MS // items)
    timers.wait_until(due_at)
    start = keeper.reading()
    with ThreadPoolExecutor(1) as watch:
        end = watch.submit(_until_let_go, chain, before + items)
        yield _row(MINUTE, chain, lambda _: not end.done())
        end.result()
    yield keeper.row(f"{MINUTE}/timers", items, start)


def _until_let_go(chain: _Chain, due_records: int) -> None:
    deadline = time.monotonic() + DRAIN_SECONDS
    while timers.let_go(chain.cluster) < due_records:
        chain.keeper.check()
        if time.monotonic() > deadline:
            raise PushcastError(f"{MINUTE}: the timers are not let go within {DRAIN_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)


def _row(name: str, chain: _Chain, go_on: Callable[[int], bool]) -> Row:
    start = chain.keeper.reading()
    found = chain.events.run(name, go_on)
    return chain.keeper.row(name, found.events, start, found.latency_ms)


@contextmanager
def _chain(options: Options) -> Iterator[_Chain]:
    """Keeper, and planner and sender of the urgent lane, ready."""
    lane = ("--lane", Lane.URGENT, "--slot", "k")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pushcast-bench-sim-")))
        sim = stack.enter_context(simulator(Platform.APNS, folder))
        configuration = {
            "apps": {APP: {"apns": sim.provider_settings()}},
            "classes": {"default": {"lane": "urgent", "window_seconds": 0, "caps": "apply"}},
            "caps": [{"name": "many", "limit": 100, "window_seconds": 60}],
        }
        cluster = stack.enter_context(bench_cluster(options, configuration))
        load_devices(cluster, USERS, time.time_ns() // 1_000_000)
        keeper = stack.enter_context(role(cluster, "keeper", "--slot", "k"))
        others = [
            stack.enter_context(role(cluster, "planner", *lane)),
            stack.enter_context(role(cluster, "sender", "--platform", Platform.APNS, *lane)),
        ]

        def check() -> None:
            for process in (keeper, *others):
                process.check()

        yield _Chain(cluster, keeper, SteadyEvents(cluster, sim, APP, USERS, check))
