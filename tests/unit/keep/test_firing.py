"""A timer closes by one due record whatever befalls its keeper, and needs no other topic for it (facts S17, S20)."""

from __future__ import annotations

import asyncio
import json

from pushcast.keep.due import MANY
from pushcast.model.words import Lane
from pushcast.wire import topics
from pushcast.wire.control.control import Rate
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.notifications import NotificationDecoder
from pushcast.wire.headers import first
from pushcast.wire.waiting.held import CLOSES
from pushcast.wire.waiting.timers import is_timer, part_key, readable
from twins.kafka import settled
from twins.keep import PARTITIONS, T0, USERS, Keeper, KeepWorld, keeper_of, told

ANN = USERS[0]
DAY_MS = 86_400_000
LATEST_DAYS = 90


async def test_s17_a_hundred_kills_between_the_due_record_and_its_row_let_each_timer_go_once() -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    for number in range(100):
        name = world.hold(f"n{number}", world.clock.now_ms() + 1_000)
        await told(keeper)
        await keeper.commit_now(keeper.partitions())
        world.clock.advance(1.0)
        await keeper.pass_time(1.0)
        put = next(at for at, (_, each) in enumerate(keeper.outbox.pending) if each.topic == topics.due(Lane.NORMAL))
        keeper.outbox.acknowledge(put)
        keeper.outbox.pending.clear()  # its tombstone never comes
        keeper.die()
        keeper = await keeper_of(world)
        row = readable(keeper.table.rows[part_key(ANN, f"n{number}", 0)])
        assert row is not None
        assert (row.name, row.waits) == (name, False)
    sent = [each.value() for each in world.due()]
    assert len(sent) == 100
    await told(keeper, 3_600)
    assert len(world.due()) == 100


async def test_s20_a_timer_of_ninety_days_is_whole_when_the_topics_that_brought_it_are_empty() -> None:
    event = {
        "id": "n",
        "app": "news",
        "title": "Merry Christmas",
        "data": {"card": "7"},
        "locales": {"de": {"title": "Frohe Weihnachten"}},
        "options": {"collapse_id": "xmas", "priority": "high"},
        "deliver_at": T0 + LATEST_DAYS * DAY_MS,
        "created_at": T0,
    }
    world = KeepWorld()
    world.hold("n", T0 + LATEST_DAYS * DAY_MS, event=json.dumps(event).encode())
    keeper = await keeper_of(world)
    await keeper.commit_now(keeper.partitions())
    keeper.die()
    for at, record in enumerate(world.log):
        if record.topic == topics.keep(Lane.NORMAL):
            world.log[at] = record._replace(value=b"gone", headers=[])
    world.clock.advance(LATEST_DAYS * 86_400)
    await told(await keeper_of(world))
    [sent] = world.due()
    assert first(sent.headers(), CLOSES) is None
    decode = NotificationDecoder(("news",), {"default": ClassRule(DAY_MS)}).decode
    assert decode(ANN, sent.value() or b"", T0) == decode(ANN, json.dumps(event).encode(), T0)


def rows_that_left(keeper: Keeper) -> int:
    found = (readable(value) for key, value in keeper.table.rows.items() if is_timer(key))
    return sum(row is not None and not row.waits for row in found)


async def test_rows_of_what_left_one_by_one_are_written_together() -> None:
    world = KeepWorld()
    world.closing_gather_seconds = 0.02
    for number in range(4):
        world.hold(f"n{number}", T0 + 100 * number, user=USERS[number])
    keeper = await keeper_of(world)
    for _ in range(3):
        await told(keeper, 0.1)
    assert len(world.due()) == 4
    assert rows_that_left(keeper) == 3, "the last one's has time"
    await told(keeper, 0.02)
    assert rows_that_left(keeper) == 4


async def test_rows_of_many_that_left_are_written_at_once() -> None:
    world = KeepWorld()
    world.closing_gather_seconds = 60.0
    for number in range(MANY):
        world.hold(f"n{number}", user=USERS[number % len(USERS)])
    keeper = await keeper_of(world)
    assert (len(world.due()), rows_that_left(keeper)) == (MANY, MANY)


async def test_what_waits_for_the_end_of_another_waits_for_no_more_of_its_kind() -> None:
    world = KeepWorld()
    world.closing_gather_seconds = 60.0
    world.live["xmas"] = Rate(PARTITIONS * 60)
    world.hold("paced", pace="campaign/xmas")
    keeper = await keeper_of(world)
    await told(keeper, 1.0)
    assert (len(world.due()), rows_that_left(keeper)) == (1, 1), "a rate counts what has left"


async def test_a_keeper_that_ends_writes_what_has_left_before_it_goes() -> None:
    world = KeepWorld()
    world.closing_gather_seconds = 0.02
    world.hold()
    keeper = await keeper_of(world)
    assert rows_that_left(keeper) == 0
    ending = asyncio.create_task(keeper.stage.revoking(set(keeper.partitions())))
    await settled()
    assert not ending.done()
    await keeper.pass_time(0.02)
    await keeper.quiet()
    await ending
    assert rows_that_left(keeper) == 1
