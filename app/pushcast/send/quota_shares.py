"""Each sender process's part of a project's quota, from its assignment alone: no process asks another.

A lane's senders together hold the lane's weight; a process holds its assigned partitions of that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pushcast.model.words import Lane
from pushcast.providers.pacing import LANE_WEIGHTS, share_of
from pushcast.stream.fatal import end_process
from pushcast.stream.ports import Fatal

#: A new assignment is paced within this time; the ramp and 429s cover what happens in between.
EVERY_SECONDS = 1.0


class Assigned(Protocol):
    """What is asked of a stage's `work`."""

    def partitions(self) -> Sequence[Any]: ...


class Worker(Protocol):
    """A stage; `work` is set when it is declared on its App."""

    @property
    def work(self) -> Assigned: ...


@dataclass(frozen=True)
class Sending:
    """A stage of one lane that sends through a provider with a quota."""

    provider: Any  # has share(fraction)
    lane: Lane
    stage: Worker
    weights: Mapping[Lane, float] | None = None  # None: the usual ones


def shares(sending: Iterable[Sending], partitions: int) -> dict[int, tuple[Any, float]]:
    """By identity of the provider: the provider and the sum of its lanes' shares, at most 1."""
    found: dict[int, tuple[Any, float]] = {}
    for one in sending:
        part = share_of(len(one.stage.work.partitions()), partitions, one.lane, one.weights or LANE_WEIGHTS)
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


class QuotaShares:
    """Keeps the providers of one process told, from `start` to `close`. An error of its task is fatal."""

    def __init__(self, partitions: int) -> None:
        self.fatal: Fatal = end_process
        self._partitions = partitions
        self._sending: list[Sending] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, sending: Sending) -> None:
        """Before `start`. A provider without a quota is left alone."""
        if hasattr(sending.provider, "share"):
            self._sending.append(sending)

    async def start(self) -> None:
        """Begins to tell."""
        self._task = asyncio.create_task(keep(self._sending, self._partitions))
        self._task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Tells no more."""
        if self._task is not None:
            self._task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fatal("quota shares", error)
