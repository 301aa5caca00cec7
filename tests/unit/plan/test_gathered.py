"""Notifications of a class with a digest: from the event to the keeper, and what the keeper made of them."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.config.classes import Class
from pushcast.config.digests import Digest
from pushcast.handover.exact import Inexact
from pushcast.handover.tail import OwnTail
from pushcast.model.words import Lane, Reason, Source
from pushcast.stream.batch import TP
from pushcast.wire import topics
from pushcast.wire.waiting.facts import Facts, decode_facts
from pushcast.wire.waiting.held import held_of
from twins.kafka import Produced
from twins.plan import T0, PlanHarness, note, users_of

(ANN,) = users_of(3, 1)
POSTS = {"class": "posts"}
KEEP, DUE = topics.keep(Lane.NORMAL), topics.due(Lane.NORMAL)


def classes(**digest: Any) -> dict[str, Class]:
    return {"posts": Class(window_seconds=0, digest=Digest.model_validate(digest or {"window_seconds": 600}))}


def kept(harness: PlanHarness) -> list[Produced]:
    return [each for each in harness.outbox.log if each.topic == KEEP]


async def test_it_is_given_to_the_keeper_with_what_its_digest_shows() -> None:
    harness = PlanHarness(classes=classes(window_seconds=600, key="digest_key"))
    harness.device(ANN)
    await harness.feed((ANN, note(1, **POSTS, title="Ann likes it", digest_key="post-17")))
    await harness.acknowledge()
    [sent] = kept(harness)
    held = held_of(sent.headers)
    assert (held.due_at, held.written_at, held.part) == (T0 + 600_000, T0, 0)
    facts = decode_facts(held.facts)
    assert facts == Facts(Reason.DIGEST, "posts", T0 + 86_400_000, facts.app, "post-17", "Ann likes it")
    [planned] = harness.planned_records()
    assert (planned.facts[0].held, planned.reason) == (1, ["digest"])
    assert harness.batches() == []


async def test_by_time_of_day_it_leaves_when_the_users_clocks_show_one() -> None:
    """T0 is 2027-01-15T08:00:00Z."""
    harness = PlanHarness(classes=classes(at=["08:00", "18:00"]))
    harness.device(ANN, time_zone="America/New_York")
    await harness.feed((ANN, note(1, **POSTS)))
    await harness.acknowledge()
    [sent] = kept(harness)
    assert held_of(sent.headers).due_at == T0 + 5 * 3_600_000  # 08:00 there


@pytest.mark.parametrize("key", ["none", "thread_id"])
async def test_members_share_what_the_class_says(key: str) -> None:
    harness = PlanHarness(classes=classes(window_seconds=600, key=key))
    harness.device(ANN)
    await harness.feed((ANN, note(1, **POSTS, digest_key="post-17", options={"thread_id": "t1"})))
    await harness.acknowledge()
    [sent] = kept(harness)
    assert decode_facts(held_of(sent.headers).facts).key == ("t1" if key == "thread_id" else "")


async def test_for_a_user_without_devices_who_may_be_registering_it_waits_all_the_same() -> None:
    harness = PlanHarness(classes=classes())
    await harness.feed((ANN, note(1, **POSTS)))
    await harness.acknowledge()
    assert len(kept(harness)) == 1


async def test_what_was_scheduled_joins_a_digest_when_it_is_due() -> None:
    harness = PlanHarness(classes=classes())
    harness.device(ANN)
    await harness.let_go(ANN, note(1, **POSTS, deliver_at=T0 + 1_000))
    [sent] = kept(harness)
    held = held_of(sent.headers)
    assert (held.due_at, held.part, held.written_at) == (T0 + 601_000, 1, T0)


async def test_what_its_digest_let_go_leaves() -> None:
    harness = PlanHarness(classes=classes())
    harness.device(ANN)
    await harness.let_go(ANN, note(1, **POSTS), passed="digest")
    assert kept(harness) == []
    [batch] = harness.batches()
    assert batch.source == Source.DUE


async def test_what_its_digest_let_go_for_a_user_without_devices_ends_so_and_is_not_gathered_again() -> None:
    harness = PlanHarness(classes=classes())
    await harness.let_go(ANN, note(1, **POSTS), passed="digest")
    await harness.pass_time(3)
    await harness.acknowledge()
    assert kept(harness) == []
    assert [(each["outcome"], each["reason"]) for each in harness.receipts()] == [("suppressed", "no_devices")]


async def test_d1_a_member_ends_as_digested_and_names_the_digest() -> None:
    harness = PlanHarness(classes=classes())
    harness.device(ANN)
    await harness.let_go(ANN, note(1, **POSTS), closes="digested", left_as="digest:abc")
    [receipt] = harness.receipts()
    assert (receipt["outcome"], receipt["reason"], receipt["provider_id"]) == ("suppressed", "digested", "digest:abc")


async def test_d4_a_member_that_expired_says_so() -> None:
    harness = PlanHarness(classes=classes())
    harness.device(ANN)
    await harness.let_go(ANN, note(1, **POSTS), closes="expired/digest")
    [receipt] = harness.receipts()
    assert (receipt["outcome"], receipt["reason"], receipt["provider_id"]) == ("expired", "digest", None)


class Successor(Inexact):
    """Of a planner that wrote the keep record of offset 0 and died."""

    def tail(self, tp: TP) -> OwnTail:
        found = OwnTail("", committed_offset=0, fenced=0)
        found.add_items(KEEP, [((0, "n-1"), b"held")])
        return found


async def test_what_a_predecessor_has_given_to_the_keeper_is_not_given_again() -> None:
    harness = PlanHarness(classes=classes(), exact=Successor())
    harness.device(ANN)
    await harness.feed((ANN, note(1, **POSTS)))
    await harness.acknowledge()
    assert kept(harness) == []
    [planned] = harness.planned_records()
    assert (planned.facts[0].held, planned.reason) == (1, ["digest"])


async def test_a_producer_may_not_use_the_ids_of_digests() -> None:
    """Ruling II.43."""
    harness = PlanHarness(classes=classes())
    harness.device(ANN)
    await harness.feed((ANN, {**note(1), "id": "digest:abc"}))
    await harness.acknowledge()
    [letter] = [each for each in harness.outbox.log if each.topic.endswith(".dlq")]
    assert b"digest:" in b"".join(value or b"" for _, value in letter.headers)
    await harness.let_go(ANN, {**note(1, **POSTS), "id": "digest:abc"}, passed="digest")
    assert len(harness.batches()) == 1
