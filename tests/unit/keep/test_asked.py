"""What apps ask of what waits: A5 (`flush`) and A6 (`active`) of reference/time.md, at the keeper."""

from __future__ import annotations

import json

import msgspec
import pytest

from pushcast.keep.asked import AppsAsking
from pushcast.wire.headers import first
from pushcast.wire.waiting.held import CLOSES
from twins.keep import T0, USERS, KeepWorld, keeper_of, told

BOB = USERS[1]


def left(world: KeepWorld) -> list[str]:
    """Ids of what was let go to be sent, in order."""
    return [json.loads(each.value() or b"")["id"] for each in world.due() if first(each.headers(), CLOSES) is None]


async def test_a5_a_digest_that_is_asked_for_leaves_before_its_time_and_what_comes_later_opens_the_next() -> None:
    world = KeepWorld()
    world.gather("a")
    world.gather("b")
    keeper = await keeper_of(world)
    assert left(world) == []
    world.engage("flush")
    await told(keeper, 1)
    [push] = left(world)
    assert push.startswith("digest:")
    world.gather("c")
    world.gather("d")
    await told(keeper, 10)
    assert len(left(world)) == 1
    await told(keeper, 600)
    assert len(left(world)) == 2
    assert keeper.counters["digests_asked", ""] == 1


async def test_a5_of_another_app_class_or_user_nothing_leaves() -> None:
    world = KeepWorld()
    world.gather("a")
    world.gather("b")
    world.gather("c", user=BOB)
    keeper = await keeper_of(world)
    world.engage("flush", **{"class": "likes"})
    world.engage("flush", app="chat")
    await told(keeper, 1)
    assert left(world) == []
    world.engage("flush", user=BOB, **{"class": "posts"})
    await told(keeper, 1)
    assert left(world) == ["c"], "a digest of one is the notification itself"


async def test_a5_asked_again_after_a_kill_it_lets_nothing_go_that_was_gathered_since() -> None:
    world = KeepWorld()
    world.gather("a")
    keeper = await keeper_of(world)
    world.engage("flush", at=world.clock.now_ms())
    await told(keeper, 1)
    world.gather("b")
    await told(keeper, 1)
    keeper.die()  # nothing is committed: the word comes again
    successor = await keeper_of(world)
    await told(successor, 1)
    assert left(world) == ["a"]
    await told(successor, 600)
    assert left(world) == ["a", "b"]


async def test_a6_who_is_not_there_gets_at_once_what_would_wait_to_be_read() -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    await told(keeper, 121)  # of whom it has heard nothing is not there
    world.engage("active", device="d-1", until=world.clock.now_ms() + 300_000)
    await told(keeper)
    for user in (USERS[0], BOB):
        world.hold(f"to {user}", world.clock.now_ms() + 60_000, user=user, if_active="news", event=event(user))
    world.hold("other", world.clock.now_ms() + 60_000, user=BOB, event=event("other"))
    await told(keeper)
    assert left(world) == [BOB]
    await told(keeper, 60)
    assert (left(world)[0], sorted(left(world)[1:])) == (BOB, sorted(["other", USERS[0]]))


async def test_a6_a_keeper_that_has_just_begun_lets_all_wait_because_it_knows_of_nobody() -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    world.hold("n", T0 + 60_000, if_active="news", event=event("n"))
    await told(keeper)
    assert left(world) == []
    await told(keeper, 60)
    assert left(world) == ["n"]


async def test_a6_an_app_that_leaves_the_front_says_so() -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    await told(keeper, 121)
    now_ms = world.clock.now_ms()
    world.engage("active", device="d-1")
    world.engage("active", device="d-1", at=now_ms, until=now_ms)
    await told(keeper)
    world.hold("n", now_ms + 60_000, if_active="news", event=event("n"))
    await told(keeper)
    assert left(world) == ["n"]


async def test_without_a_look_at_when_a_digest_was_opened_the_next_one_would_leave_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def flush(self: AppsAsking, tenure: object, barrier: object, engagement: object) -> None:
        later = msgspec.structs.replace(engagement, at=2**60)  # type: ignore[type-var]
        plain(self, tenure, barrier, later)  # type: ignore[arg-type]

    plain = AppsAsking._flush
    monkeypatch.setattr(AppsAsking, "_flush", flush)
    with pytest.raises(AssertionError):
        await test_a5_asked_again_after_a_kill_it_lets_nothing_go_that_was_gathered_since()


def event(name: str) -> bytes:
    return json.dumps({"id": name, "app": "news", "title": "t"}).encode()
