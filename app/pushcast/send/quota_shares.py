"""Each sender process's part of a project's quota, from its assignment alone: no process asks another.

A lane's senders together hold the lane's weight; a process holds its assigned partitions of that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pushcast.model.words import Lane
from pushcast.providers.pacing import LANE_WEIGHTS, share_of
from pushcast.stream.fatal import end_process
from pushcast.stream.ports import CallLater, Fatal
from pushcast.stream.runner import Runner

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


class QuotaShares:
    """Keeps the providers of one process told, from `start` to `close`. An error is fatal."""

    def __init__(
        self, partitions: int, now: Callable[[], float] = time.monotonic, call_later: CallLater | None = None
    ) -> None:
        """`now` in seconds. `call_later` is the loop's unless a test has its own."""
        self.fatal: Fatal = end_process
        self._partitions = partitions
        self._sending: list[Sending] = []
        self._told: dict[int, float] = {}
        self._now = now
        self._due_at = now()
        self._runner = Runner("quota shares", self._wait, self._work, self._failed, call_later)

    def add(self, sending: Sending) -> None:
        """Before `start`. A provider without a quota is left alone."""
        if hasattr(sending.provider, "share"):
            self._sending.append(sending)

    async def start(self) -> None:
        """Begins to tell."""
        self._runner.wake()

    async def close(self) -> None:
        """Tells no more."""
        self._runner.stop()

    def tell(self) -> None:
        """Tells each provider its share when that has changed."""
        for key, (provider, share) in shares(self._sending, self._partitions).items():
            # Nothing assigned means nothing to send; a share of 0 would only hold up what is still under way.
            if share and self._told.get(key) != share:
                self._told[key] = share
                provider.share(share)

    def _wait(self) -> float:
        return self._due_at - self._now()

    async def _work(self) -> None:
        self.tell()
        self._due_at = self._now() + EVERY_SECONDS

    def _failed(self, what: str, error: BaseException) -> None:
        self.fatal(what, error)
