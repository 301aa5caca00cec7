"""SIGKILL a planner, each sender and the settler, again and again, at seeded moments under load."""

from __future__ import annotations

from faults.rig import Rig, roles

NAME = "kill"
TITLE = "SIGKILL planner, each sender, settler"
BREATH_SECONDS = (0.2, 1.5)
LATENCY_MS = 50


def story(rig: Rig) -> None:
    rig.slow_providers(LATENCY_MS)
    kills = 0
    for _ in range(rig.size.cycles):
        victims = list(roles(rig, "planner", "sender", "settler"))
        rig.rng.shuffle(victims)
        for victim in victims:
            rig.wait(*BREATH_SECONDS)
            rig.strike(victim, rig.crew.kill)
            kills += 1
            # at once: a static member that comes back within the session timeout finds its partitions waiting
            rig.crew.start(victim)
        rig.crew.await_ready()
    rig.numbers |= {"cycles": rig.size.cycles, "kills": kills}
