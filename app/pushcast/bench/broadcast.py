"""`bench broadcast`: one broadcast through the whole chain, from the event to the last receipt, audit included.

Roles run as `pushcast run all` runs them, on the same cores as Kafka and the simulators.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import orjson

from pushcast.audit.broadcasts import BroadcastBooks, FoundBroadcast
from pushcast.audit.progress import Progress
from pushcast.bench.base import Options, Result, Row
from pushcast.bench.cluster import BenchCluster, bench_cluster
from pushcast.bench.planning import APP, TOPICS, load_devices
from pushcast.bench.sink import Simulator, simulator
from pushcast.bench.steady import PER_SECOND, Answered, SteadyEvents, quantiles
from pushcast.bench.whole import Used, Whole, run_all, used
from pushcast.config.settings import Niceness
from pushcast.kafka.intake import put_one
from pushcast.kafka.switchboard import write
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane, Platform
from pushcast.runtime.layout import processes
from pushcast.wire import topics
from pushcast.wire.control.control import Halt, Kind, Name

NAME: Final = "broadcast/1m"
ITEMS: Final = 1_000_000
PLATFORMS: Final = (Platform.APNS, Platform.FCM)
LANE: Final = Lane.BULK
WARM_UP_SECONDS: Final = 120.0
TIMEOUT_SECONDS: Final = 480.0
POLL_SECONDS: Final = 0.05
LOOK_SECONDS: Final = 0.25  # while the broadcast goes on
URGENT_ROW: Final = "broadcast/urgent"
MEMORY_ROW: Final = "broadcast/memory"
BEHIND_ROW: Final = "broadcast/behind"
BEHIND_PER_SECOND: Final = 2.0
STOP_ROW: Final = "broadcast/stop"
#: One device in so many follows a topic of its own, which the walk finds without decoding the rows of the others. All
#: devices come last.
MEMORY_SHARES: Final = (100, 10)
PLANNER: Final = f"planner-{LANE}"
CODES: Final = "codes"  # the app of the urgent events
USERS: Final = range(1, 2_000, 2)  # those whose device is on APNs (`planning.device_rows`)
WARM_UP_EVENTS: Final = 500  # a fresh broker compiles its request path during its first 300 requests
ALL: Final = "all"
STOPPED: Final = "stopped"
STOP_AFTER_SECONDS: Final = 1.0
STILL_SECONDS: Final = 5.0  # without a request: the last one has left


def run(options: Options) -> Result:
    """Row `broadcast/1m` and a row for each part, with urgent events beside it (`broadcast/urgent`); what the planner
    of its lane held at most in walks of three sizes (`broadcast/memory/…`); what a notification of its lane waits for
    (`broadcast/behind`); and how long requests go on after a stop is acknowledged (`broadcast/stop`).

    Raises PushcastError unless every device has one accepted receipt.
    """
    items = options.items or ITEMS
    cpu_seconds: dict[str, float] = {}
    setup: dict[str, Any] = {
        "cpu_seconds": cpu_seconds,
        "devices": items,
        "platforms": [*PLATFORMS],
        "lane": LANE,
        "sink": "pushcast sim, checks off",
        "urgent_per_second": PER_SECOND,
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pushcast-bench-sim-")))
        # They yield as the broadcast's own roles do: a real provider takes none of these cores.
        yields = Niceness().of(LANE)
        sims = {
            platform: stack.enter_context(simulator(platform, folder / platform, niceness=yields))
            for platform in PLATFORMS
        }
        codes = stack.enter_context(simulator(Platform.APNS, folder / CODES))
        apps = {APP: {str(platform): sim.provider_settings() for platform, sim in sims.items()}}
        apps[CODES] = {"apns": codes.provider_settings()}
        configuration = {"apps": apps, "classes": {"default": {"lane": "urgent", "window_seconds": 0}}}
        cluster = stack.enter_context(bench_cluster(options, configuration))
        setup["partitions"] = cluster.settings.kafka.partitions
        options.say(f"{items} devices into their topic")
        now_ms = time.time_ns() // 1_000_000
        load_devices(cluster, range(items), now_ms, follows=_follows)
        load_devices(cluster, USERS, now_ms, app=CODES)
        plans = processes(cluster.settings, list(Lane), list(Platform))
        whole = stack.enter_context(run_all(cluster, sims, plans))
        events = SteadyEvents(cluster, codes, CODES, USERS, whole.roles.check)
        options.say("warming up with one device in a hundred, and with one in ten")
        events.run("warm", lambda count: count < WARM_UP_EVENTS)
        memory = [_memory(cluster, whole, share, items) for share in MEMORY_SHARES]
        options.say(f"{NAME}: {items} devices")
        behind = SteadyEvents(
            cluster, sims[Platform.APNS], APP, USERS, whole.roles.check, lane=LANE, per_second=BEHIND_PER_SECOND
        )
        sims[Platform.APNS].reset()
        spent, urgent = _all(cluster, whole, list(sims.values()), events, behind, items)
        cpu_seconds |= spent.cpu_seconds
        rows = [*spent.rows(NAME, items), Row(URGENT_ROW, urgent.events, spent.seconds, 0.0, 0, urgent.latency_ms)]
        rows.append(Row(BEHIND_ROW, behind.made, 0.0, 0.0, 0, quantiles(sims[Platform.APNS].stats()["latency_ms"])))
        options.say(f"{STOP_ROW}: stopped after {STOP_AFTER_SECONDS:g} s")
        return Result([*rows, *memory, _memory_of(whole, items, items), _stopped(cluster, list(sims.values()))], setup)


def _all(
    cluster: BenchCluster,
    whole: Whole,
    sims: Sequence[Simulator],
    events: SteadyEvents,
    behind: SteadyEvents,
    items: int,
) -> tuple[Used, Answered]:
    """The broadcast to every device, with urgent events, and notifications of its own lane, as long as it takes.

    What became of it is read from Kafka afterwards: whoever reads a million receipts takes a tenth of the cores.
    """
    start, over, pushes, receipts = whole.look(), threading.Event(), _accepted(sims), _receipts(cluster)
    made = events.made + behind.made
    with ThreadPoolExecutor(2) as beside:
        urgency = beside.submit(events.run, URGENT_ROW, lambda _: not over.is_set())
        waiting = beside.submit(behind.produce, BEHIND_ROW, lambda _: not over.is_set())
        try:
            _send(cluster, ALL, {"all": True})
            reached = whole.roles.until
            reached(lambda: _accepted(sims) - pushes >= items, f"{items} pushes", TIMEOUT_SECONDS, LOOK_SECONDS)
            over.set()  # nothing is produced from here on
            reached(
                lambda: _receipts(cluster) - receipts >= items + events.made + behind.made - made,
                f"{items} receipts",
                TIMEOUT_SECONDS,
                POLL_SECONDS,
            )
            spent = used(start, whole.look())
        finally:
            over.set()
        urgent = urgency.result()
        waiting.result()
    found = _ended(cluster, ALL, TIMEOUT_SECONDS).to_dict()
    if found["planned"] != items or found["receipts"] != {"accepted": items}:
        raise PushcastError(f"{items} devices became {found}")
    return spent, urgent


def _receipts(cluster: BenchCluster) -> int:
    return sum(cluster.ends(topics.RECEIPT))


def _memory(cluster: BenchCluster, whole: Whole, share: int, items: int) -> Row:
    """After a walk that plans for one device in `share`."""
    planned = _through(cluster, f"share-{share}", {"topics": [_topic(share)]}, WARM_UP_SECONDS).to_dict()["planned"]
    return _memory_of(whole, -(-items // share), planned)


def _topic(share: int) -> str:
    return f"one-in/{share}"


def _follows(number: int) -> tuple[str, ...]:
    """Topics of a device: what all follow, and what one in so many does."""
    if number % min(MEMORY_SHARES):
        return TOPICS
    return *TOPICS, *(_topic(share) for share in MEMORY_SHARES if not number % share)


def _memory_of(whole: Whole, size: int, planned: int) -> Row:
    """What the planner of the lane has held at most so far."""
    return Row(f"{MEMORY_ROW}/{size}", planned, 0.0, 0.0, whole.look()[PLANNER].rss_bytes)


def _stopped(cluster: BenchCluster, sims: Sequence[Simulator]) -> Row:
    """Seconds from the acknowledgement of a stop to the last request; `items`: requests within them."""
    before = _accepted(sims)
    _send(cluster, STOPPED, {"all": True})
    deadline = time.monotonic() + WARM_UP_SECONDS
    while _accepted(sims) == before:
        if time.monotonic() > deadline:
            raise PushcastError(f"nothing of {STOPPED} has left within {WARM_UP_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    time.sleep(STOP_AFTER_SECONDS)
    write(cluster.settings, Name(Kind.STOP, STOPPED), Halt(since_ms=time.time_ns() // 1_000_000))
    at = last_at = time.monotonic()
    at_stop = last = _accepted(sims)
    while time.monotonic() - last_at < STILL_SECONDS:
        time.sleep(POLL_SECONDS)
        found = _accepted(sims)
        if found != last:
            last, last_at = found, time.monotonic()
    progress = _ended(cluster, STOPPED, TIMEOUT_SECONDS).to_dict()
    if progress["state"] != "stopped" or progress["planned"] != progress["ended"]:
        raise PushcastError(f"a stop left {progress}")
    return Row(STOP_ROW, last - at_stop, last_at - at, 0.0, 0)


def _accepted(sims: Sequence[Simulator]) -> int:
    return sum(sim.stats()["accepted"] for sim in sims)


def _through(cluster: BenchCluster, name: str, audience: dict[str, Any], timeout_seconds: float) -> Progress:
    """Returns when every delivery has its receipt. Raises PushcastError when it takes longer."""
    _send(cluster, name, audience)
    return _ended(cluster, name, timeout_seconds)


def _send(cluster: BenchCluster, name: str, audience: dict[str, Any]) -> None:
    event = {"id": name, "app": APP, "title": "Goal!", "body": f"1:0 in the 88th minute ({name})", "audience": audience}
    put_one(cluster.settings, topics.broadcast(LANE), name.encode(), orjson.dumps(event))


def _ended(cluster: BenchCluster, name: str, timeout_seconds: float) -> Progress:
    deadline = time.monotonic() + timeout_seconds
    with BroadcastBooks(cluster.settings) as broadcasts:
        found: FoundBroadcast | None = None
        while found is None:
            found = broadcasts.find(name, [LANE])
            if time.monotonic() > deadline:
                raise PushcastError(f"the settler has not spread {name} within {timeout_seconds:.0f} s")
            time.sleep(POLL_SECONDS)
        progress = broadcasts.follow(found, timeout_seconds)
    if not progress.finished:
        raise PushcastError(f"{name} has not finished within {timeout_seconds:.0f} s: {progress.to_dict()}")
    return progress
