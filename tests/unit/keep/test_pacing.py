"""Campaigns that leave at a rate, through the keeper: A7 of reference/time.md. Eight partitions share a rate."""

from __future__ import annotations

from pushcast.keep.index import behind, entry_of, is_paced, paced_queues, place_of, rate_of, until
from pushcast.model.words import Lane
from pushcast.wire.control.control import Rate
from pushcast.wire.headers import first
from pushcast.wire.waiting.held import TIMER
from pushcast.wire.waiting.timers import Timer
from twins.keep import PARTITIONS, T0, Keeper, KeepWorld, keeper_of, told


def paced(world: KeepWorld, count: int, campaign: str = "xmas") -> None:
    for number in range(count):
        world.hold(f"{campaign}-{number}", T0, pace=f"campaign/{campaign}", lane=Lane.BULK)


async def minutes(keeper: Keeper, count: int, step: float = 1.0) -> list[int]:
    """How many were let go in each minute."""
    found = []
    for _ in range(count):
        before = len(keeper.world.due())
        for _ in range(round(60 / step)):
            keeper.world.clock.advance(step)
            await keeper.pass_time(step)
            await keeper.outbox.acknowledge_all()
            keeper.table.tail()
        await keeper.quiet()
        found.append(len(keeper.world.due()) - before)
    return found


async def test_a_campaign_leaves_at_its_rate_and_the_rest_waits() -> None:
    world = KeepWorld()
    world.live["xmas"] = Rate(PARTITIONS * 10)
    paced(world, 25)
    keeper = await keeper_of(world)
    assert world.due() == []
    assert await minutes(keeper, 3) == [10, 10, 5]


async def test_a_rate_changes_while_it_runs_and_one_that_ends_lets_all_of_it_go() -> None:
    world = KeepWorld()
    world.live["xmas"] = Rate(PARTITIONS * 2)
    paced(world, 60)
    keeper = await keeper_of(world)
    assert await minutes(keeper, 1) == [2]
    world.live["xmas"] = Rate(PARTITIONS * 20)
    [count] = await minutes(keeper, 1)
    assert 20 <= count <= 21
    del world.live["xmas"]
    await keeper.pass_time(60)
    await keeper.quiet()
    assert len(world.due()) == 60


async def test_campaigns_do_not_wait_for_each_other_nor_anybody_else_for_them() -> None:
    world = KeepWorld()
    world.live["slow"], world.live["fast"] = Rate(PARTITIONS), Rate(PARTITIONS * 30)
    paced(world, 5, "slow")
    paced(world, 5, "fast")
    world.hold("plain", T0)
    keeper = await keeper_of(world)
    assert len(world.due()) == 1
    await minutes(keeper, 1)
    names = [(first(each.headers(), TIMER) or b"").decode() for each in world.due()]
    assert sum("fast" in name for name in names) == 5
    assert sum("slow" in name for name in names) == 1


async def test_whoever_takes_over_begins_with_nothing_saved_up_and_sends_none_twice() -> None:
    world = KeepWorld()
    world.live["xmas"] = Rate(PARTITIONS * 10)
    paced(world, 30)
    first_keeper = await keeper_of(world)
    assert await minutes(first_keeper, 1) == [10]
    first_keeper.die()
    second = await keeper_of(world)
    assert await minutes(second, 2) == [10, 10]


async def test_one_that_is_called_off_does_not_wait_for_its_turn() -> None:
    world = KeepWorld()
    world.live["xmas"] = Rate(PARTITIONS)
    paced(world, 3)
    keeper = await keeper_of(world)
    world.cancel("xmas-2")
    await keeper.feed()
    await keeper.quiet()
    assert len(world.due()) == 1


def test_a_rate_has_a_queue_of_its_own_in_the_order_of_time() -> None:
    early, late = (Timer("bulk", number, T0 + number, T0, pace="campaign/x") for number in (1, 2))
    entries = sorted(filter(None, [entry_of(b"u\0t\0b", late), entry_of(b"u\0t\0a", early)]))
    assert [place_of(entry).at_ms for entry in entries] == [T0 + 1, T0 + 2]
    [queue] = paced_queues(lambda start, before: next((each for each in entries if start <= each < before), None))
    assert (is_paced(queue), rate_of(queue)) == (True, "campaign/x")
    assert [entry for entry in entries if queue <= entry < until(queue, T0 + 1)] == entries[:1]
    assert all(entry < behind(queue) for entry in entries)
    assert place_of(entries[0]).key == b"u\0t\0a"


async def test_s23_other_zones_send_also_what_keeps_to_a_rate_to_its_planner() -> None:
    """It lies in a queue of its rate, and had stayed there with the instant that the zones of before gave it."""
    world = KeepWorld()
    world.live["xmas"] = Rate(PARTITIONS * 60)
    local = world.hold("local", T0 + 3_600_000, zoned=True, pace="campaign/xmas", lane=Lane.BULK)
    world.hold("instant", T0 + 3_600_000, pace="campaign/xmas", lane=Lane.BULK)
    before = await world.take_over(tzdata="2026.5")
    await told(before)
    before.die()
    after = await world.take_over(tzdata="2026.6")
    await told(after, 5)
    [sent] = world.due()
    assert (first(sent.headers(), TIMER) or b"").startswith(f"{local}|".encode())
    assert after.counters["zones_changed", ""] == 1
