"""The number on an icon, through the keeper: facts B1 and B2 of reference/time.md."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pushcast.wire.answers.counted import Counted
from pushcast.wire.waiting.held import released_of
from twins.keep import T0, USERS, KeepWorld, keeper_of, told

ANN, BOB = USERS[:2]


def numbers(world: KeepWorld) -> list[int | None]:
    """Of what was let go."""
    return [released_of(each.headers()).badge for each in world.due()]


def alone(world: KeepWorld) -> list[dict[str, Any]]:
    """Pushes for the number alone."""
    events = [orjson.loads(each.value() or b"") for each in world.due()]
    return [event for event in events if event["id"].startswith("badge:")]


async def test_b1_three_that_add_one_are_one_two_three_however_close_they_come() -> None:
    world = KeepWorld()
    for name in "abc":
        world.hold(name, badge="+1")
    keeper = await keeper_of(world)
    assert sorted(filter(None, numbers(world))) == [1, 2, 3]
    world.hold("d", badge="7")
    await told(keeper)
    world.hold("e", badge="+1")
    await told(keeper)
    assert numbers(world)[-2:] == [7, 8]


async def test_b1_what_was_read_elsewhere_is_put_right_by_a_push_of_its_own_and_once() -> None:
    world = KeepWorld()
    for name in "abc":
        world.hold(name, badge="+1")
    keeper = await keeper_of(world)
    world.engage("read", ids=["b"])
    await told(keeper, 29.999)
    assert alone(world) == []
    await told(keeper, 0.001)
    [push] = alone(world)
    assert (push["class"], push["app"]) == ("badge", "news")
    assert push["options"] == {"badge": 2, "priority": "normal", "collapse_id": "badge"}
    assert push["data"] == {"event": "badge", "badge": 2}
    world.engage("read", ids=["b"])
    await told(keeper, 60)
    assert len(alone(world)) == 1


async def test_another_push_takes_the_number_along() -> None:
    world = KeepWorld()
    for name in "ab":
        world.hold(name, badge="+1")
    keeper = await keeper_of(world)
    world.engage("read", ids=["a"])
    await told(keeper, 10)
    world.hold("c", badge="+1")
    await told(keeper, 60)
    assert numbers(world) == [1, 2, 2]
    assert alone(world) == []


async def test_an_app_that_resets_its_icon_is_not_told_and_counts_from_there() -> None:
    world = KeepWorld()
    for name in "ab":
        world.hold(name, badge="+1")
    keeper = await keeper_of(world)
    world.engage("badge", count=0)
    await told(keeper, 60)
    assert alone(world) == []
    world.hold("c", badge="+1")
    await told(keeper)
    assert numbers(world)[-1] == 1


async def test_what_is_called_off_or_opened_counts_no_more() -> None:
    world = KeepWorld()
    for name in "abc":
        world.hold(name, badge="+1")
    keeper = await keeper_of(world)
    world.cancel("a")
    world.engage("opened", ids=["b"], device="d-1")
    await told(keeper, 30)
    assert [push["options"]["badge"] for push in alone(world)] == [1]


def chat(name: str, thread: str | None, created_at: int = T0 - 5) -> bytes:
    return orjson.dumps({"id": name, "app": "news", "options": {"thread_id": thread}, "created_at": created_at})


async def test_a8_a_thread_that_is_read_elsewhere_counts_no_more_up_to_where_it_was_read() -> None:
    world = KeepWorld()
    notes = {"a": ("t1", T0 - 9), "b": ("t1", T0 - 3), "c": ("t2", T0 - 9), "d": (None, T0 - 9)}
    for name, (thread, created_at) in notes.items():
        world.hold(name, badge="+1", event=chat(name, thread, created_at))
    keeper = await keeper_of(world)
    world.engage("read", thread="t1", up_to=T0 - 5)
    await told(keeper, 30)
    assert [push["options"]["badge"] for push in alone(world)] == [3]
    world.cancel(app="news", thread="t2")
    await told(keeper, 30)
    assert [push["options"]["badge"] for push in alone(world)] == [3, 2]
    keeper.die()
    successor = await keeper_of(world)
    await told(successor, 60)
    assert len(alone(world)) == 2, "read again after a kill, it changes nothing"


async def test_a8_what_cannot_be_read_by_this_release_counts_as_of_no_thread() -> None:
    world = KeepWorld()
    world.hold("a", badge="+1", event=b"\xc3\x01 later")
    keeper = await keeper_of(world)
    world.engage("read", thread="t1", up_to=T0)
    await told(keeper, 60)
    assert numbers(world) == [1]


def planned(name: str, deliveries: int) -> Counted:
    return Counted(name, "news", "chat", b"account1", T0, planned=deliveries)


def ended(name: str, device: int, *, accepted: bool) -> Counted:
    return Counted(name, "news", "chat", device.to_bytes(8, "big"), T0, accepted=accepted)


async def test_a8_what_expired_on_all_devices_counts_no_more_and_is_put_right_once() -> None:
    world = KeepWorld()
    for name in "ab":
        world.hold(name, badge="+1")
    keeper = await keeper_of(world)
    world.count(planned("a", 2))
    world.count(planned("b", 2))
    world.count(ended("a", 1, accepted=False))
    world.count(ended("b", 1, accepted=False))
    world.count(ended("b", 2, accepted=True))
    await told(keeper, 60)
    assert alone(world) == [], "one of a's deliveries is still under way, and b has reached a device"
    keeper.die()  # nothing was committed: what senders told comes again
    successor = await keeper_of(world)
    world.count(ended("a", 2, accepted=False))
    await told(successor, 60)
    assert [push["options"]["badge"] for push in alone(world)] == [1]
    assert successor.counters["badges", "failed"] == 1
    world.hold("c", badge="+1")
    await told(successor, 60)
    assert numbers(world)[-1] == 2


async def test_a8_what_nobody_counts_changes_no_badge() -> None:
    world = KeepWorld()
    world.hold("a", badge="+1")
    keeper = await keeper_of(world)
    world.count(planned("other", 0))
    world.count(planned("a", 0), user=BOB)
    await told(keeper, 60)
    assert alone(world) == []
    world.count(planned("a", 0))
    await told(keeper, 60)
    assert [push["options"]["badge"] for push in alone(world)] == [0]


async def test_no_hour_has_more_than_two_pushes_for_the_number_alone() -> None:
    world = KeepWorld()
    for name in "abcde":
        world.hold(name, badge="+1")
    keeper = await keeper_of(world)
    for name in "abcd":
        world.engage("read", ids=[name])
        await told(keeper, 60)
    assert [push["options"]["badge"] for push in alone(world)] == [4, 3]
    await told(keeper, 3_600)
    assert [push["options"]["badge"] for push in alone(world)] == [4, 3, 1]


async def test_one_that_is_just_leaving_counts_among_the_two_of_the_hour() -> None:
    world = KeepWorld()
    for name in "abcde":
        world.hold(name, badge="+1")
    keeper = await keeper_of(world)
    world.engage("read", ids=["a"])
    await told(keeper, 60)
    world.engage("read", ids=["b"])
    await told(keeper)
    world.clock.advance(60)
    await keeper.pass_time(60)  # nothing is acknowledged yet
    world.engage("read", ids=["c"])
    await keeper.feed()
    await told(keeper, 600)
    assert [push["options"]["badge"] for push in alone(world)] == [4, 3]
    await told(keeper, 3_600)
    assert [push["options"]["badge"] for push in alone(world)] == [4, 3, 2]


async def test_b2_the_number_that_was_counted_last_leaves_last_whoever_lets_it_go() -> None:
    """Timers of one time leave in the order of their names, which is not the order in which they were counted."""
    world = KeepWorld()
    keeper = await keeper_of(world)
    for name in "za":
        world.hold(name, badge="+1")
    await keeper.feed()
    for _ in range(2):  # the table knows of the first one; it is counted, and then of the second one
        await keeper.outbox.acknowledge_all()
        keeper.table.tail(1)
        await keeper.let_run()
    await keeper.outbox.acknowledge_all()
    keeper.die()
    await keeper_of(world)
    assert numbers(world) == [1, 2]


async def test_each_user_has_a_number() -> None:
    world = KeepWorld()
    world.hold("a", badge="+1")
    world.hold("a", badge="+1", user=BOB)
    await keeper_of(world)
    assert numbers(world) == [1, 1]


async def test_what_is_called_off_before_it_is_let_go_does_not_count() -> None:
    world = KeepWorld()
    world.hold("a", T0 + 60_000, badge="+1")
    keeper = await keeper_of(world)
    world.cancel("a")
    await told(keeper)
    world.hold("b", badge="+1")
    await told(keeper)
    assert numbers(world) == [None, 1]


@pytest.mark.parametrize("turns", range(20))
async def test_b2_a_keeper_that_is_killed_sends_one_push_for_the_number_with_the_right_one(turns: int) -> None:
    world = KeepWorld(seed=turns)
    for name in "abc":
        world.hold(name, badge="+1")
    keeper = await keeper_of(world)
    world.engage("read", ids=["b"])
    await told(keeper, 30 if turns % 2 else 0)
    keeper.clock.advance(31)
    world.clock.advance(31)
    keeper.timers.fire()
    for _ in range(turns):
        keeper.outbox.land(world.rnd)
        keeper.table.tail(world.rnd.choice((1, None)))
        await keeper.let_run()
    keeper.die()
    successor = await keeper_of(world)
    await told(successor, 60)
    assert [push["options"]["badge"] for push in alone(world)] == [2]
    world.hold("d", badge="+1")
    await told(successor, 60)
    assert numbers(world)[-1] == 3
    assert len(alone(world)) == 1


async def test_a_read_that_is_not_valid_is_a_dead_letter() -> None:
    world = KeepWorld()
    world.engage("read")
    keeper = await keeper_of(world)
    assert [each.topic for each in world.log if each.topic.endswith(".dlq")] == ["push.engagement.v1.dlq"]
    assert keeper.counters["dead_letters", "invalid_field"] == 1
