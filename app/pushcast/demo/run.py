"""The demo itself: register devices, send notifications, follow them to the end, reckon."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from pushcast.audit.accounts import Totals
from pushcast.audit.reader import Books, planner_group
from pushcast.audit.timer_ledger import TimerTotals
from pushcast.audit.timers import timer_totals
from pushcast.demo.broadcasts import broadcast
from pushcast.demo.flooding import Flooding
from pushcast.demo.load import DeviceOf, Expected, make_devices, make_notes, make_travellers, make_trickle
from pushcast.demo.notify import Trickle
from pushcast.demo.produce import Progress, prefer, register, subscribe
from pushcast.demo.result import Tally, per_lane, result_of
from pushcast.demo.strikes import Strikes
from pushcast.demo.timed import DAY_HOUR, NIGHT_HOUR, preference
from pushcast.demo.world import World
from pushcast.model.errors import PushcastError
from pushcast.model.plural import counted
from pushcast.model.words import Lane
from pushcast.wire import groups, topics

DRAIN_SECONDS = 300.0
SETTLE_SECONDS = 20.0
POLL_SECONDS = 0.2
#: Between two looks at lags and counters while there is work: each takes the broker's and the simulators' time.
LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """What the demo is asked to do."""

    devices: int = 20_000
    notifications: int = 50_000
    seed: int = 1
    faults: bool = False  # kill a planner and a sender under load


def run(world: World, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Runs the main job in `world`; returns the contract's keys. Raises PushcastError when it does not end."""
    with Books(world.settings) as books, Flooding(plan.devices, plan.notifications, plan.seed) as flooding:
        devices = make_devices(plan.devices, plan.seed)
        # Before anything is urgent: it takes a second, and the thread that writes what is urgent would wait.
        pushes = _expected(plan, devices)
        subscribe(world, devices)
        away, hour = make_travellers(plan.notifications, devices, plan.seed), time.gmtime().tm_hour
        prefer(world.settings, away, preference(NIGHT_HOUR, hour))
        register(world, books, devices, progress, planners=len(Lane))
        produced_from_ms = round(time.time() * 1000)
        strikes = Strikes(world, plan.notifications, plan.seed) if plan.faults else None
        if strikes is not None:
            strikes.start()
        trickle = Trickle(world.settings, make_trickle(plan.notifications, devices, plan.seed))
        trickle.start()
        flooding.write(progress)
        struck = {} if strikes is None else strikes.result()
        travel = partial(prefer, world.settings, away, preference(DAY_HOUR, hour))
        _drain(world, books, progress, trickle, pushes, travel)
        broadcasts = broadcast(world, plan.seed, progress)
        totals, tally = _reckon(books, produced_from_ms, progress)
        progress("waiting for the removal of dead devices", 0, 0)
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
        timers=_timers(world),
    )
    return {**result, **struck, "broadcasts": broadcasts, "transient_errors": world.transient_errors()}


def _expected(plan: Plan, devices: list[DeviceOf]) -> int:
    """Pushes that the events make, each counted once."""
    expected = Expected(devices)
    return sum(expected.of(note) for note in make_notes(plan.notifications, devices, plan.seed))


def _drain(
    world: World, books: Books, progress: Progress, trickle: Trickle, pushes: int, travel: Callable[[], None]
) -> None:
    """Waits until every lane's planner and every sender has finished what there is; then users `travel`, and what
    waited for that is waited for, too."""
    have_travelled = False
    deadline = time.monotonic() + DRAIN_SECONDS
    retries = [(groups.SETTLE, topics.retry(delay)) for delay in topics.RETRY_DELAY_SECONDS]
    others = [(planner_group(lane), topic(lane)) for lane in Lane for topic in (topics.notification, topics.due)]
    others += [(groups.KEEP, topic) for topic in (*map(topics.keep, Lane), topics.CANCEL)]
    others += [
        (f"pushcast-send-{platform}-{lane}", topics.send(platform, lane))
        for platform in world.platforms()
        for lane in Lane
    ]
    while True:
        world.check_roles()
        arrived = sum(row["arrived"] for row in per_lane(world.simulator_stats()).values())
        writing = trickle.is_alive()
        # Retries first: what leaves them while this looks is found on a send topic. What moves the other way is found
        # by the reckoning, which waits for a balance.
        waiting = sum(lag.records for lag in books.lags(retries))
        left = sum(lag.records for lag in books.lags(others))
        progress(f"pushes at the providers ({awaited(writing, left, waiting)})", min(arrived, pushes), pushes)
        if not left and not have_travelled:
            travel()
            have_travelled = True
        elif not writing and not left and not waiting and not _timers(world).waiting:
            trickle.finish()
            return
        if time.monotonic() > deadline:
            raise PushcastError(f"{left + waiting} records still unfinished after {DRAIN_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)


def _timers(world: World) -> TimerTotals:
    return timer_totals(world.settings, round(time.time() * 1000))


def awaited(writing: bool, left: int, waiting: int) -> str:
    """What the demo waits for, in words."""
    parts = [f"{counted(left, 'record')} under way"] if left else []
    parts += [f"{waiting:,} wait for their retry"] if waiting else []
    parts += ["urgent events go on"] if writing else []
    return ", ".join(parts) or "all are through"


def _reckon(books: Books, since_ms: int, progress: Progress) -> tuple[Totals, Tally]:
    """The last receipts may be a commit away: reckons until balanced, for a bounded time."""
    deadline = time.monotonic() + SETTLE_SECONDS
    progress("auditing: every event against its receipts", 0, 0)
    while True:
        tally = Tally()
        totals = books.reckon(since_ms - 1000, on_receipt=tally.add, on_planned=tally.planned)
        if totals.balanced or time.monotonic() > deadline:
            return totals, tally
        time.sleep(POLL_SECONDS)


def _await_removals(books: Books) -> int:
    """Devices that have gone once REGISTER has finished the invalid tokens and their holds are over."""
    deadline = time.monotonic() + SETTLE_SECONDS
    # In this order: a verdict is done when its hold is written.
    while time.monotonic() < deadline and any(
        books.lag(groups.REGISTER, topic).records for topic in (topics.TOKEN_INVALID, topics.TOKEN_HOLD)
    ):
        time.sleep(POLL_SECONDS)
    return books.removed_devices(topics.DEVICE)


def _engines(world: World) -> dict[str, str]:
    settings = world.settings
    return {
        platform: next(getattr(app, platform).engine for app in settings.apps.values() if getattr(app, platform))
        for platform in world.platforms()
    }
