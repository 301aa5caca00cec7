"""KEEP on a twin of Kafka: facts S1, S16, C1 and C6 of reference/time.md, and what is wrong with its records."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from pushcast.keep.broker_time import BrokerTime
from pushcast.keep.index import FORGOTTEN_REMEMBER_MS, REMEMBER_MS, REMEMBERED
from pushcast.keep.queues import GATHER_MS, URGENT_GATHER_MS
from pushcast.keep.rules import MAX_TIMERS
from pushcast.model.ids import partition_of
from pushcast.model.words import Lane
from pushcast.stream.batch import TP
from pushcast.wire import topics
from pushcast.wire.headers import FENCE, FORWARDED, TRACEPARENT, first, origin
from pushcast.wire.waiting import clock_rows
from pushcast.wire.waiting.held import CLOSES, TIMER, Held, Released, held_headers, released_of
from pushcast.wire.waiting.notices import NoticeKind
from pushcast.wire.waiting.timers import timer_key
from twins.handover import Message
from twins.kafka import Produced
from twins.keep import PARTITION, PARTITIONS, SOURCES, T0, USERS, KeepWorld, keeper_of, told

ANN, BOB = USERS[:2]
AWAY = next(f"u{number}" for number in range(100) if partition_of(f"u{number}".encode(), PARTITIONS) == 4).encode()
CANCEL = TP(topics.CANCEL, PARTITION)


def names(sent: list[Message]) -> list[str]:
    return ["|".join((first(each.headers(), TIMER) or b"").decode().split("|")[:2]) for each in sent]


def closes(sent: list[Message]) -> list[str]:
    return [(first(each.headers(), CLOSES) or b"").decode() for each in sent]


async def test_s1_a_timer_is_let_go_at_its_time_and_not_a_millisecond_before() -> None:
    world = KeepWorld()
    name = world.hold("n", T0 + 60_000, event=b"the event", trace="00-1")
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


@pytest.mark.parametrize(("lane", "gather_ms"), [(Lane.URGENT, URGENT_GATHER_MS), (Lane.NORMAL, GATHER_MS)])
async def test_what_becomes_due_soon_after_a_look_waits_for_more_and_leaves_together(
    lane: Lane, gather_ms: int
) -> None:
    world = KeepWorld()
    first, second, third = (world.hold(f"n{at}", T0 + 1_000 + at, lane=lane) for at in (0, 1, gather_ms))
    keeper = await keeper_of(world)
    let_go = []
    for seconds in (1.0, 0.001, (gather_ms - 2) / 1000, 0.002):
        await keeper.pass_time(seconds)
        await keeper.quiet()
        let_go.append(names(world.due()))
    assert let_go == [[first], [first], [first], [first, second, third]]


async def test_what_was_due_at_the_last_look_and_came_after_it_waits_for_nothing() -> None:
    world = KeepWorld()
    world.hold("n", T0)
    keeper = await keeper_of(world)
    world.hold("m", T0)
    await keeper.feed()
    await keeper.quiet()
    assert names(world.due()) == ["normal|0", "normal|1"]


async def test_s16_what_came_due_while_no_keeper_ran_is_let_go_at_once_and_says_how_late() -> None:
    world = KeepWorld()
    world.hold("n", T0 + 1_000)
    (await keeper_of(world)).die()
    world.clock.advance(3_601)
    keeper = await keeper_of(world)
    await keeper.quiet()
    assert names(world.due()) == ["normal|0"]
    assert keeper.stage.parts.due_rows.late_seconds() == 3_600
    assert keeper.stage.parts.due_rows.late_seconds() == 0, "since the last question"


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


@pytest.mark.parametrize("seconds", [3_600, 604_800])
async def test_the_same_id_again_is_a_duplicate_for_as_long_as_the_configuration_says(seconds: int) -> None:
    world = KeepWorld()
    world.remember_ms = seconds * 1000
    world.hold("n", T0)
    keeper = await keeper_of(world)
    await told(keeper, seconds - 1)
    world.hold("n", T0)
    await told(keeper)
    await told(keeper, 1)
    world.hold("n", T0)
    await told(keeper)
    assert closes(world.due()) == ["", "duplicate", ""]


async def test_the_same_id_again_is_a_duplicate_while_a_later_part_waits_though_the_first_one_is_forgotten() -> None:
    """A local time comes up to 26 hours later in one zone than in another."""
    world = KeepWorld()
    world.hold("n", T0, zoned=True)
    world.hold("n", T0 + 90_000_000, part=1, zoned=True)
    keeper = await keeper_of(world)
    await told(keeper, REMEMBER_MS / 1000 + 1)
    assert timer_key(ANN, "n") not in keeper.table.rows
    world.hold("n", T0, zoned=True)
    world.hold("m", T0, zoned=True)
    await told(keeper)
    assert closes(world.due()) == ["", "duplicate", ""]
    await told(keeper, 4_000)
    assert closes(world.due()) == ["", "duplicate", "", ""]


async def test_what_left_before_the_configuration_was_changed_is_forgotten_by_the_new_one() -> None:
    world = KeepWorld()
    world.remember_ms = 604_800_000
    world.hold("n", T0)
    keeper = await keeper_of(world)
    keeper.die()
    world.remember_ms = 3_600_000
    entries = keeper.table.entries
    keeper = await world.take_over()
    keeper.table.entries = set(entries)  # its copy is from before
    await told(keeper, 3_599)
    assert timer_key(ANN, "n") in keeper.table.rows
    await told(keeper, 1)
    assert timer_key(ANN, "n") not in keeper.table.rows
    assert not keeper.table.entries


async def test_an_entry_of_a_forgotten_user_from_a_copy_of_the_release_before_leads_to_its_row() -> None:
    world = KeepWorld()
    world.hold("n", T0)
    keeper = await keeper_of(world)
    world.notice(NoticeKind.FORGOTTEN, world.clock.now_ms())
    await told(keeper)
    rows = {key for key in keeper.table.rows if b"\0t\0" in key}
    assert rows
    keeper.table.entries = {REMEMBERED + entry[1:] for entry in keeper.table.entries}
    await told(keeper, FORGOTTEN_REMEMBER_MS / 1000 + 1)
    await told(keeper)
    assert not rows & keeper.table.rows.keys()


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


async def test_a_user_with_very_many_timers_is_not_scanned_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million timers of one user: bad input of issue 14."""
    world = KeepWorld()
    keeper = await world.take_over()
    scans = 0
    scan = keeper.table.scan

    def counted(partition: int, prefix: bytes) -> list[tuple[bytes, bytes]]:
        nonlocal scans
        scans += 1
        return scan(partition, prefix)

    monkeypatch.setattr(keeper.table, "scan", counted)
    for number in range(3 * MAX_TIMERS):
        world.hold(f"n{number}", T0 + 60_000 * (1 + number // 10))
    await keeper.feed(10_000)
    await keeper.quiet()
    assert scans < 100
    assert closes(world.due()) == ["too_many"] * 2 * MAX_TIMERS
    await keeper.pass_time(60)
    await keeper.quiet()
    for number in range(12):
        world.hold(f"again{number}", T0 + 9_000_000)
    await keeper.feed()
    await keeper.quiet()
    assert closes(world.due())[2 * MAX_TIMERS :] == [""] * 10 + ["too_many"] * 2


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


async def test_a_keep_record_that_a_planner_of_another_partition_wrote_is_moved_to_the_partition_of_its_key() -> None:
    world = KeepWorld()
    topic = topics.keep(Lane.NORMAL)
    headers = held_headers(origin(f"plan-{Lane.NORMAL}", 4, 1), 7, Held("n", T0, T0), None)
    world.log.append(Produced(topic, PARTITION, b"{}", AWAY, headers, T0))
    keeper = await keeper_of(world)
    [moved] = [each for each in world.messages(topic) if each.partition() == 4]
    assert moved.produced.key == AWAY
    assert not keeper.table.scan(PARTITION, AWAY)


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


async def test_s19_a_step_of_the_machines_clock_moves_nothing_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    world = KeepWorld()
    world.hold("n", T0 + 60_000)
    keeper = await keeper_of(world)
    assert keeper.stage.disagreement_seconds() < 2
    for step in (3600, -7200):
        keeper.clock.jump_wall(step)
        await keeper.pass_time(10)
        await keeper.quiet()
        assert keeper.stage.disagreement_seconds() > 3590
    assert world.due() == []
    assert sum("clock_disagrees" in record.message for record in caplog.records) == 1
    await keeper.pass_time(40)
    await keeper.quiet()
    assert names(world.due()) == ["normal|0"]
    assert keeper.stage.parts.due_rows.late_seconds() < 1


async def test_nothing_is_let_go_before_the_broker_has_said_what_time_it_is() -> None:
    world = KeepWorld()
    world.hold("n", T0 - 1)
    keeper = await world.take_over()
    await keeper.feed()
    await keeper.outbox.acknowledge_all()
    await keeper.pass_time(100)
    assert world.due() == [], "its table has applied nothing since the take-over"
    await keeper.quiet()
    assert names(world.due()) == ["normal|0"]


async def test_a_broker_that_is_an_hour_ahead_lets_go_early_and_is_told() -> None:
    world = KeepWorld()
    world.broker_ahead_ms = 3_600_000
    world.hold("n", T0 + 60_000)
    keeper = await keeper_of(world)
    assert names(world.due()) == ["normal|0"]
    assert keeper.stage.disagreement_seconds() == 3600


async def test_its_partition_lets_nothing_go_when_that_is_wanted_and_another_one_disagrees() -> None:
    world = KeepWorld()
    world.broker_ahead_ms = 3_600_000
    world.hold("n", T0 + 60_000)
    keeper = await world.take_over(hold_on_disagreement=True)
    right = BrokerTime(keeper.clock)
    right.heard(T0)
    stage = cast(Any, keeper.stage)
    (own,) = stage._times()
    stage._times = lambda: [own, right]
    await keeper.feed()
    await keeper.quiet()
    await keeper.pass_time(5)
    assert world.due() == []
    right.heard(T0 + 3_605_000)
    await keeper.pass_time(5)
    await keeper.quiet()
    assert names(world.due()) == ["normal|0"]


async def test_the_time_is_asked_for_where_nothing_else_is_written() -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    before = world.end(topics.USER)
    for _ in range(4):
        await keeper.pass_time(5)
        await keeper.quiet()
    asked = [each for each in world.messages(topics.USER)[before:] if each.produced.key == clock_rows.KEY]
    assert len(asked) == 4


async def test_s23_other_zones_send_what_waits_for_a_zone_to_its_planner_and_leave_instants_alone() -> None:
    world = KeepWorld()
    local, instant = world.hold("local", T0 + 60_000, zoned=True), world.hold("instant", T0 + 60_000)
    before = await world.take_over(tzdata="2026.5")
    await before.feed()
    await before.quiet()
    before.die()
    same = await world.take_over(tzdata="2026.5")
    await same.feed()
    await same.quiet()
    assert world.due() == []
    same.die()
    after = await world.take_over(tzdata="2026.6")
    await after.feed()
    await after.quiet()
    assert names(world.due()) == [local]
    assert released_of(world.due()[0].headers()).due_at == 0, "the planner finds its time anew"
    assert after.counters["zones_changed", ""] == 1
    await after.pass_time(60)
    await after.quiet()
    assert names(world.due()) == [local, instant]
    after.die()
    again = await world.take_over(tzdata="2026.6")
    await again.quiet()
    assert again.counters["zones_changed", ""] == 0
