"""KEEP through crashes, zombies, cancels and compaction: every timer closes by one due record that counts.

The model of reference/time.md (probes/schedule_model.py) with three lanes' sources, driving the real stage and the real
hand-over: S17 and S18 in many worlds.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from functools import partial

import orjson
import pytest

from pushcast.handover.rules import Rules
from pushcast.keep import exact, release, removals
from pushcast.keep.firings import Firings
from pushcast.model.words import Lane
from pushcast.wire.headers import first
from pushcast.wire.held import TIMER
from twins.keep import SOURCES, T0, USERS, Keeper, KeepWorld

WORLDS = 40
MOST_WORLDS_TO_A_VIOLATION = 600


class World(KeepWorld):
    """Timers of two users, some with one id twice."""

    def __init__(self, seed: int, *, lag: bool) -> None:
        super().__init__(seed)
        self.lag = lag
        self.dangerous = True
        self.names: set[str] = set()
        self.shown: set[str] = set()  # what is to be taken back, each by one push

    def write(self) -> None:
        rnd = self.rnd
        user, note_id = rnd.choice(USERS[:2]), f"n{rnd.randint(0, 5)}"
        if rnd.random() < 0.25:
            self.cancel(note_id, user=user)
            return
        if rnd.random() < 0.15:
            shown = f"shown-{len(self.shown)}"
            self.shown.add(shown)
            self.cancel(shown, user=user, remove=True)
            return
        due_at = T0 + rnd.choice((0, 2_000, 10_000, 30_000))
        self.names.add(self.hold(note_id, due_at, user=user, lane=rnd.choice(list(Lane))))

    def maybe_compact(self, owner: Keeper) -> None:
        """With the lag of the topic, nothing is compacted that an owner has not yet had the time to heal."""
        healed = not owner.outbox.pending and not owner.stage.release._unhealed(owner.stage._tenures.of(_USER))
        if healed or not self.lag:
            self.compact()


_USER = next(iter(SOURCES))._replace(topic="push.user.v1")


async def run(seed: int, *, void: bool = True, lag: bool = True) -> None:
    world = World(seed, lag=lag)
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
    world.dangerous = False
    last = await world.take_over()
    for keeper in world.keepers:
        await keeper.outbox.acknowledge_all()
    for _ in range(30):
        await last.feed()
        await last.pass_time(1_000.0)  # removals beyond the hour's budget wait long
        await last.quiet()
        await last.commit_now(SOURCES)
    judge(world, void=void)


def judge(world: World, *, void: bool) -> None:
    found: Counter[str] = Counter()
    for sent in world.due(void=void):
        name = (first(sent.headers(), TIMER) or b"").decode()
        if name.startswith("remove|"):
            found.update(orjson.loads(sent.value() or b"")["data"]["ids"])
        else:
            found["|".join(name.split("|")[:2])] += 1
    assert found.keys() == world.names | world.shown, f"lost: {(world.names | world.shown) - found.keys()}"
    twice = [name for name, count in found.items() if count > 1]
    assert not twice, f"let go twice: {twice}"


async def violation(seeds: Iterable[int], **options: bool) -> str | None:
    """What went wrong in the first world where something did."""
    for seed in seeds:
        try:
            await run(seed, **options)
        except AssertionError as error:
            return f"seed {seed}: {error}"
    return None


async def test_every_timer_closes_once_through_crashes_and_zombies() -> None:
    assert await violation(range(WORLDS)) is None


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
    monkeypatch.setattr(removals, "is_taken", lambda *_: False)
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION)) is not None


async def test_with_the_row_closed_before_the_due_record_is_there_a_timer_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rule row_first of the model."""
    fire = release.Release._fire

    def close_first(self: release.Release, tenure: object, key: bytes, timer: object, now_ms: int) -> None:
        self._let_go(tenure, key, timer, self._exact.begin(tenure.number))  # type: ignore[attr-defined, arg-type]
        fire(self, tenure, key, timer, now_ms)  # type: ignore[arg-type]

    monkeypatch.setattr(release.Release, "_fire", close_first)
    assert await violation(range(MOST_WORLDS_TO_A_VIOLATION)) is not None
