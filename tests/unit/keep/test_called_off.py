"""What is called off by its thread or campaign, held or about to be (A2 and D4 of reference/time.md)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pushcast.model.words import Reason
from pushcast.wire.control.control import CampaignCancel
from pushcast.wire.headers import first
from pushcast.wire.waiting.facts import Facts
from pushcast.wire.waiting.held import CLOSES
from twins.keep import T0, USERS, KeepWorld, keeper_of, told

ANN = USERS[0]
DAY = 86_400_000
FACTS = Facts(Reason.DIGEST, "posts", T0 + DAY, "news", "", "what it says")


def event(note_id: str, **fields: Any) -> bytes:
    return orjson.dumps({"id": note_id, "app": "news", "options": {"thread_id": "t1"}} | fields)


def ends(world: KeepWorld) -> list[tuple[str, str]]:
    """Id of everything that was let go, and how it ended; empty: it is sent."""
    found = [(orjson.loads(each.value() or b"{}").get("id", ""), first(each.headers(), CLOSES)) for each in world.due()]
    return [(note_id, (closes or b"").decode()) for note_id, closes in found]


async def test_a2_what_waits_of_a_thread_that_is_cancelled_ends_at_once_however_late_it_is_due() -> None:
    world = KeepWorld()
    world.hold("n", T0 + 30 * DAY, event=event("n"))
    world.hold("other", T0 + 30 * DAY, event=event("other", options={"thread_id": "t2"}))
    world.hold("else", T0 + 30 * DAY, event=event("else", app="chat"))
    world.hold("later", T0 + 30 * DAY, event=event("later", created_at=T0 + 60_000))
    keeper = await keeper_of(world)
    world.cancel(app="news", thread="t1")
    await told(keeper)
    assert ends(world) == [("n", "cancelled")]


async def test_d4_members_of_a_thread_that_is_cancelled_leave_their_digest() -> None:
    world = KeepWorld()
    for note_id in ("n1", "n2"):
        world.hold(note_id, T0 + 600_000, event=event(note_id), facts=FACTS)
    keeper = await keeper_of(world)
    world.cancel(app="news", thread="t1")
    await told(keeper, 601)
    assert ends(world) == [("n1", "cancelled"), ("n2", "cancelled")]


@pytest.mark.parametrize("facts", [None, FACTS])
async def test_a2_what_is_held_later_of_a_thread_that_was_cancelled_ends_at_once(facts: Facts | None) -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    world.cancel(app="news", thread="t1")
    await told(keeper)
    world.hold("n", T0 + 30 * DAY, event=event("n"), facts=facts)
    world.hold("new", T0 + 30 * DAY, event=event("new", created_at=T0 + 60_000), facts=facts, user=USERS[1])
    await told(keeper)
    assert ends(world) == [("n", "cancelled")]


async def test_d4_a_member_of_a_campaign_that_was_cancelled_joins_no_digest() -> None:
    world = KeepWorld()
    keeper = await keeper_of(world)
    keeper.cancels.state.campaigns = {"xmas": CampaignCancel()}
    for note_id in ("n1", "n2"):
        world.hold(note_id, T0 + 600_000, event=event(note_id, campaign="xmas"), facts=FACTS)
    await told(keeper, 601)
    assert ends(world) == [("n1", "cancelled"), ("n2", "cancelled")]
