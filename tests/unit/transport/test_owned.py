"""Two stages of one App, as PLAN and WALK are, of which one cannot take its partitions over."""

from __future__ import annotations

import asyncio
from typing import Any

from pushcast.stream.batch import TP, Committed
from pushcast.stream.stage import Stage
from pushcast.stream.tracker import Bounds
from pushcast.transport.owned import OwnedPartitions
from pushcast.transport.partition import Partition
from pushcast.transport.waits import Waits

EVENTS, WALKS = TP("events", 0), TP("walks", 0)


class Noting(Stage):
    """Notes what it is asked. `ready`: lets its take-over end."""

    def __init__(self, *, ready: bool) -> None:
        self.ready = asyncio.Event()
        if ready:
            self.ready.set()
        self.taken: list[TP] = []
        self.given_back: list[set[TP]] = []

    async def assigned(self, committed: dict[TP, Committed]) -> None:
        await self.ready.wait()
        self.taken += committed

    async def revoking(self, partitions: set[TP]) -> None:
        self.given_back.append(partitions)


class NoCommits:
    async def commit_partitions(self, *_: object) -> bool:
        return False

    def forget(self, _: TP) -> None:
        return


def begin(owned: OwnedPartitions, tp: TP, stage: Noting) -> None:
    partition = Partition(tp, stage, Committed(None, ""), 0, Bounds(), 100, lambda: None)
    owned.begin(stage, {tp: (partition, Committed(None, ""))})


async def test_a_stage_gives_its_partitions_back_although_another_has_not_taken_its_own() -> None:
    owned, plan, walk = OwnedPartitions(Waits()), Noting(ready=True), Noting(ready=False)
    begin(owned, EVENTS, plan)
    begin(owned, WALKS, walk)
    await asyncio.sleep(0.01)
    assert (plan.taken, walk.taken, owned.prepared) == ([EVENTS], [], False)
    commits: Any = NoCommits()
    await owned.end(commits, 1.0)
    assert plan.given_back == [{EVENTS}], "its timers would go on without the partition"
    assert walk.given_back == [], "nothing was given to it"
    assert owned.partitions == {}
