"""What is due soon, as a keeper counts it in its index: D9 of reference/time.md."""

from __future__ import annotations

import pytest

from pushcast.keep import census
from pushcast.keep.census import EVERY_SECONDS
from pushcast.model.words import Lane
from twins.keep import T0, KeepWorld, keeper_of


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
