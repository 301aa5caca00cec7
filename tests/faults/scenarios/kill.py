"""SIGKILL a planner, each sender and the settler, again and again, at seeded moments under load."""

from __future__ import annotations

from faults.rig import Rig, roles

NAME = "kill"
TITLE = "SIGKILL planner, each sender, settler"
LATENCY_MS = 50


def story(rig: Rig) -> None:
    rig.slow_providers(LATENCY_MS)
    victims = list(roles(rig, "planner", "sender", "settler"))
    kills = sum(rig.kill_each_once(victims) for _ in range(rig.size.cycles))
    rig.numbers |= {"cycles": rig.size.cycles, "kills": kills}
