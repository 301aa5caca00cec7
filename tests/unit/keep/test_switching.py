"""A thread that is switched off while a member of a digest waits: facts P1 and D4 of reference/time.md."""

from __future__ import annotations

import pytest

from pushcast.keep import switching
from pushcast.keep.joining import Joining
from pushcast.model.words import Lane
from pushcast.wire.waiting.notices import NoticeKind, ThreadsOff, thread_name
from unit.keep.test_gathering import Gathering

T1 = frozenset([thread_name("t1")])


class Switched(Gathering):
    """A user switches threads."""

    async def switch(self, **off: frozenset[bytes]) -> None:
        """`off`: by app; `rest`: in all others."""
        named: ThreadsOff = {"" if app == "rest" else app: names for app, names in off.items()}
        self.notice(NoticeKind.THREADS_SWITCHED, off=named)
        await self.settle()


async def gathered() -> Switched:
    """Two of one thread and two of others wait."""
    world = Switched()
    await world.start()
    await world.come("a", thread="t1")
    await world.come("b", thread="t2")
    await world.come("c", thread="t1")
    await world.come("d")
    return world


async def test_p1_a_member_whose_thread_is_off_is_not_shown_and_ends_as_opted_out() -> None:
    world = await gathered()
    await world.switch(rest=T1)
    await world.pass_minutes(10)
    [push] = world.pushes()
    assert push["data"] == {"digest_ids": ["b", "d"], "digest_count": 2}
    digest = push["id"]
    ends = [("a", "opted_out", ""), ("b", "digested", digest), ("c", "opted_out", ""), ("d", "digested", digest)]
    assert sorted(world.endings()) == ends


async def test_p1_a_thread_that_is_on_again_by_then_is_shown() -> None:
    world = await gathered()
    await world.switch(rest=T1)
    await world.switch(rest=frozenset())
    await world.pass_minutes(10)
    assert [push["data"]["digest_count"] for push in world.pushes()] == [4]


async def test_p1_where_one_member_is_left_it_leaves_as_itself_and_of_none_nothing_leaves() -> None:
    world = Switched()
    await world.start()
    await world.come("a", thread="t1")
    await world.come("b", thread="t2")
    await world.switch(rest=T1)
    await world.pass_minutes(10)
    assert [push["id"] for push in world.pushes()] == ["b"]
    assert world.endings() == [("a", "opted_out", "")]
    world = Switched()
    await world.start()
    await world.come("a", "b", thread="t1")
    await world.switch(rest=T1)
    await world.pass_minutes(10)
    assert (world.pushes(), sorted(world.endings())) == ([], [("a", "opted_out", ""), ("b", "opted_out", "")])


async def test_p1_an_apps_own_word_on_a_thread_counts_before_that_for_all_apps() -> None:
    world = await gathered()
    await world.switch(rest=T1, news=frozenset())
    await world.pass_minutes(10)
    assert [push["data"]["digest_count"] for push in world.pushes()] == [4]


@pytest.mark.parametrize(("off", "count"), [({"rest": T1}, 1), ({"rest": T1, "news": frozenset()}, 2)])
async def test_p1_one_for_all_apps_is_off_where_each_of_them_has_it_off(
    off: dict[str, frozenset[bytes]], count: int
) -> None:
    world = Switched()
    await world.start()
    await world.come("a", thread="t1", app=None)
    await world.come("b", "c", thread="t2", app=None)
    await world.switch(**off)
    await world.pass_minutes(10)
    [push] = world.pushes()
    assert push["data"]["digest_count"] == 1 + count


async def test_p1_a_mandatory_class_is_shown_whatever_is_off() -> None:
    world = Switched()
    world.mandatory = frozenset(["posts"])
    await world.start()
    await world.come("a", "b", thread="t1")
    await world.switch(rest=T1)
    await world.pass_minutes(10)
    assert [push["data"]["digest_count"] for push in world.pushes()] == [2]


async def test_p1_what_a_planner_judged_before_joins_as_one_that_is_not_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its lane was behind, or the planner's copy of the preferences was."""

    async def ends() -> list[tuple[str, str, str]]:
        world = Switched()
        await world.start()
        await world.switch(rest=T1)
        await world.come("a", thread="t1", lane=Lane.BULK)
        await world.come("b", thread="t2")
        await world.pass_minutes(10)
        return world.endings()

    assert await ends() == [("a", "opted_out", "")]
    monkeypatch.setattr(switching, "MAX_USERS", 0)
    assert {word for _, word, _ in await ends()} == {"digested"}


async def test_p1_a_digest_that_has_left_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    async def counted_and_ended() -> tuple[int, list[str]]:
        world = Switched()
        keeper = await world.start()
        await world.come("a", thread="t1")
        await world.come("b", thread="t2")
        world.clock.advance(600)
        await keeper.pass_time(600)
        keeper.outbox.acknowledge()  # the push is there, and its members are not closed yet
        await world.switch(rest=T1)
        await world.pass_minutes(1)
        return world.pushes()[0]["data"]["digest_count"], sorted(word for _, word, _ in world.endings())

    assert await counted_and_ended() == (2, ["digested", "digested"])
    monkeypatch.setattr(Joining, "leaves", lambda *_: False)
    assert await counted_and_ended() != (2, ["digested", "digested"])


async def test_p1_a_successor_knows_who_was_switched_off() -> None:
    world = await gathered()
    await world.switch(rest=T1)
    world.keeper.die()
    await world.start()
    await world.pass_minutes(10)
    assert [push["data"]["digest_ids"] for push in world.pushes()] == [["b", "d"]]
