"""KEEP on a twin of Kafka: facts S1, S16, C1 and C6 of reference/time.md, and what is wrong with its records."""

from __future__ import annotations

import json

import pytest

from pushcast.keep.index import REMEMBER_MS
from pushcast.keep.rules import MAX_TIMERS
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane
from pushcast.stream.batch import TP
from pushcast.wire import topics
from pushcast.wire.headers import FENCE, FORWARDED, TRACEPARENT, first
from pushcast.wire.held import CLOSES, TIMER, Released, released_of
from twins.handover import Message
from twins.kafka import Produced
from twins.keep import PARTITION, PARTITIONS, SOURCES, T0, USERS, Keeper, KeepWorld

ANN, BOB = USERS[:2]
AWAY = next(f"u{number}" for number in range(100) if partition_of(f"u{number}".encode(), PARTITIONS) == 4).encode()
CANCEL = TP(topics.CANCEL, PARTITION)


async def keeper_of(world: KeepWorld) -> Keeper:
    keeper = await world.take_over()
    await keeper.feed()
    await keeper.quiet()
    return keeper


def names(sent: list[Message]) -> list[str]:
    return ["|".join((first(each.headers(), TIMER) or b"").decode().split("|")[:2]) for each in sent]


def closes(sent: list[Message]) -> list[str]:
    return [(first(each.headers(), CLOSES) or b"").decode() for each in sent]


async def test_s1_a_timer_is_let_go_at_its_time_and_not_a_millisecond_before() -> None:
    world = KeepWorld()
    name = world.hold("n", T0 + 60_000, event=b"the event")
    keeper = await keeper_of(world)
    await keeper.pass_time(59.999)
    await keeper.quiet()
    assert world.due() == []
    await keeper.pass_time(0.001)
    await keeper.quiet()
    [sent] = world.due()
    assert (names([sent]), sent.value(), sent.produced.key) == ([name], b"the event", ANN.encode())
    assert released_of(sent.headers()) == Released(T0 - 5, None, due_at=T0 + 60_000)
    assert first(sent.headers(), TRACEPARENT) == b"00-1"
    await keeper.pass_time(600)
    await keeper.quiet()
    assert len(world.due()) == 1
    assert keeper.counters["closed", "released"] == 1


async def test_the_urgent_lane_goes_first_and_each_lane_in_the_order_of_its_times() -> None:
    world = KeepWorld()
    for number, lane in enumerate((Lane.BULK, Lane.NORMAL, Lane.URGENT)):
        world.hold(f"late-{number}", T0 + 2_000, lane=lane)
        world.hold(f"soon-{number}", T0 + 1_000, lane=lane)
    keeper = await keeper_of(world)
    await keeper.pass_time(5)
    put = [produced.topic for _, produced in keeper.outbox.pending if produced.topic.startswith("push.due")]
    assert put == [topics.due(lane) for lane in (Lane.URGENT, Lane.NORMAL, Lane.BULK) for _ in range(2)]
    await keeper.quiet()
    assert names([each for each in world.due() if each.topic() == topics.due(Lane.BULK)]) == ["bulk|1", "bulk|0"]


async def test_what_was_taken_before_is_known() -> None:
    world = KeepWorld()
    world.hold("n", T0 + 1_000)
    first_keeper = await keeper_of(world)
    first_keeper.die()  # nothing is committed: the record comes again
    second = await keeper_of(world)
    await second.pass_time(2)
    await second.quiet()
    second.die()
    third = await keeper_of(world)
    await third.pass_time(60)
    await third.quiet()
    assert names(world.due()) == ["normal|0"]


async def test_s16_what_came_due_while_no_keeper_ran_is_let_go_at_once_and_says_how_late() -> None:
    world = KeepWorld()
    world.hold("n", T0 + 1_000)
    (await keeper_of(world)).die()
    world.clock.advance(3_601)
    keeper = await keeper_of(world)
    await keeper.quiet()
    assert names(world.due()) == ["normal|0"]
    assert keeper.stage.release.late_seconds() == 3_600
    assert keeper.stage.release.late_seconds() == 0, "since the last question"


async def test_c1_what_is_called_off_closes_at_once_and_once() -> None:
    world = KeepWorld()
    world.hold("n", T0 + 60_000)
    world.hold("m", T0 + 60_000)
    keeper = await keeper_of(world)
    world.cancel("n")
    world.cancel("n")
    await keeper.feed()
    await keeper.quiet()
    assert (names(world.due()), closes(world.due())) == (["normal|0"], ["cancelled"])
    await keeper.pass_time(61)
    await keeper.quiet()
    assert closes(world.due()) == ["cancelled", ""]


async def test_c6_what_was_called_off_before_it_was_held_closes_when_it_comes() -> None:
    world = KeepWorld()
    world.cancel("n")
    keeper = await keeper_of(world)
    world.hold("n", T0 + 60_000)
    await keeper.feed()
    await keeper.quiet()
    assert closes(world.due()) == ["cancelled"]


async def test_a_cancel_after_the_release_changes_nothing() -> None:
    world = KeepWorld()
    world.hold("n", T0)
    keeper = await keeper_of(world)
    world.cancel("n")
    await keeper.feed()
    await keeper.quiet()
    assert closes(world.due()) == [""]


async def test_the_same_id_again_is_a_duplicate_while_it_waits_and_for_a_day() -> None:
    world = KeepWorld()
    world.hold("n", T0 + 1_000)
    keeper = await keeper_of(world)
    world.hold("n", T0 + 9_000)
    await keeper.feed()
    await keeper.quiet()
    assert (names(world.due()), closes(world.due())) == (["normal|1"], ["duplicate"])
    await keeper.pass_time(2)
    await keeper.quiet()
    world.hold("n", T0 + 9_000)
    await keeper.feed()
    await keeper.quiet()
    assert closes(world.due()) == ["duplicate", "", "duplicate"]
    await keeper.pass_time(REMEMBER_MS / 1000 + 1)
    await keeper.quiet()
    assert [key for key in keeper.table.rows if b"\0t\0" in key] == [], "and then it is forgotten"
    assert not keeper.table.entries


async def test_another_users_notification_of_the_same_id_is_another_one() -> None:
    world = KeepWorld()
    world.hold("n", T0, user=ANN)
    world.hold("n", T0, user=BOB)
    await keeper_of(world)
    assert closes(world.due()) == ["", ""]


async def test_beyond_a_thousand_of_a_user_they_close_as_too_many() -> None:
    world = KeepWorld()
    for number in range(MAX_TIMERS + 2):
        world.hold(f"n{number}", T0 + 60_000)
    keeper = await keeper_of(world)
    await keeper.feed()
    await keeper.quiet()
    assert closes(world.due()) == ["too_many"] * 2
    assert names(world.due()) == ["normal|1000", "normal|1001"]


async def test_what_a_planner_wrote_that_had_been_fenced_off_is_not_held() -> None:
    world = KeepWorld()
    topic = topics.keep(Lane.NORMAL)
    fence = [("push-origin", b"plan-normal/3"), ("push-epoch", b"2"), (FENCE, b"1")]
    world.log.append(Produced(topic, PARTITION, None, None, fence, T0))
    world.hold("n", T0, epoch=1)
    world.hold("m", T0, epoch=2)
    keeper = await keeper_of(world)
    assert names(world.due()) == ["normal|2"]
    await keeper.commit_now(SOURCES)
    heir = await keeper_of(world)
    await heir.quiet()
    assert names(world.due()) == ["normal|2"], "the commit knows the fence"


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (ANN, b"{", b"not_json"),
        (ANN, b'{"ids": []}', b"invalid_field"),
        (ANN, None, b"tombstone"),
        ("", b'{"ids": ["n"]}', b"key_missing"),
    ],
)
async def test_a_malformed_cancel_is_a_dead_letter_and_the_stream_goes_on(
    key: str, value: bytes | None, reason: bytes
) -> None:
    world = KeepWorld()
    world.hold("n", T0 + 60_000)
    world.log.append(Produced(topics.CANCEL, PARTITION, value, key.encode(), [], T0))
    keeper = await keeper_of(world)
    world.log.append(Produced(topics.CANCEL, PARTITION, json.dumps({"ids": ["n"]}).encode(), ANN.encode(), [], T0))
    await keeper.feed()
    await keeper.quiet()
    [letter] = world.messages(topics.dead_letter(topics.CANCEL))
    assert first(letter.headers(), "push.errors.reason") == reason
    assert closes(world.due()) == ["cancelled"]
    assert keeper.trackers[CANCEL].low == 2


async def test_a_cancel_in_the_wrong_partition_is_moved_once_and_then_buried() -> None:
    world = KeepWorld()
    for headers in ([], [(FORWARDED, b"1")]):
        world.log.append(Produced(topics.CANCEL, PARTITION, b'{"ids": ["n"]}', AWAY, headers, T0))
    await keeper_of(world)
    [moved] = [each for each in world.messages(topics.CANCEL) if each.partition() == 4]
    assert moved.produced.key == AWAY
    [letter] = world.messages(topics.dead_letter(topics.CANCEL))
    assert first(letter.headers(), "push.errors.reason") == b"wrong_partition"


async def test_a_keep_record_that_no_planner_wrote_is_a_dead_letter() -> None:
    world = KeepWorld()
    topic = topics.keep(Lane.NORMAL)
    world.log.append(Produced(topic, PARTITION, b"{}", ANN.encode(), [], T0))
    keeper = await keeper_of(world)
    [letter] = world.messages(topics.dead_letter(topic))
    assert first(letter.headers(), "push.errors.reason") == b"invalid_field"
    assert keeper.trackers[TP(topic, PARTITION)].low == 1


async def test_a_revoked_partition_is_left_with_everything_written() -> None:
    world = KeepWorld()
    world.hold("n", T0)
    keeper = await world.take_over()
    await keeper.feed()
    keeper.table.tail()
    await keeper.let_run()
    await keeper.outbox.acknowledge_all()
    await keeper.stage.revoking(set(SOURCES))
    await keeper.let_run()
    assert keeper.outbox.pending == []
