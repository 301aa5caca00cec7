"""Planners of one partition that take over from each other, die and live on: the worlds of laws about hand-overs."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

CALM_STEPS = 20_000


class Rival(Protocol):
    """A planner process; `network` holds what it produced and no broker has appended yet, by topic."""

    alive: bool

    @property
    def network(self) -> Mapping[str, deque[Any]]: ...

    def step(self) -> None: ...

    def deliver(self, topic: str) -> None: ...


P = TypeVar("P", bound=Rival)


@dataclass(frozen=True)
class Unrest:
    """`most_steps`: of a world. Of each step, the chance that another takes over beside the former one, that the former
    one is killed first, and that `churn` changes the world."""

    most_steps: int
    joins: float
    kills: float
    churns: float


def struggle(
    rnd: random.Random,
    unrest: Unrest,
    take_over: Callable[[], P],
    churn: Callable[[], None],
    has_ended: Callable[[], bool],
    outputs: Sequence[str],
) -> bool:
    """Unrest, then a last owner beside the two before it, then all that is on its way lands.

    False when the world does not get to its end.
    """
    rivals = [take_over()]
    for _ in range(rnd.randint(50, unrest.most_steps)):
        dice = rnd.random()
        if dice < unrest.joins:
            rivals.append(take_over())  # the former owner lives on
        elif dice < unrest.joins + unrest.kills:
            rivals[-1].alive = False  # some of what it wrote still lands
            for network in rivals[-1].network.values():
                for _ in range(rnd.randint(0, len(network))):
                    network.pop()
            rivals.append(take_over())
        elif dice < unrest.joins + unrest.kills + unrest.churns:
            churn()
        else:
            rival = rnd.choice(rivals[-3:])
            if rival.alive and rnd.random() < 0.5:
                rival.step()
            else:
                rival.deliver(rnd.choice(outputs))
    rivals.append(take_over())
    for _ in range(CALM_STEPS):
        if has_ended():
            break
        rivals[-1].step()
        for rival in rnd.sample(rivals[-3:], min(3, len(rivals))):
            for topic in outputs:
                if rnd.random() < 0.7:
                    rival.deliver(topic)
    else:
        return False
    for rival in rivals:
        for topic in outputs:
            while rival.network[topic]:
                rival.deliver(topic)
    return True
