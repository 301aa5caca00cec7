"""SIGKILL of planner, settler, senders and the broker in the middle of broadcasts: every device once, every sum exact.

SPREAD lives in the settler. The first broadcast and every second one go in steps; the settler is killed around their
decisions.
"""

from __future__ import annotations

import time
from typing import Any

import orjson

from faults.rig import Rig, roles
from faults.scenarios.broker import BACK_SECONDS, answers
from pushcast.audit.broadcasts import BroadcastBooks
from pushcast.kafka.intake import put_one
from pushcast.wire import topics

NAME = "broadcast"
TITLE = "SIGKILL planner, settler, each sender and the broker in the middle of broadcasts"
BREATH_SECONDS = (0.1, 1.5)
LATENCY_MS = 20
APP = "news"
#: Long enough for the blows of a cycle to fall into its walk.
OVER_SECONDS = 6
FOLLOW_SECONDS = 90.0
STEPS = [{"share": 2_000, "wait_seconds": 1}, {"share": 10_000}]


def story(rig: Rig) -> None:
    rig.slow_providers(LATENCY_MS)
    lane = rig.size.lanes[-1]
    sent: list[str] = []
    kills = 0
    for cycle in range(rig.size.cycles):
        name = f"b-{rig.seed}-{cycle}-{time.time_ns()}"
        event: dict[str, Any] = {
            "id": name,
            "app": APP,
            "title": name,
            "audience": {"all": True},
            "pace": {"over_seconds": OVER_SECONDS},
        }
        if cycle % 2 == 0:
            event["steps"] = STEPS
        put_one(rig.world.settings, topics.broadcast(lane), name.encode(), orjson.dumps(event))
        sent.append(name)
        # The settler first, and at once: it may have written some of the orders.
        for victim in dict.fromkeys((*roles(rig, "settler"), *roles(rig, "planner", "sender"))):
            rig.strike(victim, rig.crew.kill)
            kills += 1
            rig.crew.start(victim)
            rig.wait(*BREATH_SECONDS)
        rig.crew.await_ready()
        if not rig.size.short and cycle == rig.size.cycles - 1:  # this walk goes on without its log for a while
            rig.cluster.kill_broker(0)
            rig.wait(*BREATH_SECONDS)
            rig.cluster.start_broker(0, wait=False)
            rig.require(rig.until(lambda: answers(rig), BACK_SECONDS), "the broker did not come back")

    def every_one_has_ended() -> None:
        planned = 0
        with BroadcastBooks(rig.world.settings) as broadcasts:
            for name in sent:
                found = broadcasts.find(name, [lane])
                if found is None:
                    rig.require(False, f"{name} was never spread")
                    continue
                stood = broadcasts.follow(found, FOLLOW_SECONDS * rig.size.patience)
                planned += stood.planned
                rig.require(stood.finished, f"{name} has not ended: {stood.to_dict()}")
                rig.require(stood.planned == stood.ended, f"{name}: {stood.planned} planned, {stood.ended} ended")
                rig.require(stood.planned > 0, f"{name} reached nobody")
        rig.numbers["planned_by_broadcasts"] = planned

    rig.afterwards(every_one_has_ended)
    rig.numbers |= {"cycles": rig.size.cycles, "kills": kills, "broadcasts": len(sent)}
