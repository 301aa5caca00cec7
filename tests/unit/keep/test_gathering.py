"""Digests on a twin of Kafka: facts D1 to D5 of reference/time.md. Their law: tests/laws/test_keep_handover.py."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushcast.model.digest import DigestRule
from pushcast.model.ids import device_name, device_row_key
from pushcast.model.recalls import only_of
from pushcast.model.words import Lane
from pushcast.wire.headers import first
from pushcast.wire.waiting.held import CLOSES, LEFT_AS, Released, released_of
from twins.handover import Message
from twins.keep import T0, USERS, Keeper, KeepWorld

BOB = USERS[1]
MINUTE = 60.0


class Gathering(KeepWorld):
    """Events come minute by minute to a keeper that may be killed in between."""

    def __init__(self, **rule: Any) -> None:
        super().__init__()
        self.digests = {"posts": DigestRule(86_400_000, **rule)}

    async def start(self) -> Keeper:
        self.keeper = await self.take_over()
        return self.keeper

    async def come(self, *note_ids: str, **options: Any) -> None:
        for note_id in note_ids:
            self.gather(note_id, **options)
        await self.settle()

    async def call_off(self, note_id: str) -> None:
        self.cancel(note_id)
        await self.settle()

    async def pass_minutes(self, minutes: float) -> None:
        self.clock.advance(minutes * MINUTE)
        await self.keeper.pass_time(minutes * MINUTE)
        await self.settle()

    async def settle(self) -> None:
        await self.keeper.feed()
        for _ in range(3):
            await self.keeper.quiet()
            await self.keeper.pass_time(0)

    def pushes(self) -> list[dict[str, Any]]:
        """What left to be sent, in order."""
        return [json.loads(each.value() or b"") for each in self.due() if first(each.headers(), CLOSES) is None]

    def endings(self) -> list[tuple[str, str, str]]:
        """(notification, how it ended, in which digest) of the rest."""
        return [
            (json.loads(each.value() or b"")["id"], _text(each, CLOSES), _text(each, LEFT_AS))
            for each in self.due()
            if first(each.headers(), CLOSES) is not None
        ]


def _text(sent: Message, name: str) -> str:
    return (first(sent.headers(), name) or b"").decode()


async def test_d1_one_push_for_what_came_within_the_window() -> None:
    world = Gathering()
    await world.start()
    await world.come("n0")
    for minute, wait in ((1, 1), (5, 4), (9, 4)):
        await world.pass_minutes(wait)
        await world.come(f"n{minute}")
    await world.pass_minutes(0.999)
    assert world.due() == []
    await world.pass_minutes(0.001)
    [push] = world.pushes()
    assert push["data"] == {"digest_ids": ["n0", "n1", "n5", "n9"], "digest_count": 4}
    assert (push["title"], push["body"], push["created_at"]) == ("title of n9", "4 new", "2027-01-15T08:10:00.000Z")
    assert world.endings() == [(f"n{number}", "digested", push["id"]) for number in (0, 1, 5, 9)]
    [digest] = [each for each in world.due() if first(each.headers(), CLOSES) is None]
    assert released_of(digest.headers()) == Released(T0 + 600_000, None, due_at=T0 + 600_000, passed="digest")
    await world.pass_minutes(60 * 24 * 2)
    assert not any(b"\0d\0" in key for key in world.keeper.table.rows)
    assert len(world.due()) == 5


async def test_d2_what_comes_at_the_end_of_the_window_opens_the_next_and_one_alone_leaves_as_itself() -> None:
    world = Gathering()
    await world.start()
    await world.come("n0")
    await world.pass_minutes(10)
    await world.come("n10")
    await world.pass_minutes(9.999)
    assert [push["id"] for push in world.pushes()] == ["n0"]
    await world.pass_minutes(0.001)
    assert [push["id"] for push in world.pushes()] == ["n0", "n10"]
    assert world.endings() == []
    assert [released_of(sent.headers()).passed for sent in world.due()] == ["digest", "digest"]


async def test_d2_the_third_of_three_at_most_lets_it_go() -> None:
    world = Gathering(max_events=3)
    await world.start()
    await world.come("n0", "n1", "n2", "n3")
    assert [push["data"]["digest_count"] for push in world.pushes()] == [3]
    await world.pass_minutes(10)
    assert [push["id"] for push in world.pushes()][1:] == ["n3"]


async def test_d4_what_was_called_off_or_replaced_fills_no_digest() -> None:
    world = Gathering(max_events=3)
    await world.start()
    await world.come("n0", "n1")
    await world.call_off("n0")
    await world.come("n1", revision=1)
    await world.come("n2")
    assert world.pushes() == []
    await world.come("n3")
    assert [push["data"]["digest_ids"] for push in world.pushes()] == [["n1", "n2", "n3"]]


async def test_the_first_may_leave_at_once_and_the_rest_together() -> None:
    world = Gathering(first_leaves=True)
    await world.start()
    await world.come("n0")
    assert [push["id"] for push in world.pushes()] == ["n0"]
    await world.come("n1", "n2")
    await world.pass_minutes(10)
    assert [push.get("data", {}).get("digest_count") for push in world.pushes()] == [None, 2]
    await world.come("n3")
    await world.pass_minutes(10)
    assert [push["id"] for push in world.pushes()][2:] == ["n3"]


async def test_d3_a_keeper_that_is_killed_in_between_changes_nothing() -> None:
    world = Gathering()
    await world.start()
    await world.come("n0", "n1")
    await world.pass_minutes(5)
    world.keeper.die()
    await world.start()
    await world.come("n5")
    await world.pass_minutes(5)
    assert [push["data"]["digest_count"] for push in world.pushes()] == [3]


async def test_d3_a_keeper_that_is_killed_when_the_push_is_there_leaves_one_push_and_one_set_of_endings() -> None:
    world = Gathering()
    await world.start()
    await world.come("n0", "n1")
    world.clock.advance(10 * MINUTE)
    await world.keeper.pass_time(10 * MINUTE)
    [index] = [at for at, (_, put) in enumerate(world.keeper.outbox.pending) if put.topic == "push.due.normal.v1"]
    world.keeper.outbox.acknowledge(index)
    world.keeper.die()
    await world.start()
    await world.settle()
    [push] = world.pushes()
    assert world.endings() == [("n0", "digested", push["id"]), ("n1", "digested", push["id"])]


async def test_d4_what_expires_or_is_cancelled_is_not_counted() -> None:
    world = Gathering()
    await world.start()
    await world.come("short", expires_at=T0 + 300_000)
    await world.come("n1", "n2", "n3", "off")
    await world.call_off("off")
    assert world.endings() == [("off", "cancelled", "")]
    await world.pass_minutes(10)
    [push] = world.pushes()
    assert push["data"] == {"digest_ids": ["n1", "n2", "n3"], "digest_count": 3}
    assert ("short", "expired/digest", "") in world.endings()


async def test_d4_what_is_read_elsewhere_leaves_the_digest_and_what_has_left_in_one_stays() -> None:
    world = Gathering()
    await world.start()
    await world.come("n1", "n2", "n3", "n4")
    await world.pass_minutes(5)
    world.engage("read", ids=["n2"])
    await world.settle()
    assert world.endings() == [("n2", "read", "")]
    await world.pass_minutes(5)
    [push] = world.pushes()
    assert push["data"] == {"digest_ids": ["n1", "n3", "n4"], "digest_count": 3}
    world.engage("read", ids=["n1"])
    await world.settle()
    assert [(name, end) for name, end, _ in world.endings()[1:]] == [(name, "digested") for name in ("n1", "n3", "n4")]


async def test_d4_with_all_of_them_cancelled_there_is_no_push() -> None:
    world = Gathering()
    await world.start()
    await world.come("n1", "n2")
    await world.call_off("n1")
    await world.call_off("n2")
    await world.pass_minutes(10)
    assert world.pushes() == []
    assert [end for _, end, _ in world.endings()] == ["cancelled", "cancelled"]


async def test_a_cancel_that_comes_when_the_digest_has_left_changes_nothing() -> None:
    world = Gathering()
    await world.start()
    await world.come("n1", "n2")
    world.clock.advance(10 * MINUTE)
    await world.keeper.pass_time(10 * MINUTE)  # its push is put
    world.cancel("n1")
    await world.settle()
    assert [end for _, end, _ in world.endings()] == ["digested", "digested"]


def removed(world: Gathering) -> list[list[str]]:
    """What removals named."""
    return [push["data"]["ids"] for push in world.pushes() if push.get("class") == "remove"]


async def test_a5_a_member_that_is_cancelled_when_the_digest_has_left_is_named_by_a_removal() -> None:
    world = Gathering()
    await world.start()
    await world.come("n1", "n2", "n3")
    world.cancel("n3", remove=True)
    await world.settle()
    await world.pass_minutes(10)
    world.cancel("n1", remove=True)
    await world.settle()
    await world.pass_minutes(1)
    assert removed(world) == [["n1"]], "what was called off before never left"


async def test_a5_a_member_that_is_read_when_the_digest_has_left_is_named_where_its_class_is_removable() -> None:
    world = Gathering()
    await world.start()
    await world.come("n1", "n2")
    await world.pass_minutes(10)
    [digest] = world.pushes()
    world.engage("read", ids=["n1"])
    await world.settle()
    await world.pass_minutes(1)
    assert removed(world) == [], "no device has told of it: its class is not removable"
    world.offer(digest["id"], "phone")
    await world.settle()
    world.engage("read", ids=["n2", "unknown"])
    await world.settle()
    await world.pass_minutes(1)
    assert removed(world) == [["n2"]]
    [push] = [push for push in world.pushes() if push.get("class") == "remove"]
    assert only_of(push["platforms"]) == {device_name(device_row_key(USERS[0], "news", "phone"))}


async def test_d5_the_same_id_counts_once_and_two_keys_are_two_pushes() -> None:
    world = Gathering()
    await world.start()
    await world.come("n1", "n1", "n2", key="post-17")
    await world.come("n3", "n4", key="post-18")
    await world.come("n5", "n6", user=BOB, key="post-17")
    await world.pass_minutes(10)
    listed = sorted(push["data"]["digest_ids"] for push in world.pushes())
    assert listed == [["n1", "n2"], ["n3", "n4"], ["n5", "n6"]]
    assert world.endings()[0] == ("n1", "duplicate", "")


async def test_members_may_come_on_several_lanes() -> None:
    world = Gathering()
    await world.start()
    await world.come("n1", lane=Lane.BULK)
    await world.come("n2", lane=Lane.URGENT)
    await world.pass_minutes(10)
    assert [push["data"]["digest_count"] for push in world.pushes()] == [2]
    assert sorted(each.topic() for each in world.due()) == [
        "push.due.bulk.v1",
        "push.due.bulk.v1",
        "push.due.urgent.v1",
    ]


@pytest.mark.parametrize("facts", [b"{", b'{"gate": "digest"}', b"[]"])
async def test_facts_that_no_planner_wrote_are_a_dead_letter(facts: bytes) -> None:
    world = Gathering()
    keeper = await world.start()
    world.hold("n1")
    world.log[-1] = world.log[-1]._replace(headers=[*world.log[-1].headers, ("push-facts", facts)])
    await world.settle()
    assert [produced.topic for produced in world.log if produced.topic.endswith(".dlq")] == ["push.keep.normal.v1.dlq"]
    assert keeper.counters["dead_letters", "invalid_field"] == 1
