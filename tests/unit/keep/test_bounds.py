"""What a keeper has in memory does not grow with what is due, and what is more urgent does not wait for it."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.keep import queues, release
from pushcast.keep.tenure import KeepTenure
from pushcast.model.words import Lane
from pushcast.stream.batch import TP
from pushcast.stream.sharing import Sharing
from pushcast.wire import topics
from twins.keep import PARTITION, PARTITIONS, T0, USERS, Keeper, KeepWorld, keeper_of

MANY, MAX_FIRING, SLICE = 300, 40, 10
DUE_AT = T0 + 60_000


@pytest.fixture(autouse=True)
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "MAX_FIRING", MAX_FIRING * PARTITIONS)
    monkeypatch.setattr(queues, "SLICE_TIMERS", SLICE)


def tenure_of(keeper: Keeper) -> KeepTenure:
    return keeper.stage._tenures.of(TP(topics.USER, PARTITION))


def in_memory(keeper: Keeper) -> int:
    """Timers of which something is kept."""
    tenure = tenure_of(keeper)
    overlay = {key for user in map(str.encode, USERS) for key in tenure.overlay.of_user(user)}
    return len(tenure.firing | tenure.blocked | tenure.spent.keys() | tenure.ahead.keys() | overlay)


async def with_many_due(world: KeepWorld) -> Keeper:
    for number in range(MANY):
        world.hold(f"n{number}", DUE_AT, user=USERS[number % len(USERS)])
    keeper = await keeper_of(world)
    await keeper.quiet()
    assert in_memory(keeper) == 0
    await keeper.pass_time(61)
    return keeper


async def test_s21_of_timers_of_one_instant_a_bounded_number_is_under_way_until_all_are_let_go() -> None:
    world = KeepWorld()
    keeper = await with_many_due(world)
    looks = 0
    while len(world.due()) < MANY or tenure_of(keeper).firing:
        assert in_memory(keeper) <= MAX_FIRING + SLICE
        assert len(keeper.outbox.pending) <= MAX_FIRING + SLICE
        for _ in range(len(keeper.outbox.pending)):
            keeper.outbox.acknowledge()
        keeper.table.tail()
        await keeper.let_run()
        looks += 1
        assert looks < 10 * MANY
    await keeper.quiet()
    assert looks > MANY // (MAX_FIRING + SLICE)
    assert in_memory(keeper) == 0


async def test_ii16_what_less_urgent_lanes_hold_waits_while_urgent_records_do_and_never_stands_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = KeepWorld()
    paused: list[float] = []

    async def sleep(seconds: float) -> None:
        paused.append(seconds)
        if seconds:
            keeper.busy.clear()

    keeper = await world.take_over()
    clock = keeper.clock
    keeper.stage._sharing = Sharing(clock, sleep)
    take = keeper.stage._take

    def slowly(*arguments: Any) -> None:
        clock.advance(0.01)
        take(*arguments)

    monkeypatch.setattr(keeper.stage, "_take", slowly)
    for number in range(450):
        world.hold(f"n{number}", T0 + 3_600_000)
        world.hold(f"u{number}", T0 + 3_600_000, lane=Lane.URGENT)
    keeper.busy = {TP(topics.keep(Lane.URGENT), PARTITION)}
    await keeper.feed()
    assert (paused.count(0), len(paused)) == (3, 4), "each slice of normal, none of urgent, until none of that waits"
    await keeper.quiet()
    assert len(keeper.table.entries) == 900


async def test_s21_an_urgent_timer_leaves_while_as_many_others_as_may_be_are_under_way() -> None:
    world = KeepWorld()
    keeper = await with_many_due(world)
    assert len(tenure_of(keeper).firing) >= MAX_FIRING
    world.hold("code", DUE_AT, user=USERS[0], lane=Lane.URGENT)
    await keeper.feed()
    rows = [at for at, (_, put) in enumerate(keeper.outbox.pending) if put.topic == topics.USER]
    for at in reversed(rows):  # its own, and the keeper's clock
        keeper.outbox.acknowledge(at)
    keeper.table.tail()
    await keeper.let_run()
    put = [put for _, put in keeper.outbox.pending if put.topic == topics.due(Lane.URGENT)]
    assert len(put) == 1


async def test_the_entry_of_a_timer_that_left_goes_with_the_row_that_says_so() -> None:
    world = KeepWorld()
    world.hold("n", DUE_AT)
    keeper = await keeper_of(world)
    [entry] = keeper.table.entries
    await keeper.pass_time(61)
    await keeper.quiet()
    assert len(world.due()) == 1
    assert entry not in keeper.table.entries
    assert tenure_of(keeper).spent == {}
