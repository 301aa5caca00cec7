"""What is due soon, as a keeper counts it in its index: D9 of reference/time.md."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pushcast.keep import census
from pushcast.keep.census import EVERY_SECONDS, Census
from pushcast.keep.index import QUEUES, waiting_entry
from pushcast.keep.outlook import OutlookRules
from pushcast.model.clock import ManualClock
from pushcast.model.drain import Lifetime
from pushcast.model.forecast import Forecast, provider_of
from pushcast.model.pacing import Rates
from pushcast.model.words import Lane
from pushcast.wire.control.control import Rate
from pushcast.wire.waiting.timers import Timer
from twins.keep import PARTITIONS, T0, KeepWorld, keeper_of

MINUTE_MS = 60_000


async def test_a_keeper_knows_what_is_due_within_a_minute_an_hour_and_a_day() -> None:
    world = KeepWorld()
    for number, seconds in enumerate((40, 1_800, 7_200, 7_200, 100_000)):
        world.hold(f"n{number}", T0 + seconds * 1000, lane=Lane.BULK)
    keeper = await keeper_of(world)
    await keeper.pass_time(EVERY_SECONDS)
    found = keeper.stage.forecast()
    assert (found.within_a_minute, found.within_an_hour, found.within_a_day, found.complete) == (1, 2, 4, True)
    world.hold("more", T0 + 1_800_000)
    await keeper.feed()
    await keeper.quiet()
    await keeper.pass_time(EVERY_SECONDS)
    assert keeper.stage.forecast().within_an_hour == 3


async def test_a_count_that_does_not_end_says_that_there_is_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census, "SLICE_ENTRIES", 2)
    monkeypatch.setattr(census, "MAX_ENTRIES", 4)
    world = KeepWorld()
    for number in range(7):
        world.hold(f"n{number}", T0 + 3_000_000)
    keeper = await keeper_of(world)
    await keeper.pass_time(EVERY_SECONDS)
    found = keeper.stage.forecast()
    assert (found.within_an_hour, found.complete) == (4, False)


async def test_a_partition_that_went_away_counts_no_more() -> None:
    world = KeepWorld()
    world.hold("n", T0 + 3_000_000)
    keeper = await keeper_of(world)
    await keeper.pass_time(EVERY_SECONDS)
    await keeper.stage.revoking(set(keeper.partitions()))
    assert keeper.stage.forecast().within_a_day == 0


async def test_one_partition_is_counted_after_the_other() -> None:
    looked: list[int] = []

    class Looked:
        """A table with an index of nothing."""

        def index(self, partition: int, first: bytes, *_: Any) -> list[bytes]:
            looked.append(partition)
            return [waiting_entry(b"ann\0t\0n", b"urgent", 5, T0)] if first == QUEUES[0] else []

    def never(*_: Any) -> Any:
        raise AssertionError("nothing fails, and nothing waits for a rate")

    counting = Census(cast(Any, Looked()), ManualClock(T0), never, OutlookRules(Rates({}, {}), PARTITIONS, {}, never))
    tenures: Any = [SimpleNamespace(number=number, count_again_at=0.0, forecast=None) for number in range(3)]
    for tenure in tenures:
        counting.runner_of(tenure).wake()
    while any(tenure.forecast is None for tenure in tenures):
        await asyncio.sleep(0)
    assert looked == sorted(looked)


def living(minutes: float, app: str | None = "news") -> Any:
    """So long from when it is due."""

    def lifetime_of(_: str, timer: Timer) -> Lifetime:
        return Lifetime(app, timer.due_at + round(minutes * MINUTE_MS))

    return lifetime_of


async def counted(world: KeepWorld) -> Forecast:
    keeper = await keeper_of(world)
    await keeper.pass_time(EVERY_SECONDS)
    return keeper.stage.forecast()


async def test_a7_of_what_waits_for_a_rate_it_knows_how_much_expires_first() -> None:
    world = KeepWorld()
    world.live["xmas"] = Rate(PARTITIONS * 10)
    world.lifetime_of = living(3)
    for number in range(50):
        world.hold(f"n{number}", T0 + 3_600_000, pace="campaign/xmas")
    found = await counted(world)
    assert found.to_expire == {"campaign/xmas": 19}, "one leaves at once and thirty within three minutes"
    assert (found.within_an_hour, found.within_a_day) == (0, 50)


async def test_a7_a_rate_that_is_fast_enough_is_not_named(caplog: pytest.LogCaptureFixture) -> None:
    world = KeepWorld()
    world.live["xmas"] = Rate(PARTITIONS * 10)
    world.lifetime_of = living(5.1)
    for number in range(50):
        world.hold(f"n{number}", T0 + 3_600_000, pace="campaign/xmas")
    assert (await counted(world)).to_expire == {}
    assert caplog.messages == []


async def test_a7_what_is_too_slow_is_logged_once_for_as_long_as_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    world = KeepWorld()
    world.live["xmas"] = Rate(PARTITIONS)
    world.lifetime_of = living(3)
    for number in range(5):
        world.hold(f"n{number}", T0 + 3_600_000, pace="campaign/xmas")
    keeper = await keeper_of(world)
    for _ in range(3):
        await keeper.pass_time(EVERY_SECONDS)
    told = "keep: about 1 notifications of partition 3 expire before they may leave: campaign/xmas is too slow"
    assert caplog.messages == [told]


async def test_b4_a_minute_beyond_what_its_provider_takes_within_the_time_to_live_is_told() -> None:
    world = KeepWorld()
    world.quotas["news"] = PARTITIONS * 10
    world.lifetime_of = living(2)
    for number in range(50):
        world.hold(f"n{number}", T0 + 1_800_000)
    world.hold("before", T0 + 1_700_000)
    found = await counted(world)
    assert found.to_expire == {provider_of("news"): 30}, "twenty of them are taken within two minutes"


@pytest.mark.parametrize(("lives", "app"), [(6.0, "news"), (2.0, "chat")])
async def test_b4_what_its_provider_takes_in_time_and_what_is_of_another_app_is_not(lives: float, app: str) -> None:
    world = KeepWorld()
    world.quotas["news"] = PARTITIONS * 10
    world.lifetime_of = living(lives, app)
    for number in range(50):
        world.hold(f"n{number}", T0 + 1_800_000)
    assert (await counted(world)).to_expire == {}


async def test_a_count_that_takes_long_is_made_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    world = KeepWorld()
    world.hold("n", T0 + 3_000_000)
    keeper = await keeper_of(world)
    counts: list[float] = []

    def slow(_: Forecast, __: object) -> None:
        counts.append(keeper.clock.monotonic_seconds())
        keeper.clock.advance(2.0)

    monkeypatch.setattr(Forecast, "add_ascending", slow)
    await keeper.pass_time(EVERY_SECONDS)
    for _ in range(4):
        await keeper.pass_time(EVERY_SECONDS)
    assert len(counts) == 2, "two seconds of a count are two hundredths of the time from one to the next"
