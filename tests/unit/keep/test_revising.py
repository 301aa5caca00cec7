"""Rescheduling by revision (fact S15 of reference/time.md, ruling II.18)."""

from __future__ import annotations

import pytest

from pushcast.keep.revising import Revising
from pushcast.keep.rules import MAX_TIMERS
from pushcast.keep.tenure import KeepTenure
from pushcast.model.words import Lane
from pushcast.stream.ports import Barrier
from pushcast.wire.headers import first
from pushcast.wire.waiting.held import CLOSES, Held
from pushcast.wire.waiting.notices import NoticeKind
from pushcast.wire.waiting.timers import Timer
from twins.handover import Message
from twins.keep import T0, KeepWorld, keeper_of, told

HOUR = 3_600_000


def ends(world: KeepWorld) -> list[tuple[bytes | None, str]]:
    """Contents of what was let go, with how each ends."""

    def said(sent: Message) -> str:
        return (first(sent.headers(), CLOSES) or b"").decode()

    return [(sent.value(), said(sent)) for sent in world.due()]


async def test_s15_a_later_revision_replaces_what_waits_and_an_equal_or_lower_one_is_a_duplicate() -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    world.hold("n", T0 + HOUR, event=b"first")
    world.hold("n", T0 + 2 * HOUR, event=b"later", revision=1)
    await told(keeper)
    assert ends(world) == [(b"first", "superseded")]
    world.hold("n", T0 + 3 * HOUR, event=b"zero", revision=0)
    world.hold("n", T0 + 3 * HOUR, event=b"again", revision=1)
    await told(keeper)
    assert ends(world)[1:] == [(b"zero", "duplicate"), (b"again", "duplicate")]
    await told(keeper, 3_600)
    assert len(ends(world)) == 3, "not at the former time"
    await told(keeper, 3_600)
    assert ends(world)[3:] == [(b"later", "")]
    world.hold("n", T0 + 9 * HOUR, event=b"late", revision=2)
    await told(keeper)
    assert ends(world)[4:] == [(b"late", "duplicate")], "what has left cannot be replaced"


async def test_a_revision_may_come_earlier_and_another_after_it() -> None:
    world = KeepWorld()
    for revision in range(4):
        world.hold("n", T0 + (5 - revision) * HOUR, event=b"%d" % revision, revision=revision)
    keeper = await keeper_of(world)
    assert ends(world) == [(b"0", "superseded"), (b"1", "superseded"), (b"2", "superseded")]
    await told(keeper, 2 * 3_600)
    assert ends(world)[3:] == [(b"3", "")]


async def test_one_that_overtakes_what_it_replaces_stays() -> None:
    world = KeepWorld()
    world.hold("n", T0 + HOUR, event=b"new", revision=1, lane=Lane.URGENT)
    keeper = await keeper_of(world)
    world.hold("n", T0 + HOUR, event=b"old", lane=Lane.BULK)
    await told(keeper)
    assert ends(world) == [(b"old", "duplicate")]


async def test_one_whose_former_event_left_without_the_keeper_is_a_duplicate() -> None:
    world = KeepWorld()
    world.hold("n", T0 + HOUR, event=b"late", revision=1, was_seen=True)
    await keeper_of(world)
    assert ends(world) == [(b"late", "duplicate")]


async def test_a_cancel_ends_the_revision_that_waits() -> None:
    world = KeepWorld()
    world.hold("n", T0 + HOUR, event=b"0")
    world.hold("n", T0 + HOUR, event=b"1", revision=1)
    keeper = await keeper_of(world)
    world.cancel("n")
    await told(keeper)
    assert ends(world) == [(b"0", "superseded"), (b"1", "cancelled")]
    world.hold("n", T0 + HOUR, event=b"2", revision=2)
    await told(keeper)
    assert ends(world)[2:] == [(b"2", "duplicate")], "it has ended"


async def test_what_went_to_its_planner_for_another_zone_can_still_be_replaced() -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    world.hold("n", T0 + HOUR, event=b"0", zoned=True)
    await told(keeper)
    world.notice(NoticeKind.ZONES_CHANGED)
    await told(keeper)
    assert ends(world) == [(b"0", "")]
    world.hold("n", T0 + 2 * HOUR, event=b"0", zoned=True, part=1, written_at=T0)
    world.hold("n", T0 + 3 * HOUR, event=b"1", revision=1, written_at=T0 + 60_000)
    await told(keeper, 2 * 3_600)
    assert ends(world)[1:] == [(b"0", "superseded")]
    await told(keeper, 3_600)
    assert ends(world)[2:] == [(b"1", "")]


async def test_a_member_that_is_replaced_leaves_its_digest() -> None:
    world = KeepWorld()
    for note_id in ("a", "b", "c"):
        world.gather(note_id)
    keeper = await keeper_of(world)
    world.hold("b", T0 + HOUR, event=b"alone", revision=1)
    await told(keeper)
    assert [end for _, end in ends(world)] == ["superseded"]
    await told(keeper, 600)
    assert [end for _, end in ends(world)[1:]] == ["", "digested", "digested"]
    assert b'"digest_count":2' in (ends(world)[1][0] or b"")


async def test_a_user_with_all_timers_that_may_wait_can_still_move_one() -> None:
    world = KeepWorld()
    for number in range(MAX_TIMERS):
        world.hold(f"n{number}", T0 + HOUR)
    world.hold("n7", T0 + 2 * HOUR, event=b"1", revision=1)
    keeper = await keeper_of(world)
    await told(keeper)
    assert [end for _, end in ends(world)] == ["superseded"]


async def killed_between(seed: int) -> list[str]:
    """How both end when the keeper that took the revision dies with any part of what it wrote."""
    world = KeepWorld(seed)
    world.hold("n", T0 + HOUR, event=b"0")
    keeper = await keeper_of(world)
    await keeper.commit_now(keeper.partitions())
    world.hold("n", T0 + 2 * HOUR, event=b"1", revision=1)
    await keeper.feed()
    keeper.outbox.land(world.rnd)
    keeper.die()
    await told(await keeper_of(world), 2 * 3_600)
    return sorted(end for _, end in ends(world))


async def test_a_kill_between_the_two_rows_of_a_revision_costs_neither_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = ["", "superseded"]
    assert all([await killed_between(seed) == whole for seed in range(30)])

    def without_the_second_row(
        self: Revising, tenure: KeepTenure, _: Barrier, user: str, held: Held, timer: Timer
    ) -> bool:
        return any(row.name == timer.name for row in self._rows.named(tenure, user, held.note_id).values())

    monkeypatch.setattr(Revising, "is_known", without_the_second_row)
    assert not all([await killed_between(seed) == whole for seed in range(60)]), "it is written again for that"
