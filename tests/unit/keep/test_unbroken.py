"""Acknowledged rows count before the table has them while all that lies in between is the keeper's own."""

from __future__ import annotations

from pushcast.keep.unbroken import Unbroken
from pushcast.model.words import Lane
from pushcast.stream.ports import Acked
from pushcast.wire import topics
from twins.keep import PARTITION, Keeper, KeepWorld, keeper_of


def test_nothing_is_known_before_the_table_has_come_to_the_end_of_what_is_acknowledged() -> None:
    unbroken, acked = Unbroken(), Acked(10, 4, -1)
    assert not unbroken.reaches(acked)
    unbroken.applied(acked, 9, is_ours=True)
    assert not unbroken.reaches(acked)
    unbroken.applied(acked, 10, is_ours=True)
    assert unbroken.reaches(acked)


def test_own_records_break_nothing_and_one_of_somebody_else_does_until_the_table_has_it() -> None:
    unbroken = Unbroken()
    unbroken.applied(Acked(10, 4, -1), 10, is_ours=True)
    assert unbroken.reaches(Acked(13, 7, -1))
    assert not unbroken.reaches(Acked(14, 7, -1)), "one of somebody else lies below"
    unbroken.applied(Acked(14, 7, -1), 12, is_ours=True)
    assert not unbroken.reaches(Acked(14, 7, -1))
    unbroken.applied(Acked(14, 7, -1), 14, is_ours=True)
    assert unbroken.reaches(Acked(15, 8, -1))


def test_behind_a_fence_of_somebody_else_nothing_counts_any_more() -> None:
    unbroken = Unbroken()
    unbroken.applied(Acked(10, 4, -1), 10, is_ours=True)
    unbroken.applied(Acked(10, 4, -1), 11, is_ours=False)
    assert not unbroken.reaches(Acked(10, 4, -1))


def due_records(world: KeepWorld) -> int:
    return sum(each.produced.value is not None for each in world.due())


async def limited(lane: Lane = Lane.URGENT) -> tuple[KeepWorld, Keeper]:
    """A keeper that has decided on a capped notification, whose row is acknowledged and not applied."""
    world = KeepWorld()
    keeper = await keeper_of(world)
    world.limit("n", lane=lane)
    await keeper.feed()
    return world, keeper


async def acknowledged(keeper: Keeper) -> None:
    """All that was put until now, and nothing of it is applied."""
    await keeper.outbox.acknowledge_all()
    await keeper.let_run()


async def test_what_is_urgent_leaves_when_its_row_is_acknowledged_and_once() -> None:
    world, keeper = await limited()
    await acknowledged(keeper)
    assert due_records(world) == 1
    await keeper.quiet()
    await keeper.pass_time(1.0)
    await keeper.quiet()
    assert due_records(world) == 1
    assert not keeper.table.index(PARTITION, b"\0", b"\4", 10), "nothing waits"


async def test_what_is_not_urgent_waits_for_the_table() -> None:
    world, keeper = await limited(Lane.NORMAL)
    await acknowledged(keeper)
    assert due_records(world) == 0
    await keeper.quiet()
    await keeper.pass_time(1.0)
    await keeper.quiet()
    assert due_records(world) == 1


async def test_a_row_behind_a_record_of_somebody_else_waits_for_the_table() -> None:
    world, keeper = await limited()
    world.log.append(world.messages(topics.USER)[-1].produced)  # of a process that is not this one
    await acknowledged(keeper)
    assert due_records(world) == 0
    await keeper.quiet()
    assert due_records(world) == 1


async def test_what_was_called_off_meanwhile_does_not_leave_by_the_row_that_opened_it() -> None:
    world, keeper = await limited()
    world.cancel("n")
    await keeper.feed()
    await acknowledged(keeper)
    assert due_records(world) == 0
    await keeper.quiet()
    assert keeper.counters["closed", "cancelled"] == 1 == due_records(world)


async def test_a_keeper_that_gives_its_partition_back_lets_nothing_go_by_what_is_acknowledged_then() -> None:
    world, keeper = await limited()
    for tenure in keeper.stage._tenures:
        tenure.close()
    await acknowledged(keeper)
    assert due_records(world) == 0
