"""What the issue lists as bad input for the keeper, beside what the other files of this folder hold of it."""

from __future__ import annotations

from pushcast.keep.rules import MAX_TIMERS
from pushcast.model.words import Reason
from pushcast.wire.devices.row_fences import is_row
from pushcast.wire.headers import first
from pushcast.wire.waiting.facts import Facts
from pushcast.wire.waiting.held import CLOSES
from twins.keep import T0, USERS, KeepWorld, keeper_of, told

HOUR = 3_600_000
#: What every provider takes of a payload.
MOST_BYTES = 4_096


async def test_of_a_flood_of_timers_of_one_user_a_thousand_wait_and_each_other_ends_as_too_many() -> None:
    """A million would be the same: what is too much leaves no row that waits, and costs no scan."""
    world = KeepWorld()
    total = 3 * MAX_TIMERS
    for number in range(total):
        world.hold(f"n{number}", T0 + HOUR)
    world.hold("other", T0 + HOUR, user=USERS[1])
    keeper = await world.take_over()
    for _ in range(4):
        await told(keeper)
    said = [(first(each.headers(), CLOSES) or b"").decode() for each in world.due()]
    assert said == [Reason.TOO_MANY.value] * (total - MAX_TIMERS)
    await told(keeper, 3_600)
    await told(keeper)
    assert len(world.due()) == total + 1, "the others leave in time"


async def test_a_digest_whose_members_are_all_over_4_kb_leaves_as_one_push_that_fits() -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    for number in range(5):
        facts = Facts(Reason.DIGEST, "posts", T0 + 24 * HOUR, "news", "", "wörd " * 1_500)
        event = b'{"id": "m%d", "body": "%s"}' % (number, b"x" * 8_000)
        world.hold(f"m{number}-{'i' * 200}", T0 + 600_000, facts=facts, event=event, written_at=T0)
    await told(keeper)
    await told(keeper, 600)
    [push, *members] = world.due()
    assert len(push.value() or b"") < MOST_BYTES
    assert {first(each.headers(), CLOSES) for each in members} == {b"digested"}
    assert len(members) == 5
    assert all(len(value) < 1_000 for key, value in keeper.table.rows.items() if is_row(key)), "contents are gone"


async def test_what_is_due_before_it_was_created_is_let_go_at_once() -> None:
    world = KeepWorld()
    world.hold("n", T0 - 24 * HOUR)
    world.hold("m", 0)
    await keeper_of(world)
    assert [first(each.headers(), CLOSES) for each in world.due()] == [None, None]
