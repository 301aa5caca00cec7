"""X1 of reference/time.md: events of all kinds, cancels, reads and changes of zone, while every role is killed.

At the end each timer has closed once, and none is overdue. What waits for hours, because its user travelled into the
night, is called off when the kills are over: with the keeper, and parked, because a retry is judged by the quiet hours
of its moment.
"""

from __future__ import annotations

import time
from typing import Any

from faults.rig import Rig
from faults.timed import Timed, cancel
from pushcast.audit.timer_ledger import TimerTotals
from pushcast.audit.timers import timer_totals
from pushcast.demo.produce import produce, producer_of

NAME = "keep"
TITLE = "SIGKILL every role while events wait, and are cancelled, read and moved to other zones"
LATENCY_MS = 20
#: X1 asks for 100,000 events and 50 kills of every role.
EVENTS, CYCLES = 100_000, 50
#: Beyond the kills, until so many events are written.
MORE_SECONDS = 600.0
WAIT_SECONDS = 60.0
#: What is parked is looked through so often, and ends then if it was called off.
OVERRIDES: dict[str, dict[str, Any]] = {"park": {"pass_seconds": 5}}


def story(rig: Rig) -> None:
    rig.slow_providers(LATENCY_MS)
    timed = Timed(rig.rng)
    assert rig.load is not None
    rig.load.vary = timed.vary
    cycles = rig.size.cycles if rig.size.short else max(CYCLES, rig.size.cycles)
    kills = sum(rig.kill_each_once(rig.crew.names()) for _ in range(cycles))
    rig.numbers |= {"cycles": cycles, "kills": kills}

    written, least = rig.load, 0 if rig.size.short else EVENTS
    rig.require(rig.until(lambda: written.acknowledged >= least, MORE_SECONDS), f"fewer than {EVENTS} events")
    rig.numbers["timed_events"] = rig.load.stop()
    rig.require(rig.until(rig.drained, rig.size.drain_seconds), "records still wait for a stage")
    _require_closed(rig, _ledger(rig))
    producer = producer_of(rig.world.settings)
    for each in (cancel(user, note_id) for user, note_id in timed.written):
        partitions = rig.world.settings.kafka.partitions
        produce(producer, each.topic, each.user, each.value, partitions, rig.now_ms())
    producer.flush()

    def the_ledger_closes() -> None:
        ended = rig.until(lambda: not _ledger(rig).waiting and rig.drained(), WAIT_SECONDS)
        totals = _ledger(rig)
        rig.require(ended, f"what was called off still waits: {totals.to_dict()}")
        _require_closed(rig, totals)
        rig.numbers["timers"] = totals.to_dict()

    rig.afterwards(the_ledger_closes)


def _ledger(rig: Rig) -> TimerTotals:
    return timer_totals(rig.world.settings, round(time.time() * 1000))


def _require_closed(rig: Rig, totals: TimerTotals) -> None:
    """Created less closed are those that wait, and nobody's time is over."""
    told = totals.to_dict()
    rig.require(totals.balanced, f"a timer is lost or was let go twice: {told}")
    rig.require(totals.held > 0, "nothing waited")
    rig.require(
        totals.held - totals.released - totals.closed_early == totals.waiting + totals.unread, f"ledger: {told}"
    )
    rig.require(not totals.overdue, f"overdue: {told}")
