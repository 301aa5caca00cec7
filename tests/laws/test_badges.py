"""Badges through crashes and zombies: what a device shows in the end is what it got and its user has not read (B2)."""

from __future__ import annotations

import random
from collections.abc import Iterable

import orjson
import pytest

from pushcast.keep import badges
from pushcast.model.words import Lane
from pushcast.wire.answers.counted import Counted
from pushcast.wire.headers import first
from pushcast.wire.waiting.badge_rows import badge_key, readable_badge
from pushcast.wire.waiting.held import CLOSES, released_of
from twins.keep import SOURCES, T0, USERS, Keeper, KeepWorld

WORLDS = 25
MOST_WORLDS_TO_A_VIOLATION = 400
ANN = USERS[0]
THREADS = ("t1", "t2", "t3")
BEGAN = T0 - 1_000


class World(KeepWorld):
    """One user, whose notifications count one each, and who reads some of them."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.dangerous = True
        self.sent: list[str] = []
        self.threads: dict[str, str] = {}
        self.was_read: set[str] = set()
        self.failed: set[str] = set()

    def write(self) -> None:
        rnd, dice = self.rnd, self.rnd.random()
        if self.sent and dice < 0.25:
            name = rnd.choice(self.sent)
            self.was_read.add(name)
            self.engage("read", ids=[name])
        elif dice < 0.35:
            thread = rnd.choice(THREADS)
            self.was_read.update(name for name in self.sent if self.threads[name] == thread)
            self.engage("read", thread=thread, up_to=BEGAN + len(self.sent))
        elif dice < 0.5 and (left := [name for name in self.left() if not name.startswith("badge:")]):
            name = rnd.choice(left)
            self.failed.add(name)
            told = [self.word(name, planned=2), self.word(name, b"device-1"), self.word(name, b"device-2")]
            for word in rnd.sample([*told, *told[:2]], 5):
                self.count(word)
        else:
            name = f"n{rnd.getrandbits(40):x}"  # timers of one time leave in the order of their names
            self.sent.append(name)
            self.threads[name] = rnd.choice(THREADS)
            options = {"badge": "+1", "thread_id": self.threads[name]}
            event = orjson.dumps({"id": name, "app": "news", "options": options, "created_at": BEGAN + len(self.sent)})
            due_at = T0 + rnd.choice((0, 0, 2_000))
            self.hold(name, due_at, user=ANN, lane=Lane.NORMAL, badge="+1", event=event)

    def left(self) -> list[str]:
        """Ids of what was let go to be sent."""
        return [orjson.loads(each.value() or b"")["id"] for each in self.due() if not first(each.headers(), CLOSES)]

    @staticmethod
    def word(name: str, about: bytes = b"account1", planned: int | None = None) -> Counted:
        """What a planner tells, or a sender of a device that did not get it."""
        return Counted(name, "news", "chat", about, T0, planned=planned)


async def run(seed: int) -> None:
    world = World(seed)
    rnd: random.Random = world.rnd
    world.write()  # from then on the keeper knows that this user has a badge
    current = await world.take_over()
    await current.feed()
    await current.quiet()
    for _ in range(rnd.randint(20, 80)):
        dice = rnd.random()
        if dice < 0.12:
            if dice < 0.06:
                current.die()
            current = await world.take_over()
        elif dice < 0.25:
            world.write()
        elif dice < 0.4:
            await current.feed(rnd.randint(1, 3))
        elif dice < 0.55:
            await advance(world, rnd.choice((0.5, 3.0, 31.0)))
        elif dice < 0.65:
            await current.commit_now([rnd.choice(SOURCES)])
        elif dice < 0.8:
            rnd.choice(world.keepers[-2:]).table.tail(rnd.choice((1, 3, None)))
            await current.let_run()
        else:
            rnd.choice(world.keepers[-3:]).outbox.land(rnd)
            await current.let_run()
    world.dangerous = False
    last = await world.take_over()
    for keeper in world.keepers:
        await keeper.outbox.acknowledge_all()
    for _ in range(12):
        await last.feed()
        await advance(world, 1_000)
        await last.quiet()
        await last.commit_now(SOURCES)
    judge(world, last)


async def advance(world: World, seconds: float) -> None:
    world.clock.advance(seconds)
    for keeper in world.keepers[-2:]:
        if keeper.alive:
            await keeper.pass_time(seconds)


def judge(world: World, last: Keeper) -> None:
    closed = [orjson.loads(each.value() or b"")["id"] for each in world.due() if first(each.headers(), CLOSES)]
    assert set(closed) <= world.was_read, "only what was read before it left does not leave"
    due = [each for each in world.due() if not first(each.headers(), CLOSES)]
    ids = [orjson.loads(each.value() or b"")["id"] for each in due]
    alone = [note_id for note_id in ids if note_id.startswith("badge:")]
    assert len(alone) == len(set(alone)), "a push for the number left twice"
    assert len(due) - len(alone) + len(closed) == len(world.sent), "one that counts was lost, or left twice"
    unread = len(set(world.sent) - world.was_read - world.failed)
    value = last.table.rows.get(badge_key(ANN, "news"))
    badge = None if value is None else readable_badge(value)
    if badge is None:
        assert not world.sent
        return
    assert badge.number == unread, f"{badge.number} counted, {unread} unread"
    shown = [number for each in due if (number := number_in(each)) is not None]
    assert shown[-1] == unread, f"the device shows {shown[-1]}, {unread} are unread"


def number_in(sent: object) -> int | None:
    """What a push puts on the icon: counted by the keeper, or of a push for the number alone."""
    counted = released_of(sent.headers()).badge  # type: ignore[attr-defined]
    number: int | None = orjson.loads(sent.value() or b"")["options"].get("badge") if counted is None else counted  # type: ignore[attr-defined]
    return number


async def violation(seeds: Iterable[int]) -> str | None:
    """What went wrong in the first world where something did."""
    for seed in seeds:
        try:
            await run(seed)
        except AssertionError as error:
            return f"seed {seed}: {error}"
    return None


async def test_b2_what_a_device_shows_in_the_end_is_what_was_not_read() -> None:
    assert await violation(range(WORLDS)) is None


async def test_without_a_look_at_what_counts_already_one_counts_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(badges, "_has", lambda *_: False)
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION)) is not None


@pytest.mark.parametrize("rule", ["told", "read_thread"])
async def test_without_word_of_what_failed_or_of_threads_the_number_is_too_high(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(badges, rule, lambda badge, *_: badge)
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION)) is not None
