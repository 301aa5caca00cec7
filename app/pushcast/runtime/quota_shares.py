"""Each sender process's part of a project's quota, from its assignment alone: no process asks another.

A lane's senders together hold the lane's weight; a process holds its assigned partitions of that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pushcast.model.words import Lane
from pushcast.providers.pacing import LANE_WEIGHTS, share_of

#: A new assignment is paced within this time; the ramp and 429s cover what happens in between.
EVERY_SECONDS = 1.0


class Assigned(Protocol):
    """What is asked of a stage's `work`."""

    def partitions(self) -> list[Any]: ...


@dataclass(frozen=True)
class Sending:
    """A stage of one lane that sends through a provider with a quota."""

    provider: Any  # has share(fraction)
    lane: Lane
    work: Assigned
    weights: Mapping[Lane, float] = field(default_factory=lambda: LANE_WEIGHTS)


def shares(sending: Iterable[Sending], partitions: int) -> dict[int, tuple[Any, float]]:
    """By identity of the provider: the provider and the sum of its lanes' shares, at most 1."""
    found: dict[int, tuple[Any, float]] = {}
    for one in sending:
        part = share_of(len(one.work.partitions()), partitions, one.lane, one.weights)
        _, before = found.get(id(one.provider), (one.provider, 0.0))
        found[id(one.provider)] = (one.provider, min(1.0, before + part))
    return found


async def keep(sending: Iterable[Sending], partitions: int) -> None:
    """Tells the providers their shares until it is cancelled."""
    told: dict[int, float] = {}
    chosen = list(sending)
    while True:
        for key, (provider, share) in shares(chosen, partitions).items():
            # Nothing assigned means nothing to send; a share of 0 would only hold up what is still under way.
            if share and told.get(key) != share:
                told[key] = share
                provider.share(share)
        await asyncio.sleep(EVERY_SECONDS)
