"""What a process takes of a project's quota follows from its assignment."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pushcast.model.clock import ManualClock
from pushcast.model.words import Lane
from pushcast.send.quota_shares import QuotaShares, Sending, shares
from twins.kafka import ManualTimers, settled


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


async def test_a_provider_is_told_every_second_when_its_share_has_changed_and_never_that_it_is_nothing() -> None:
    clock = ManualClock(0)
    timers = ManualTimers(clock.monotonic_seconds)
    provider, stage = Provider(), Stage(0)
    quota = QuotaShares(8, clock.monotonic_seconds, timers)
    quota.add(Sending(provider, Lane.URGENT, stage))
    await quota.start()
    told: list[list[float]] = []
    for owned in (0, 8, 8, 4):
        stage.owned = owned
        clock.advance(1.0)
        timers.fire()
        await settled()
        told.append(list(provider.told))
    assert told == [[], [pytest.approx(0.3)], [pytest.approx(0.3)], pytest.approx([0.3, 0.15])]
    await quota.close()
    stage.owned = 8
    clock.advance(1.0)
    timers.fire()
    await settled()
    assert len(provider.told) == 2


async def test_an_error_of_a_provider_is_fatal() -> None:
    class Broken(Provider):
        def share(self, fraction: float) -> None:
            raise RuntimeError("no pace")

    told: list[tuple[str, BaseException]] = []
    quota = QuotaShares(8)
    quota.fatal = lambda what, error: told.append((what, error))
    quota.add(Sending(Broken(), Lane.URGENT, Stage(8)))
    await quota.start()
    await settled()
    assert [(what, str(error)) for what, error in told] == [("quota shares", "no pace")]
    await quota.close()
