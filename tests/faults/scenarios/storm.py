"""Rebalance storms: planners, senders and a settler join and leave every few seconds under load.

Newcomers are dynamic members: each one that comes or goes moves partitions at once.
"""

from __future__ import annotations

from functools import partial

from faults.rig import Rig, roles

NAME = "storm"
TITLE = "Roles join and leave under load"
READY_SECONDS = 60.0


def story(rig: Rig) -> None:
    moves = 0
    newcomers = [rig.crew.hire(name, "storm", static=False) for name in roles(rig, "planner", "sender", "settler")]
    for cycle in range(rig.size.cycles):
        rig.rng.shuffle(newcomers)
        chosen = newcomers if rig.size.short else newcomers[: rig.rng.randint(1, len(newcomers))]
        rig.crew.start(*chosen)
        moves += len(chosen)
        rig.wait(rig.size.fault_seconds)
        # In every second cycle one leaves without a word, half way into its assignment or not.
        if cycle % 2:
            rig.require(rig.until(partial(rig.crew.listens, chosen[0]), READY_SECONDS), f"{chosen[0]} never listened")
            rig.strike(chosen[0], rig.crew.kill)
        rig.crew.stop(*chosen)
        moves += len(chosen)
        rig.wait(rig.size.fault_seconds)
    rig.numbers |= {"cycles": rig.size.cycles, "joins_and_leaves": moves}
