"""What is let go first after an outage: fact S16 of reference/time.md, and the sentence of A1 that it stands for."""

from __future__ import annotations

import random
from itertools import groupby

import pytest

from pushcast.config.settings import Settings
from pushcast.keep.index import waiting_entry
from pushcast.keep.lateness import SAMPLED, LateOrder, soonest_first
from pushcast.model.drain import Lifetime
from pushcast.model.words import Lane
from pushcast.wire.waiting.lifetimes import lifetimes
from pushcast.wire.waiting.plain_timers import waiting_row
from pushcast.wire.waiting.timers import OVERDUE_MS, Timer
from twins.keep import T0, USERS, KeepWorld, keeper_of

NOW = T0 + 3_600_000
DAY_MS = 86_400_000
OUTAGE_SECONDS = 3_600.0


def test_s16_what_expires_first_is_let_go_first_and_what_is_over_or_has_no_known_end_last() -> None:
    users = [b"%d" % number for number in range(6)]
    expiries = [NOW + 3_000, NOW, NOW + 1_000, None, NOW + 2_000, NOW + 1_000]
    assert soonest_first(users, expiries, NOW) == [2, 5, 4, 0, 1, 3]


def test_s16_of_one_user_none_overtakes_another() -> None:
    assert soonest_first([b"a", b"b", b"a"], [NOW + 9_000, NOW + 5_000, NOW + 1_000], NOW) == [0, 2, 1]


@pytest.mark.parametrize("seed", range(200))
def test_s16_whatever_is_late_each_leaves_once_each_user_in_order_and_none_needlessly_behind(seed: int) -> None:
    rnd = random.Random(seed)
    count = rnd.randrange(40)
    users = [b"%d" % rnd.randrange(1, 30) for _ in range(count)]
    expiries = [rnd.choice((None, NOW + rnd.randrange(-50, 500))) for _ in range(count)]
    places = soonest_first(users, expiries, NOW)
    assert sorted(places) == list(range(count))
    for _, own in groupby(sorted(places, key=lambda at: users[at]), key=lambda at: users[at]):
        assert (order := list(own)) == sorted(order)

    def must(at: int) -> int:
        """When it, or one of its user's behind it, is over."""
        behind = [expiries[each] for each in range(at, count) if users[each] == users[at]]
        return min((until for until in behind if until is not None and until > NOW), default=1 << 63)

    assert [must(at) for at in places] == sorted(must(at) for at in range(count))


def event(ttl_seconds: int) -> bytes:
    return b'{"id": "n", "app": "news", "title": "t", "options": {"ttl_seconds": %d}}' % ttl_seconds


def world_of(*ttls: int) -> KeepWorld:
    """Each is another user's, due one after the other."""
    world = KeepWorld()
    world.lifetime_of = lifetimes(Settings.model_validate({"apps": {"news": {}}}))
    for number, (user, ttl) in enumerate(zip(USERS, ttls, strict=False)):
        world.hold("n", T0 + 1_000 + number, user=user, event=event(ttl), written_at=T0)
    return world


async def let_go_after(world: KeepWorld, seconds: float) -> tuple[list[str], float]:
    """Users in the order in which a keeper that comes so much later lets theirs go; and how late it says it is."""
    (await keeper_of(world)).die()
    world.clock.advance(seconds)
    keeper = await keeper_of(world)
    await keeper.quiet()
    return [(each.produced.key or b"").decode() for each in world.due()], keeper.stage.parts.due_rows.late_seconds()


async def test_s16_a_keeper_that_comes_back_lets_go_first_what_expires_first() -> None:
    world = world_of(30_000, 7_200, 86_400, 1_800)
    first, second, third, over = USERS[:4]
    assert await let_go_after(world, OUTAGE_SECONDS + 1.0) == ([second, first, third, over], OUTAGE_SECONDS)


async def test_what_is_a_little_late_leaves_in_the_order_in_which_it_was_due() -> None:
    world = world_of(30_000, 7_200, 86_400)
    assert await let_go_after(world, OVERDUE_MS / 1000) == (list(USERS[:3]), OVERDUE_MS / 1000 - 1.0)


async def test_what_ends_instead_of_being_sent_leaves_before_all_that_is_late() -> None:
    world = world_of(7_200, 3_700, 86_400)
    world.cancel("n", user=USERS[2])
    assert (await let_go_after(world, OUTAGE_SECONDS))[0] == [USERS[2], USERS[1], USERS[0]]


def test_of_many_that_live_equally_long_most_are_not_asked_when_they_expire() -> None:
    asked = list[int]()

    def a_day(_: str, timer: Timer) -> Lifetime:
        asked.append(timer.keep_offset)
        return Lifetime("news", timer.due_at + DAY_MS)

    lane, due_at = str(Lane.BULK).encode(), NOW - 10 * OVERDUE_MS
    entries = [waiting_entry(b"u%d" % at, lane, at, due_at + at) for at in range(200)]
    values: list[bytes | None] = [waiting_row(lane, at, due_at + at, T0, b"{}") for at in range(200)]
    assert LateOrder(a_day).places(entries, values, NOW) is None
    assert len(asked) <= SAMPLED


def test_what_is_not_late_is_not_looked_at() -> None:
    def never(_: str, timer: Timer) -> None:
        raise AssertionError(timer)

    entries = [waiting_entry(b"u%d" % at, str(Lane.BULK).encode(), at, NOW - OVERDUE_MS + at) for at in range(9)]
    assert LateOrder(never).places(entries, [b""] * 9, NOW) is None
    assert LateOrder(never).places([], [], NOW) is None
