"""Usual timers take a short way, and come to what the long one comes to."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

import pytest

from pushcast.keep import due_rows, plain_intake
from pushcast.keep.plain_release import plain_dues
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.headers import CE_ID, FENCE, origin
from pushcast.wire.waiting.notices import NoticeKind
from pushcast.wire.waiting.plain_holds import plain_hold
from twins.kafka import Produced
from twins.keep import PARTITION, PARTITIONS, T0, USERS, Keeper, KeepWorld, keeper_of

#: Mostly without a timer.
FRESH = [user for user in map(str, range(2_000)) if partition_of(user.encode(), PARTITIONS) == PARTITION]


def written(world: KeepWorld) -> dict[Any, list[Any]]:
    """All that keepers wrote: due records in their order, and the rows of each key in theirs. Rows that are closed
    together lie in another order, and so have other tags."""
    found = defaultdict[Any, list[Any]](list)
    for topic in (*map(topics.due, Lane), topics.USER):
        for each in world.messages(topic):
            headers = [header for header in each.headers() if header[0] != CE_ID]
            found[topic, each.produced.key if topic == topics.USER else None].append((each.value(), headers))
    return dict(found)


def one_step(world: KeepWorld, rnd: random.Random) -> None:
    user, note_id = rnd.choice(USERS[:3]), f"n{rnd.randrange(6)}"
    dice = rnd.random()
    if dice < 0.1:
        world.cancel(note_id, user=user)
    elif dice < 0.2:
        world.engage("read", user, ids=[note_id])
    elif dice < 0.25:
        world.notice(NoticeKind.FORGOTTEN, world.clock.now_ms(), user)
    elif dice < 0.35:
        world.limit(note_id, user=user)
    elif dice < 0.4:
        lane = rnd.choice(list(Lane))
        headers = [*origin(f"plan-{lane}", PARTITION, rnd.randrange(3)), (FENCE, b"1")]
        world.log.append(Produced(topics.keep(lane), PARTITION, None, None, headers, T0))
    elif dice < 0.6:
        lane, due_at = rnd.choice(list(Lane)), T0 + rnd.choice((0, 30_000, 60_000))
        for each in rnd.choices(FRESH, k=rnd.randrange(9)):
            world.hold(note_id, due_at, user=each, lane=lane, epoch=rnd.choice((0, 1, 1, 2)))
    else:
        due_at = T0 + rnd.choice((0, 1_000, 60_000))
        more = rnd.choice(
            ({}, {}, {}, {"badge": "+1"}, {"trace": "00-1"}, {"part": 1}, {"epoch": 0}, {"epoch": 2}, {"event": b""})
        )
        # Of one user so many that they are counted instead of being scanned.
        note_id = f"m{rnd.randrange(99)}" if user == USERS[2] else note_id
        world.hold(note_id, due_at, user=user, lane=rnd.choice(list(Lane)), written_at=world.clock.now_ms(), **more)


async def lived(seed: int) -> tuple[dict[Any, list[Any]], dict[tuple[str, str], int]]:
    world = KeepWorld(seed)
    keeper = await keeper_of(world)
    for _ in range(12):
        for _ in range(world.rnd.randrange(12)):
            one_step(world, world.rnd)
        await keeper.feed(world.rnd.choice((1, 3, 1_000)))
        if world.rnd.random() < 0.5:
            keeper.outbox.land(world.rnd)
            keeper.table.tail(world.rnd.choice((1, 5, None)))
            await keeper.let_run()
        if world.rnd.random() < 0.5:
            world.clock.advance(30.0)
            await keeper.pass_time(30.0)
    await finished(keeper)
    return written(world), dict(keeper.counters)


async def finished(keeper: Keeper) -> None:
    for _ in range(4):
        await keeper.feed()
        await keeper.pass_time(60.0)
        await keeper.quiet()


@pytest.mark.parametrize("seed", range(12))
async def test_the_short_way_writes_what_the_long_way_writes(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {"hold": 0, "release": 0}

    def counted(name: str, found: Any) -> Any:
        taken[name] += found is not None
        return found

    with monkeypatch.context() as patched:
        patched.setattr(plain_intake, "plain_hold", lambda headers: counted("hold", plain_hold(headers)))
        patched.setattr(due_rows, "plain_dues", lambda *known: counted("release", plain_dues(*known)))
        short = await lived(seed)
    monkeypatch.setattr(plain_intake, "plain_hold", lambda _: None)
    monkeypatch.setattr(due_rows, "plain_dues", lambda *_: None)
    assert short == await lived(seed)
    assert taken["hold"]
    assert taken["release"]
    assert len(short[0]) > 10
