"""What the keeper holds of broadcasts: timers beside those of notifications, whatever their ids (rulings II.8)."""

from __future__ import annotations

import pytest

from pushcast.model.caps import CapRule
from pushcast.model.words import Lane
from pushcast.wire.headers import first
from pushcast.wire.waiting.held import CLOSES
from pushcast.wire.waiting.held_broadcasts import HeldBroadcast, encode_held
from twins.keep import T0, USERS, Keeper, KeepWorld

ANN = USERS[0]


def part(walk_offset: int, variant: str = "") -> tuple[str, bytes]:
    """Which part of a broadcast it is, and its record."""
    held = HeldBroadcast("n", ANN, walk_offset, b"c" * 16, variant, b"d" * 16, b"t" * 16)
    return held.place, encode_held(held)


async def started(world: KeepWorld) -> Keeper:
    keeper = await world.take_over()
    await keeper.feed()
    await keeper.quiet()
    return keeper


@pytest.mark.parametrize(
    ("others", "count"),
    [
        ([(7, "", Lane.NORMAL)], 2),  # beside the notification of the same id
        ([(7, "", Lane.NORMAL), (9, "", Lane.NORMAL)], 3),  # two instants of one broadcast
        ([(7, "", Lane.NORMAL), (7, "", Lane.BULK)], 3),  # two broadcasts of one id, each in its lane
        ([(7, "a", Lane.NORMAL), (7, "b", Lane.NORMAL)], 3),  # a split by device
    ],
)
async def test_a_broadcast_is_no_duplicate_of_what_has_its_id(others: list[tuple[int, str, Lane]], count: int) -> None:
    world = KeepWorld()
    world.hold("n", T0)
    for walk_offset, variant, lane in others:
        place, value = part(walk_offset, variant)
        world.hold("n", T0, lane=lane, event=value, broadcast=place)
    await started(world)
    left = world.due()
    assert len(left) == count
    assert not any(first(each.headers(), CLOSES) for each in left)
    assert {each.value() for each in left} >= {part(offset, variant)[1] for offset, variant, _ in others}


async def test_a_part_that_comes_again_is_released_once() -> None:
    world = KeepWorld()
    place, value = part(7)
    world.hold("n", T0, event=value, broadcast=place)
    await started(world)
    await started(world)
    assert [each.value() for each in world.due()] == [value]


async def test_a_cancel_of_the_id_ends_the_broadcast_for_the_user() -> None:
    world = KeepWorld()
    place, value = part(7)
    world.hold("n", T0 + 10**6, event=value, broadcast=place)
    keeper = await started(world)
    world.cancel("n")
    await keeper.feed()
    await keeper.quiet()
    [ended] = world.due()
    assert first(ended.headers(), CLOSES) == b"cancelled"


async def test_a_broadcast_takes_a_slot_of_a_cap() -> None:
    world = KeepWorld()
    world.caps = [CapRule("one", 1, window_ms=86_400_000)]
    for note_id, offset in (("b-1", 7), ("b-2", 8)):
        world.limit(note_id, broadcast=part(offset)[0], event=part(offset)[1])
    keeper = await started(world)
    await keeper.pass_time(0)
    await keeper.quiet()
    assert sorted(first(each.headers(), CLOSES) or b"" for each in world.due()) == [b"", b"frequency_cap"]
