"""What waits of a cancelled campaign ends, and what is shown is taken back (A2 of reference/time.md)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pushcast.keep import campaign_ends
from pushcast.model.words import Reason
from pushcast.wire.control.control import CampaignCancel
from pushcast.wire.headers import first
from pushcast.wire.waiting.facts import Facts
from pushcast.wire.waiting.held import CLOSES
from twins.keep import T0, USERS, Keeper, KeepWorld, keeper_of, told

ANN = USERS[0]
TAKES_BACK = CampaignCancel(remove=True)


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaign_ends, "SLICE_ROWS", 2)


def pushes(world: KeepWorld) -> list[tuple[str, list[str]]]:
    """(user, ids) of what takes something back, by user."""
    found = [(each.produced.key or b"", orjson.loads(each.value() or b"")) for each in world.due()]
    return sorted((user.decode(), event["data"]["ids"]) for user, event in found)


async def cancel(keeper: Keeper, name: str = "xmas", how: CampaignCancel = TAKES_BACK) -> None:
    keeper.cancels.state.campaigns = {**keeper.cancels.state.campaigns, name: how}
    keeper.cancels.state._tell(None, frozenset())
    await told(keeper, 30)


async def shown(**options: Any) -> tuple[KeepWorld, Keeper]:
    """All users have got one of the campaign, and one of none."""
    world = KeepWorld()
    for user in USERS:
        world.offer("mine", "d-1", "m1", user=user, campaign="xmas", **options)
        world.offer("other", "d-1", user=user)
    world.offer("spring", "d-1", user=ANN, campaign="spring")
    return world, await keeper_of(world)


async def test_a2_what_devices_show_of_a_campaign_is_taken_back_of_all_users_and_nothing_else() -> None:
    world, keeper = await shown()
    await cancel(keeper)
    assert pushes(world) == sorted((user, ["mine"]) for user in USERS)
    [event] = [orjson.loads(each.value() or b"") for each in world.due() if each.produced.key == ANN.encode()]
    assert (event["app"], event["class"]) == ("news", "remove")
    assert event["platforms"]["webpush"]["recall"] == [{"device": "d-1", "message": "m1"}]
    await told(keeper, 3_600)
    assert len(pushes(world)) == len(USERS)


async def test_a2_a_cancel_without_remove_takes_nothing_back_and_one_with_a_time_what_was_created_in_it() -> None:
    world, keeper = await shown(created_at=T0 - 9)
    await cancel(keeper, how=CampaignCancel())
    await cancel(keeper, how=CampaignCancel(since_ms=T0 - 8, remove=True))
    await cancel(keeper, how=CampaignCancel(until_ms=T0 - 9, remove=True))
    assert pushes(world) == []
    await cancel(keeper, how=CampaignCancel(since_ms=T0 - 9, until_ms=T0 - 8, remove=True))
    assert len(pushes(world)) == len(USERS)


async def test_c4_what_a_provider_accepts_after_the_cancel_is_taken_back_too() -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    await cancel(keeper)
    world.offer("late", "d-1", campaign="xmas")
    world.offer("late", "d-2", campaign="xmas")
    world.offer("other", "d-1", campaign="spring")
    await told(keeper, 30)
    assert pushes(world) == [(ANN, ["late"])]


async def test_b1_what_is_taken_back_with_its_campaign_counts_no_more() -> None:
    world = KeepWorld()
    for name in ("mine", "other"):
        world.hold(name, badge="+1")
        world.offer(name, "d-1", campaign="xmas" if name == "mine" else None)
    keeper = await keeper_of(world)
    await cancel(keeper)
    await told(keeper, 60)
    events = [orjson.loads(each.value() or b"") for each in world.due()]
    assert [event["options"]["badge"] for event in events if event["id"].startswith("badge:")] == [1]
    await cancel(keeper, how=CampaignCancel(remove=True, comment="once more"))
    await told(keeper, 60)
    assert len(world.due()) == len(events)


@pytest.mark.parametrize("turns", range(0, 12, 2))
async def test_a2_a_keeper_that_is_killed_on_the_way_leaves_the_rest_to_its_successor(turns: int) -> None:
    world, keeper = await shown()
    await keeper.commit_now(keeper.partitions())
    keeper.cancels.state.campaigns = {"xmas": TAKES_BACK}
    keeper.cancels.state._tell(None, frozenset())
    for _ in range(turns):
        keeper.outbox.land(world.rnd)
        keeper.table.tail(1)
        await keeper.let_run()
    keeper.die()
    successor = await keeper_of(world)
    await cancel(successor)
    await told(successor, 3_600)
    assert pushes(world) == sorted((user, ["mine"]) for user in USERS)


async def test_without_a_look_at_what_is_in_flight_the_newest_would_stay_on_their_devices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Offers that came before the cancel, and that the table does not know yet."""

    async def in_flight() -> int:
        world = KeepWorld()
        keeper = await keeper_of(world)
        world.offer("mine", "d-1", campaign="xmas")
        await keeper.feed()
        keeper.cancels.state.campaigns = {"xmas": TAKES_BACK}
        keeper.cancels.state._tell(None, frozenset())
        await keeper.let_run()
        await told(keeper, 30)
        return len(pushes(world))

    assert await in_flight() == 1
    monkeypatch.setattr("pushcast.stream.overlay.Overlay.keys", lambda _: [])
    assert await in_flight() == 0


async def test_without_forgetting_what_was_asked_for_it_would_be_asked_for_by_every_owner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pushcast.wire.waiting.recallable.Recallable.without", lambda row, _: row)
    world, keeper = await shown()
    await cancel(keeper)
    await keeper.commit_now(keeper.partitions())
    keeper.die()
    successor = await keeper_of(world)
    await cancel(successor)
    await told(successor, 3_600)
    assert len(pushes(world)) > len(USERS)


def of_campaign(name: str, campaign: str | None = "xmas", created_at: int = T0 - 9) -> bytes:
    return orjson.dumps({"id": name, "title": "t", "campaign": campaign, "created_at": created_at})


def ended(world: KeepWorld) -> list[tuple[str, str]]:
    """(id, how it ends) of everything that was let go."""
    found = [(orjson.loads(each.value() or b"")["id"], first(each.headers(), CLOSES) or b"") for each in world.due()]
    return sorted((note_id, word.decode()) for note_id, word in found)


async def test_a2_what_waits_of_a_cancelled_campaign_ends_at_once_and_leaves_no_more_when_the_cancel_ends() -> None:
    world = KeepWorld()
    for user in USERS:
        world.hold("mine", T0 + 86_400_000, user=user, event=of_campaign("mine"))
        world.hold("other", T0 + 86_400_000, user=user, event=of_campaign("other", "spring"))
        world.hold("none", T0 + 86_400_000, user=user, event=of_campaign("none", None))
    world.hold("early", T0 + 86_400_000, event=of_campaign("early", created_at=T0 - 99))
    world.hold("strange", T0 + 86_400_000, event=b"\xc3\x01 later")
    keeper = await keeper_of(world)
    await cancel(keeper, how=CampaignCancel(since_ms=T0 - 10))
    assert ended(world) == [("mine", "cancelled")] * len(USERS)
    keeper.cancels.state.campaigns = {}
    await told(keeper, 60)
    assert len(world.due()) == len(USERS)


async def test_a2_a_member_of_a_digest_leaves_it_with_its_campaign() -> None:
    world = KeepWorld()
    facts = Facts(Reason.DIGEST, "posts", T0 + 86_400_000, "news", "", "title")
    for name, campaign in (("a", "xmas"), ("b", None), ("c", None)):
        world.hold(name, T0 + 600_000, event=of_campaign(name, campaign), facts=facts)
    keeper = await keeper_of(world)
    await cancel(keeper)
    await told(keeper, 600)
    [push] = [event for each in world.due() if (event := orjson.loads(each.value() or b""))["id"].startswith("digest:")]
    assert push["data"]["digest_count"] in (2, "2")
    assert ("a", "cancelled") in ended(world)


@pytest.mark.parametrize("turns", range(0, 12, 3))
async def test_a2_a_kill_on_the_way_ends_none_twice_and_none_never(turns: int) -> None:
    world = KeepWorld(seed=turns)
    for user in USERS:
        world.hold("mine", T0 + 86_400_000, user=user, event=of_campaign("mine"))
    keeper = await keeper_of(world)
    keeper.cancels.state.campaigns = {"xmas": CampaignCancel()}
    keeper.cancels.state._tell(None, frozenset())
    for _ in range(turns):
        keeper.outbox.land(world.rnd)
        keeper.table.tail(1)
        await keeper.let_run()
    keeper.die()
    successor = await keeper_of(world)
    await cancel(successor, how=CampaignCancel())
    await told(successor, 60)
    assert ended(world) == [("mine", "cancelled")] * len(USERS)
