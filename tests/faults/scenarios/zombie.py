"""SIGSTOP a role beyond its session timeout; a second process takes its partitions over; then SIGCONT.

The zombie wakes up believing that it owns what another has by now: planners have records buffered and windows open,
senders deliveries to hand over, the settler records that are due.
"""

from __future__ import annotations

from functools import partial

from faults.rig import Rig, roles

NAME = "zombie"
TITLE = "SIGSTOP beyond the session timeout, then SIGCONT"
#: Beyond the session timeout: how long the successor works before the zombie wakes.
SUCCESSION_SECONDS = (1.0, 4.0)
TAKE_OVER_SECONDS = 45.0
LATENCY_MS = 50


def story(rig: Rig) -> None:
    rig.slow_providers(LATENCY_MS)
    zombies = 0
    cycles = max(1, rig.size.cycles // 2)  # each one waits for the session timeout
    for cycle in range(cycles):
        victims = [rig.rng.choice(list(roles(rig, kind))) for kind in ("planner", "sender", "settler")]
        successors = {victim: rig.crew.hire(victim, f"successor-{cycle}") for victim in victims}
        rig.wait(0.2, 1.0)
        for victim, successor in successors.items():
            rig.strike(victim, rig.crew.freeze)
            rig.crew.start(successor)
        for successor in successors.values():
            owns = rig.until(partial(rig.crew.owns, successor), TAKE_OVER_SECONDS)
            rig.require(owns, f"{successor} took no partition over")
        rig.wait(*SUCCESSION_SECONDS)
        for victim in victims:
            rig.crew.thaw(victim)
            zombies += 1
        rig.crew.await_ready(*victims)
        rig.wait(0.5, 1.5)
        rig.crew.stop(*successors.values())
    rig.numbers |= {"cycles": cycles, "zombies": zombies}
