"""What a process takes of a project's quota follows from its assignment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from pushcast.model.words import Lane
from pushcast.send.quota_shares import Sending, keep, shares


@dataclass
class Stage:
    owned: int

    @property
    def work(self) -> Stage:
        return self

    def partitions(self) -> list[int]:
        return list(range(self.owned))


@dataclass
class Provider:
    told: list[float] = field(default_factory=list)

    def share(self, fraction: float) -> None:
        self.told.append(fraction)


def test_all_partitions_of_all_lanes_are_the_whole_quota() -> None:
    provider = Provider()
    sending = [Sending(provider, lane, Stage(8)) for lane in Lane]
    ((_, share),) = shares(sending, 8).values()
    assert share == pytest.approx(1.0)


def test_two_processes_of_a_lane_share_its_weight() -> None:
    first, second = Provider(), Provider()
    sending = [Sending(first, Lane.BULK, Stage(6)), Sending(second, Lane.BULK, Stage(2))]
    assert [share for _, share in shares(sending, 8).values()] == pytest.approx([0.3, 0.1])


async def test_a_provider_is_told_when_its_share_changes_and_never_that_it_is_nothing() -> None:
    provider, stage = Provider(), Stage(0)
    task = asyncio.create_task(keep([Sending(provider, Lane.URGENT, stage)], 8))
    await asyncio.sleep(0)
    assert provider.told == []
    task.cancel()
    stage.owned = 8
    task = asyncio.create_task(keep([Sending(provider, Lane.URGENT, stage)], 8))
    await asyncio.sleep(0)
    assert provider.told == pytest.approx([0.3])
    task.cancel()
