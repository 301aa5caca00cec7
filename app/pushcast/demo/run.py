"""The demo itself: register devices, send notifications, follow them to the end, reckon."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import orjson

from pushcast.audit.reader import Books, planner_group
from pushcast.audit.reckoning import Totals
from pushcast.demo.load import DeviceOf, make_devices, make_notes
from pushcast.demo.produce import Progress, produce, producer_of, register, subscribe
from pushcast.demo.result import Tally, result_of
from pushcast.demo.strikes import Strikes
from pushcast.demo.world import World
from pushcast.model.errors import PushcastError
from pushcast.model.words import Lane
from pushcast.wire import topics

DRAIN_SECONDS = 300.0
SETTLE_SECONDS = 20.0
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Plan:
    """What the demo is asked to do."""

    devices: int = 20_000
    notifications: int = 50_000
    seed: int = 1
    faults: bool = False  # kill a planner and a sender under load


def run(world: World, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Runs the main job in `world`; returns the contract's keys. Raises PushcastError when it does not end."""
    with Books(world.settings) as books:
        devices = make_devices(plan.devices, plan.seed)
        subscribe(world, devices)
        register(world, books, devices, progress, planners=len(Lane))
        produced_from_ms = round(time.time() * 1000)
        strikes = Strikes(world, plan.notifications, plan.seed) if plan.faults else None
        if strikes is not None:
            strikes.start()
        _notify(world, plan, devices, progress)
        struck = {} if strikes is None else strikes.result()
        _drain(world, books, progress)
        totals, tally = _reckon(books, produced_from_ms)
        removed = _await_removals(books)
    result = result_of(
        totals=totals,
        tally=tally,
        simulators=world.simulator_stats(),
        devices=plan.devices,
        dead_tokens=sum(device.dead for device in devices),
        devices_removed=removed,
        engines=_engines(world),
        produced_from_ms=produced_from_ms,
        duplicates_bound=struck.get("duplicates_bound", 0),
    )
    return {**result, **struck, "transient_errors": world.transient_errors()}


def _notify(world: World, plan: Plan, devices: list[DeviceOf], progress: Progress) -> None:
    """Writes the notifications. Every content carries its own time of creation, which is also its Kafka timestamp."""
    producer = producer_of(world.settings)
    times: dict[int, int] = {}
    count = 0
    for note in make_notes(plan.notifications, devices, plan.seed):
        at_ms = times.get(note.content)
        if at_ms is None:
            at_ms = times[note.content] = round(time.time() * 1000)
        event = {**note.event, "data": {"content": str(note.content), "pushcast_at_ms": str(at_ms)}}
        topic = topics.notification(Lane(note.lane))
        produce(producer, topic, note.user, orjson.dumps(event), world.settings.kafka.partitions, at_ms)
        count += 1
        if count % 5000 == 0:
            producer.poll(0)
            progress("notifications written", count, plan.notifications)
    producer.flush()
    progress("notifications written", count, plan.notifications)


def _drain(world: World, books: Books, progress: Progress) -> None:
    """Waits until every lane's planner and every sender has finished what there is."""
    deadline = time.monotonic() + DRAIN_SECONDS
    retries = [("pushcast-settle", topics.retry(delay)) for delay in topics.RETRY_DELAY_SECONDS]
    pairs = [(planner_group(lane), topics.notification(lane)) for lane in Lane]
    # Retries first: what leaves them while this looks is found on a send topic. What moves the other way is found by
    # the reckoning, which waits for a balance.
    pairs += retries + [
        (f"pushcast-send-{platform}-{lane}", topics.send(platform, lane))
        for platform in world.platforms()
        for lane in Lane
    ]
    while True:
        world.check_roles()
        accepted = sum(stats["requests"] for stats in world.simulator_stats().values())
        left = sum(books.lag(group, topic).records for group, topic in pairs)
        progress(f"pushes at the providers ({left} records under way)", accepted, 0)
        if not left:
            return
        if time.monotonic() > deadline:
            raise PushcastError(f"{left} records still unfinished after {DRAIN_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)


def _reckon(books: Books, since_ms: int) -> tuple[Totals, Tally]:
    """The last receipts may be a commit away: reckons until balanced, for a bounded time."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        tally = Tally()
        totals = books.reckon(since_ms - 1000, on_receipt=tally.add)
        if totals.balanced or time.monotonic() > deadline:
            return totals, tally
        time.sleep(POLL_SECONDS)


def _await_removals(books: Books) -> int:
    """Devices that have gone once REGISTER has finished the invalid tokens and their holds are over."""
    deadline = time.monotonic() + SETTLE_SECONDS
    # In this order: a verdict is done when its hold is written.
    while time.monotonic() < deadline and any(
        books.lag("pushcast-register", topic).records for topic in (topics.TOKEN_INVALID, topics.TOKEN_HOLD)
    ):
        time.sleep(POLL_SECONDS)
    return books.tombstones(topics.DEVICE)


def _engines(world: World) -> dict[str, str]:
    settings = world.settings
    return {
        platform: next(getattr(app, platform).engine for app in settings.apps.values() if getattr(app, platform))
        for platform in world.platforms()
    }
