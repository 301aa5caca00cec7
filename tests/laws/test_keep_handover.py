"""KEEP through crashes, zombies, cancels and compaction: every timer closes by one due record that counts.

The model of reference/time.md (probes/schedule_model.py) with three lanes' sources, driving the real stage and the real
hand-over: S17 and S18 in many worlds.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from itertools import count
from typing import Any

import msgspec
import orjson
import pytest

from pushcast.handover.rules import Rules
from pushcast.keep import called_off, capping, completing, digests, exact, joining, removals, rules
from pushcast.keep.due import DueRecord, DueRecords, Put
from pushcast.keep.firings import Firings
from pushcast.keep.flushing import Flushes
from pushcast.keep.revising import Revising
from pushcast.keep.rows import Rows
from pushcast.keep.tenure import KeepTenure
from pushcast.keep.unbroken import Unbroken
from pushcast.model.caps import CapRule, Usage
from pushcast.model.recalls import RemovalScope, scope_of
from pushcast.model.words import Lane
from pushcast.stream.ports import Barrier
from pushcast.wire.headers import first
from pushcast.wire.waiting.digests import Head, closed_by
from pushcast.wire.waiting.held import CLOSES, LEFT_AS, PASSED, TIMER
from pushcast.wire.waiting.notices import NoticeKind
from pushcast.wire.waiting.timers import Timer
from twins.keep import SOURCES, T0, USERS, Keeper, KeepWorld

WORLDS = 40
LIMIT = 2
MOST_WORLDS_TO_A_VIOLATION = 600


class World(KeepWorld):
    """Timers of two users, some with one id twice."""

    def __init__(self, seed: int, *, lag: bool, gathered: float, limited: float = 0.15, noticed: float = 0.0) -> None:
        super().__init__(seed)
        self.closing_gather_seconds = 1.0 if seed % 3 == 0 else 0.0
        self.noticed = noticed  # share that is of a user of whom registrars tell
        self.caps = [CapRule("two", LIMIT, window_ms=2**50)]
        self.limited = limited  # share that takes slots
        self.lag = lag
        self.gathered = gathered  # share that waits in digests
        self.dangerous = True
        self.names: set[str] = set()
        self.shown: set[str] = set()  # what is to be taken back, each by one push

    def write(self) -> None:
        rnd = self.rnd
        if self.noticed and rnd.random() < self.noticed:
            self.write_of_noticed()
            return
        user, note_id = rnd.choice(USERS[:2]), f"n{rnd.randint(0, 5)}"
        if rnd.random() < 0.25:
            self.cancel(note_id, user=user)
            return
        if rnd.random() < 0.15:
            shown = f"shown-{len(self.shown)}"
            self.shown.add(shown)
            self.cancel(shown, user=user, remove=True)
            return
        if rnd.random() < self.limited:
            note_id = f"c{rnd.randint(0, 9)}"
            self.names.add(self.limit(note_id, user=user, lane=rnd.choice(list(Lane)), expires_at=2**50))
            return
        if rnd.random() < self.gathered:
            note_id, lane = f"d{rnd.randint(0, 9)}", rnd.choice(list(Lane))
            expires_at = self.clock.now_ms() + rnd.choice((4_000, 86_400_000))
            window_ms = rnd.choice((2_000, 10_000))
            self.names.add(self.gather(note_id, window_ms=window_ms, expires_at=expires_at, user=user, lane=lane))
            return
        due_at = T0 + rnd.choice((0, 2_000, 10_000, 30_000))
        trace = None if len(self.log) % 3 else "00-1"  # with one it is no usual timer
        self.names.add(self.hold(note_id, due_at, user=user, lane=rnd.choice(list(Lane)), trace=trace))

    def write_of_noticed(self) -> None:
        """Of a third user, who reads, travels and is forgotten, again and again."""
        rnd, user, now_ms = self.rnd, USERS[2], self.clock.now_ms()
        if rnd.random() < 0.15:
            self.engage("read", user, ids=[f"d{rnd.randint(0, 9)}", f"n{rnd.randint(0, 3)}"])
        elif rnd.random() < 0.4:
            self.notice(rnd.choice(list(NoticeKind)), now_ms - rnd.choice((0, 3_000)), user)
        elif rnd.random() < 0.5:
            self.names.add(self.gather(f"d{rnd.randint(0, 9)}", window_ms=rnd.choice((2_000, 10_000)), user=user))
        else:
            due_at, zoned = T0 + rnd.choice((0, 10_000, 30_000)), rnd.random() < 0.5
            note_id, revision = f"n{rnd.randint(0, 3)}", rnd.choice((None, 0, 1, 2, 3))
            name = self.hold(note_id, due_at, user=user, zoned=zoned, written_at=now_ms, revision=revision)
            self.names.add(name)

    def maybe_compact(self, owner: Keeper) -> None:
        """With the lag of the topic, nothing is compacted that an owner has not yet had the time to heal."""
        unhealed = owner.stage.parts.healing.unhealed(owner.stage._tenures.of(_USER))
        healed = not owner.outbox.pending and not unhealed
        if healed or not self.lag:
            self.compact()


_USER = next(iter(SOURCES))._replace(topic="push.user.v1")


async def run(
    seed: int,
    *,
    void: bool = True,
    lag: bool = True,
    gathered: float = 0.4,
    limited: float = 0.15,
    noticed: float = 0.0,
) -> None:
    world = World(seed, lag=lag, gathered=gathered, limited=limited, noticed=noticed)
    rnd: random.Random = world.rnd
    for _ in range(rnd.randint(1, 4)):
        world.write()
    current = await world.take_over()
    for _ in range(rnd.randint(20, 90)):
        dice = rnd.random()
        if dice < 0.05:
            current = await world.take_over()  # the former owner lives on
        elif dice < 0.1:
            current.die()
            current = await world.take_over()
        elif dice < 0.18:
            world.write()
        elif dice < 0.3:
            await current.feed(rnd.randint(1, 3))
        elif dice < 0.45:
            seconds = rnd.choice((0.5, 3.0, 10.0))
            world.clock.advance(seconds)
            for keeper in world.keepers[-2:]:
                if keeper.alive:
                    await keeper.pass_time(seconds)
        elif dice < 0.5:
            await rnd.choice(world.keepers[-2:]).stage.refresh()
        elif dice < 0.6:
            await current.commit_now([rnd.choice(SOURCES)])
        elif dice < 0.75:
            rnd.choice(world.keepers[-2:]).table.tail(rnd.choice((1, 3, None)))
            await current.let_run()
        elif dice < 0.78:
            world.maybe_compact(current)
        else:
            rnd.choice(world.keepers[-3:]).outbox.land(rnd)
            await current.let_run()
    await finish(world)
    judge(world, void=void)


async def late_member(seed: int) -> None:
    """A digest leaves while one more of its members comes, and its keeper may be killed right then."""
    world = World(seed, lag=True, gathered=1.0)
    rnd: random.Random = world.rnd
    world.names.update(world.gather(note_id, window_ms=2_000) for note_id in ("d0", "d1"))
    current = await world.take_over()
    await current.feed()
    await current.quiet()
    world.names.add(world.gather("d2", window_ms=2_000))
    if rnd.random() < 0.5:
        await current.pass_time(2.0)  # the push is put, and then the member comes
        await current.feed()
    else:
        current.clock.advance(2.0)
        await current.feed()
        current.outbox.land(rnd)  # its head, and perhaps not itself
        current.table.tail()
        await current.pass_time(0)
    world.clock.advance(2.0)
    current.outbox.land(rnd)
    await current.let_run()
    if rnd.random() < 0.7:
        current.die()
    await finish(world)
    judge(world, void=True)


async def late_row(seed: int) -> None:
    """A keeper has put the row of what is urgent when somebody takes over, and lives on: its row lands before the
    successor's fence or behind it, and so does what it lets go."""
    world = World(seed, lag=True, gathered=0.0)
    former = await world.take_over()
    await former.feed()
    await former.quiet()
    world.names.add(world.limit("c0", user=USERS[0], lane=Lane.URGENT, expires_at=2**50))
    await former.feed()
    land, looks = former.outbox.land, count()
    later = world.rnd.randint(0, 6)
    former.outbox.land = lambda rnd: land(rnd) if next(looks) >= later else None  # type: ignore[method-assign]
    await world.take_over()
    await finish(world)
    judge(world, void=True)


async def finish(world: World) -> None:
    """Everything that waits becomes due, and a last keeper lets it go."""
    world.dangerous = False
    last = await world.take_over()
    for keeper in world.keepers:
        await keeper.outbox.acknowledge_all()
    for _ in range(30):
        await last.feed()
        await last.pass_time(1_000.0)  # removals beyond the hour's budget wait long
        await last.quiet()
        await last.commit_now(SOURCES)


def judge(world: World, *, void: bool) -> None:
    found: Counter[str] = Counter()
    counted: dict[str, int] = {}
    left: Counter[str] = Counter()
    halves: dict[RemovalScope, Counter[str]] = {each: Counter() for each in (RemovalScope.APPLE, RemovalScope.OTHERS)}
    for sent in world.due(void=void):
        name = (first(sent.headers(), TIMER) or b"").decode()
        if closed_by(name) is not None:
            push = orjson.loads(sent.value() or b"")
            assert push["id"] not in counted, f"{push['id']} left twice"
            counted[push["id"]] = push["data"]["digest_count"]
            continue
        if name.startswith("remove|"):
            push = orjson.loads(sent.value() or b"")
            for half in halves:
                halves[half].update(push["data"]["ids"] if scope_of(push["id"]).covers(half) else ())
        else:
            found["|".join(name.split("|")[:2])] += 1
            left[(first(sent.headers(), LEFT_AS) or b"").decode()] += 1
    assert halves[RemovalScope.APPLE] == halves[RemovalScope.OTHERS], "what some devices take back others show"
    found.update(halves[RemovalScope.APPLE])
    assert found.keys() == world.names | world.shown, f"lost: {(world.names | world.shown) - found.keys()}"
    twice = [name for name, count in found.items() if count > 1]
    assert not twice, f"let go twice: {twice}"
    for user, (got, dropped) in capped(world, void=void).items():
        assert got <= LIMIT, f"{user} got {got}"
        assert got == LIMIT or not dropped, f"{user} got {got}, and a slot is lost"
    del left[""]
    assert dict(left) == counted, "a digest counts what did not leave in it, or not what did"


def capped(world: World, *, void: bool) -> dict[str, tuple[int, int]]:
    """(let go, ended) of what took slots, by user."""
    found: dict[str, tuple[int, int]] = {}
    for each in world.due(void=void):
        if first(each.headers(), PASSED) == b"frequency_cap" or first(each.headers(), CLOSES) == b"frequency_cap":
            ends = first(each.headers(), CLOSES) is not None
            user = (each.produced.key or b"").decode()
            sent, dropped = found.get(user, (0, 0))
            found[user] = (sent + (not ends), dropped + ends)
    return found


async def violation(seeds: Iterable[int], life: Callable[..., Awaitable[None]] = run, **options: Any) -> str | None:
    """What went wrong in the first world where something did."""
    for seed in seeds:
        try:
            await life(seed, **options)
        except AssertionError as error:
            return f"seed {seed}: {error}"
    return None


async def test_every_timer_closes_once_through_crashes_and_zombies() -> None:
    assert await violation(range(WORLDS)) is None


async def test_a_member_that_comes_while_its_digest_leaves_is_counted_in_one() -> None:
    assert await violation(range(WORLDS), late_member) is None


async def test_what_leaves_when_its_row_is_acknowledged_leaves_once_though_somebody_takes_over() -> None:
    assert await violation(range(4 * WORLDS), late_row) is None
    assert await violation(range(WORLDS), limited=0.9) is None


async def test_by_acknowledged_rows_that_a_fence_may_have_made_void_some_leave_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Unbroken, "reaches", lambda *_: True)
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION), late_row) is not None


async def test_who_reads_travels_is_forgotten_or_gets_revisions_loses_no_end_of_a_timer_and_gets_none_twice() -> None:
    """S12, S15, P4."""
    assert await violation(range(WORLDS), noticed=0.7) is None


@pytest.mark.parametrize("rule", ["planned_first", "tail", "note", "inherit", "fenced_at"])
async def test_without_the_rule_some_do_not(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "Firings", partial(Firings, rules=Rules(**{rule: False})))
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION)) is not None


async def test_a_reader_that_ignores_fences_sees_doubles() -> None:
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION), void=False) is not None


async def test_without_the_lag_of_the_topic_compaction_eats_a_timer() -> None:
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION), lag=False) is not None


async def test_without_a_look_at_what_was_taken_before_a_removal_goes_out_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(removals, "taken", lambda *_: set())
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION)) is not None


async def test_with_the_row_closed_before_the_due_record_is_there_a_timer_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rule row_first of the model."""
    close = DueRecords.close

    def close_first(
        self: DueRecords, tenure: KeepTenure, key: bytes, record: DueRecord, put: Put, before: Put | None = None
    ) -> None:
        put(self._outbox.barrier())
        close(self, tenure, key, record, put, before)

    monkeypatch.setattr(DueRecords, "close", close_first)
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION)) is not None


async def test_with_a_digest_that_takes_members_while_it_leaves_it_counts_wrongly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ruling II.13: from its putting on the head is closed, and members beyond `upto` did not leave with it."""
    left = digests.left
    monkeypatch.setattr(called_off, "is_leaving", lambda *_: False)
    monkeypatch.setattr(joining, "is_leaving", lambda *_: False)
    monkeypatch.setattr(digests, "is_open", lambda head, _: head.flushed_at is None)
    monkeypatch.setattr(digests, "left", lambda head, each: left(msgspec.structs.replace(head, upto=1_000), each))
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION), late_member) is not None


async def test_without_the_push_that_a_predecessor_put_a_digest_leaves_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completing, "closed_by", lambda name: (b"", 0, 0) if closed_by(name) else None)
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION), gathered=0.9) is not None


async def test_with_members_that_no_table_has_yet_a_digest_counts_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rows, "gathering", lambda *_: False)
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION), late_member) is not None


async def test_with_the_head_removed_before_its_members_are_closed_some_never_leave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def head_first(
        self: Flushes, tenure: KeepTenure, key: bytes, head: Head, members: list[digests.Member], barrier: Barrier
    ) -> None:
        self._rows.put(tenure, barrier, key, None)
        for member in members:
            self._rows.put(tenure, barrier, member.key, digests.left(head, member))

    monkeypatch.setattr(Flushes, "_close_members", head_first)
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION), gathered=0.9) is not None


async def test_without_the_reservation_a_user_gets_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slot that is taken when its due record is acknowledged: the next ones have left meanwhile."""
    late: dict[tuple[KeepTenure, bytes], Usage] = {}

    def decide(tenure: KeepTenure, key: bytes, row: Usage) -> None:
        late[tenure, key] = row

    def put_decided(self: Rows, tenure: KeepTenure, barrier: Barrier, key: bytes) -> None:
        if (row := late.pop((tenure, key), None)) is not None:
            self.put(tenure, barrier, key, row)

    monkeypatch.setattr(Rows, "decide", staticmethod(decide))
    monkeypatch.setattr(Rows, "put_decided", put_decided)
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION), limited=0.9) is not None


async def test_with_a_slot_without_identity_a_user_gets_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ruling II.11: what is let go again takes the slot that it has."""
    numbers = count()
    monkeypatch.setattr(capping, "slot_id", lambda *_: next(numbers).to_bytes(8, "big"))
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION), limited=0.9) is not None


async def test_without_slots_for_what_a_predecessor_let_go_a_user_gets_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The slot of a zombie may be void, and its due record not: the table is fenced first."""
    monkeypatch.setattr(capping.Capping, "left", lambda *_: None)
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION), limited=0.9) is not None


async def test_with_a_cancel_that_reaches_what_has_left_it_ends_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    def cancelled(timer: Timer | None) -> Timer | None:
        return None if timer is None else msgspec.structs.replace(rules.closed_as(timer, "cancelled"), closed_at=None)

    monkeypatch.setattr(rules, "cancelled", cancelled)
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION)) is not None


async def test_with_a_change_of_zone_that_reaches_what_has_left_it_leaves_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def looked_at_again(timer: Timer | None) -> Timer | None:
        if timer is None or not timer.zoned:
            return None
        return msgspec.structs.replace(timer, due_at=rules.AT_ONCE, closed_at=None)

    monkeypatch.setattr(Rows, "waiting_of", Rows.timers_of)
    monkeypatch.setattr(rules, "looked_at_again", looked_at_again)
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION), noticed=0.7) is not None


async def test_without_a_second_look_at_a_revision_what_it_replaced_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keeper that is killed between the two rows of a revision has written the first alone."""
    monkeypatch.setattr(Revising, "is_known", lambda *_: False)
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION), noticed=0.7) is not None
