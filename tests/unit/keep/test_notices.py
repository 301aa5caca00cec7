"""What registrars tell the keeper: facts S12 and P4 of reference/time.md, ruling II.16."""

from __future__ import annotations

import pytest

from pushcast.keep.index import FORGOTTEN_REMEMBER_MS
from pushcast.keep.joining import Joining
from pushcast.keep.notices import LATE_MS, Notices
from pushcast.keep.rules import MAX_LOOKS
from pushcast.model.caps import CapRule
from pushcast.model.words import Lane
from pushcast.stream.batch import TP
from pushcast.wire import topics
from pushcast.wire.devices.row_fences import is_row
from pushcast.wire.headers import first
from pushcast.wire.waiting.held import CLOSES, ZONED
from pushcast.wire.waiting.notices import NoticeKind
from twins.handover import Message
from twins.kafka import Produced
from twins.keep import PARTITION, T0, USERS, Keeper, KeepWorld, keeper_of, told

ANN, BOB = USERS[:2]
HOUR = 3_600_000


def ends(world: KeepWorld) -> list[tuple[str, str]]:
    """Users of what was let go, with how it ends."""

    def said(sent: Message) -> str:
        return (first(sent.headers(), CLOSES) or b"").decode()

    return sorted(((sent.produced.key or b"").decode(), said(sent)) for sent in world.due())


def rows_of(keeper: Keeper, user: str) -> set[bytes]:
    """Row keys that name a user."""
    return {key for key in keeper.table.rows if is_row(key) and key.startswith(user.encode() + b"\0")}


async def test_s12_another_zone_lets_planners_find_the_users_local_times_anew() -> None:
    world = KeepWorld()
    world.hold("local", T0 + 8 * HOUR, zoned=True)
    world.hold("instant", T0 + 8 * HOUR)
    world.hold("local", T0 + 8 * HOUR, user=BOB, zoned=True)
    keeper = await keeper_of(world)
    world.notice(NoticeKind.ZONES_CHANGED)
    await told(keeper)
    [sent] = world.due()
    assert (sent.produced.key, first(sent.headers(), ZONED)) == (ANN.encode(), b"1"), "of ann, what has a local time"
    world.notice(NoticeKind.ZONES_CHANGED)
    await told(keeper)
    assert len(world.due()) == 1, "told twice is told once"


async def test_s12_what_a_planner_held_by_the_zone_of_before_goes_back_to_it_once() -> None:
    world = KeepWorld()
    world.notice(NoticeKind.ZONES_CHANGED)
    keeper = await keeper_of(world)
    world.hold("before", T0 + 8 * HOUR, zoned=True, written_at=T0)
    world.hold("before", T0 + 8 * HOUR, zoned=True, written_at=T0, part=1)
    world.hold("after", T0 + 8 * HOUR, zoned=True, written_at=T0 + 60_000)
    await told(keeper)
    assert len(world.due()) == 1
    assert len(rows_of(keeper, ANN)) == 3


async def test_s12_what_a_planner_judged_again_by_the_zone_of_before_goes_back_to_it_once_more() -> None:
    """A planner that was killed after the notice had an old table still: users who woke up had waited until morning."""
    world = KeepWorld()
    world.notice(NoticeKind.ZONES_CHANGED)
    keeper = await keeper_of(world)
    world.hold("judged", T0 + 8 * HOUR, zoned=True, written_at=T0, part=1)
    await told(keeper)
    assert world.due() == []
    await told(keeper, LATE_MS / 1000 + 1)
    assert len(world.due()) == 1
    world.hold("judged", T0 + 8 * HOUR, zoned=True, written_at=T0, part=2)
    await told(keeper, LATE_MS / 1000 + 1)
    assert len(world.due()) == 1, "by then it knew"


async def test_s12_a_zone_that_changes_again_and_again_never_uses_up_the_parts_of_a_notification() -> None:
    """Each change made one part more, and the keeper refuses one beyond the last: a dead letter that never leaves."""
    world = KeepWorld()
    world.hold("often", T0 + HOUR, zoned=True, part=MAX_LOOKS - 1)
    world.hold("too often", T0 + HOUR, zoned=True, part=MAX_LOOKS)
    keeper = await keeper_of(world)
    world.notice(NoticeKind.ZONES_CHANGED)
    await told(keeper)
    assert len(world.due()) == 1
    await told(keeper, 3_600)
    assert len(world.due()) == 2, "at its time"


async def test_p4_what_waits_for_a_forgotten_user_ends_and_nothing_of_the_user_stays() -> None:
    world = KeepWorld()
    world.caps = [CapRule("day", 3, window_ms=24 * HOUR)]
    for number in range(3):
        world.hold(f"n{number}", T0 + HOUR)
    world.gather("d1")
    world.gather("d2")
    world.limit("capped")
    world.hold("badge", T0 - 5, badge="+1")
    world.hold("later", T0 + HOUR, user=BOB)
    keeper = await keeper_of(world)
    before = len(world.due())
    assert before == 2, "what was capped and what counts in the badge has left"
    world.notice(NoticeKind.FORGOTTEN)
    await told(keeper)
    assert ends(world) == [(ANN, "")] * 2 + [(ANN, "user_forgotten")] * 5
    assert {key for key in rows_of(keeper, ANN) if b"\0t\0" not in key} == set(), "no digest, slots or badge"
    assert all(b"title" not in value for key, value in keeper.table.rows.items() if key.startswith(ANN.encode()))
    await told(keeper, FORGOTTEN_REMEMBER_MS / 1000 + 1)
    assert rows_of(keeper, ANN) == set()
    assert len(rows_of(keeper, BOB)) == 1


async def test_a_digest_that_a_forgotten_users_old_member_opened_stays_for_what_came_after() -> None:
    """The new members had waited for a digest that was gone: they never left, and their rows stayed for ever."""
    world = KeepWorld()
    world.gather("old")
    keeper = await keeper_of(world)
    world.clock.advance(2)
    await keeper.pass_time(2)
    world.gather("new")
    world.gather("newer")
    await told(keeper)
    world.notice(NoticeKind.FORGOTTEN, at=T0 + 1)
    await told(keeper)
    assert ends(world) == [(ANN, "user_forgotten")]
    await told(keeper, 600)
    assert ends(world) == [(ANN, ""), (ANN, "digested"), (ANN, "digested"), (ANN, "user_forgotten")]


async def forgotten_while_a_digest_leaves() -> list[tuple[str, str]]:
    """The push is there, and its members are not closed yet."""
    world = KeepWorld()
    world.gather("a")
    world.gather("b")
    keeper = await keeper_of(world)
    world.clock.advance(600)
    await keeper.pass_time(600)
    keeper.outbox.acknowledge()
    world.notice(NoticeKind.FORGOTTEN)
    await told(keeper)
    return ends(world)


async def test_members_of_a_digest_that_leaves_at_that_moment_end_as_part_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await forgotten_while_a_digest_leaves() == [(ANN, ""), (ANN, "digested"), (ANN, "digested")]
    monkeypatch.setattr(Joining, "leaves", lambda *_: False)
    assert await forgotten_while_a_digest_leaves() != [(ANN, ""), (ANN, "digested"), (ANN, "digested")]


async def test_ii16_what_was_written_before_and_is_read_later_ends_at_once() -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    world.notice(NoticeKind.FORGOTTEN, at=T0)
    await told(keeper)
    world.hold("old", T0 + HOUR, lane=Lane.BULK, written_at=T0)
    world.hold("new", T0 + HOUR, lane=Lane.BULK, written_at=T0 + 1)
    await told(keeper)
    assert ends(world) == [(ANN, "user_forgotten")]


async def test_what_was_written_after_the_user_was_forgotten_stays() -> None:
    world = KeepWorld()
    world.hold("new", T0 + HOUR, written_at=T0 + 1)
    world.notice(NoticeKind.FORGOTTEN, at=T0)
    keeper = await keeper_of(world)
    assert ends(world) == []
    await told(keeper, 3_600)
    assert ends(world) == [(ANN, "")]


async def test_a_forgotten_users_timer_closes_once_over_a_takeover() -> None:
    world = KeepWorld()
    world.hold("n", T0 + HOUR)
    first_keeper = await keeper_of(world)
    world.notice(NoticeKind.FORGOTTEN)
    await first_keeper.feed()
    first_keeper.die()
    await keeper_of(world)
    assert ends(world) == [(ANN, "user_forgotten")]


@pytest.mark.parametrize(
    "headers", [[], [("push-notice", b"other"), ("push-notice-at", b"1")], [("push-notice", b"forgotten")]]
)
async def test_a_record_that_says_nothing_is_a_dead_letter(headers: list[tuple[str, bytes | None]]) -> None:
    world = KeepWorld()
    keeper = await world.take_over()
    topic = topics.keep(Lane.URGENT)
    world.log.append(Produced(topic, PARTITION, b"", ANN.encode(), headers, T0))
    await told(keeper)
    [letter] = world.messages(topics.dead_letter(topic))
    assert letter.produced.key == ANN.encode()
    assert keeper.trackers[TP(topic, PARTITION)].low == 1, "the stream goes on"


async def test_ii16_what_was_written_before_a_user_was_forgotten_ends_also_when_a_successor_reads_it() -> None:
    async def ends_after_a_kill() -> list[tuple[str, str]]:
        world = KeepWorld()
        world.hold("known", T0 + HOUR, user=BOB)
        keeper = await keeper_of(world)
        world.notice(NoticeKind.FORGOTTEN)
        await told(keeper)
        await keeper.commit_now(keeper.partitions())
        keeper.die()
        successor = await keeper_of(world)
        world.hold("late", T0 + HOUR, lane=Lane.BULK, written_at=T0)
        world.hold("new", T0 + HOUR, lane=Lane.BULK, written_at=T0 + 1)
        await told(successor)
        return ends(world)

    assert await ends_after_a_kill() == [(ANN, "user_forgotten")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Notices, "recall", lambda *_: None)
        assert await ends_after_a_kill() == [], "without the row it would wait for its time"


async def test_p4_that_a_user_was_forgotten_is_forgotten_within_minutes() -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    world.notice(NoticeKind.FORGOTTEN)
    world.notice(NoticeKind.FORGOTTEN)
    await told(keeper)
    assert len(rows_of(keeper, ANN)) == 1
    await told(keeper, FORGOTTEN_REMEMBER_MS / 1000 + 1)
    assert rows_of(keeper, ANN) == set()
    assert ends(world) == []


async def test_ii16_that_a_user_was_forgotten_is_known_while_what_was_held_before_may_still_come() -> None:
    bulk = TP(topics.keep(Lane.BULK), PARTITION)
    world = KeepWorld()
    keeper = await keeper_of(world)
    world.notice(NoticeKind.FORGOTTEN)
    keeper.behind[bulk] = T0
    for _ in range(3):
        await told(keeper, FORGOTTEN_REMEMBER_MS / 1000 + 1)
        assert len(rows_of(keeper, ANN)) == 1
    keeper.die()
    successor = await keeper_of(world)
    successor.behind[bulk] = T0
    world.hold("late", T0 + 24 * HOUR, lane=Lane.BULK, written_at=T0)
    await told(successor)
    assert ends(world) == [(ANN, "user_forgotten")]
    successor.behind[bulk] = T0 + LATE_MS + 1
    await told(successor, FORGOTTEN_REMEMBER_MS / 1000 + 1)
    await told(successor, FORGOTTEN_REMEMBER_MS / 1000 + 1)
    assert rows_of(successor, ANN) == set(), "what comes from here on was judged by planners that knew"
