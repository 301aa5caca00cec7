"""What is not due yet: from the event to the keeper, and back (facts S1, S2 and C1 of reference/time.md)."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from pushcast.config.classes import Class
from pushcast.handover.exact import Inexact
from pushcast.handover.tail import OwnTail
from pushcast.model.words import Lane, Platform, Source
from pushcast.stream.batch import TP, Committed
from pushcast.stream.sharing import Sharing
from pushcast.stream.tracker import Tracker
from pushcast.wire import topics
from pushcast.wire.answers.dead_letters import REASON
from pushcast.wire.headers import FENCE, first, origin
from pushcast.wire.topics import MAX_INTAKE_BYTES
from pushcast.wire.waiting.held import Held, event_of, held_of
from twins.due import DUE, Due
from twins.holding import World
from twins.kafka import OPEN, Produced, record
from twins.plan import T0, PlanHarness, note, users_of

(ANN,) = users_of(3, 1)
KEEP = topics.keep(Lane.NORMAL)
LATER = T0 + 60_000


def kept(harness: PlanHarness) -> list[Produced]:
    return [each for each in harness.outbox.log if each.topic == KEEP]


async def test_s1_what_is_due_later_goes_to_the_keeper_as_it_came_and_is_planned_as_held() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    event = note(1, deliver_at=LATER, campaign="xmas")
    await harness.feed((ANN, event))
    assert harness.committable == 0
    await harness.acknowledge()
    [sent] = kept(harness)
    assert (sent.partition, sent.key, sent.value) == (3, ANN.encode(), json.dumps(event).encode())
    assert held_of(sent.headers) == Held("n-1", LATER, T0)
    assert event_of(sent.headers) == (0, "n-1")
    assert (harness.batches(), harness.receipts()) == ([], [])
    [planned] = harness.planned_records()
    [facts] = planned.facts
    assert (facts.held, facts.due_at, facts.campaign, planned.reason) == (1, LATER, "xmas", ["scheduled"])
    assert sum(row[2] for row in planned.rows()) == 0
    assert harness.committable == 1


async def test_an_event_that_only_compression_made_fit_is_a_dead_letter_because_no_topic_of_the_keeper_takes_it() -> (
    None
):
    harness = PlanHarness()
    first_event, second_event = [json.dumps(note(number, deliver_at=LATER)).encode() for number in (1, 2)]
    large = first_event + b" " * (MAX_INTAKE_BYTES - len(first_event) + 1)
    await harness.feed(harness.raw(ANN.encode(), large), harness.raw(ANN.encode(), second_event, index=1))
    await harness.acknowledge()
    assert [event_of(each.headers) for each in kept(harness)] == [(1, "n-2")]
    [letter] = [each for each in harness.outbox.log if each.topic.endswith(".dlq")]
    assert first(letter.headers, REASON) == b"too_large"
    assert harness.committable == 2


async def test_a_spread_says_so() -> None:
    harness = PlanHarness()
    await harness.feed((ANN, note(1, spread_seconds=3600)))
    await harness.acknowledge()
    assert [row[3] for row in harness.planned()] == ["spread"]


async def test_s2_what_is_due_already_is_planned_at_once() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    await harness.feed((ANN, note(1, deliver_at=T0 - 3_600_000)))
    await harness.acknowledge()
    assert kept(harness) == []
    [batch] = harness.batches()
    assert batch.source == Source.NOTIFICATION
    assert batch.messages[0].notes.due_at == [T0 - 3_600_000]


@pytest.mark.parametrize(
    "fields",
    [
        {"deliver_at": "2026-12-19T23:00:00Z"},
        {"deliver_local_at": "2026-12-19T23:00", "time_zone": "UTC"},
        {"deliver_local_at": "2026-12-19T23:00"},
        {"deliver_local_at": "2026-12-19T23:45", "time_zone": "UTC", "if_past": "drop"},
        {"deliver_local_at": "2026-12-19T23:45", "if_past": "drop"},
    ],
)
async def test_s2_s22_what_was_over_when_it_was_created_expires_and_is_not_taken_for_now_or_never(
    fields: dict[str, Any],
) -> None:
    world = World(default=Class(window_seconds=0, ttl_seconds=1_800))
    world.device("phone", "UTC")
    await world.send(**fields)
    assert (world.arrived, world.ends) == ({}, [("expired", "expired")])


async def test_a_held_notification_that_comes_twice_is_held_once() -> None:
    harness = PlanHarness()
    await harness.feed((ANN, note(1, deliver_at=LATER)), (ANN, note(1, deliver_at=LATER)))
    await harness.acknowledge()
    assert len(kept(harness)) == 1
    assert sorted(row[3] for row in harness.planned()) == ["duplicate", "scheduled"]


class Successor(Inexact):
    """Of a planner that wrote the keep record of offset 0 and died."""

    def tail(self, tp: TP) -> OwnTail:
        found = OwnTail("", committed_offset=0, fenced=0)
        found.add_items(KEEP, [((0, "n-1"), b"held")])
        return found


async def test_what_a_predecessor_has_given_to_the_keeper_is_not_given_again() -> None:
    harness = PlanHarness(exact=Successor())
    harness.device(ANN)
    await harness.feed((ANN, note(1, deliver_at=LATER)))
    await harness.acknowledge()
    assert kept(harness) == []
    [planned] = harness.planned_records()
    assert (planned.facts[0].held, planned.reason) == (1, ["scheduled"])


async def test_what_is_let_go_once_and_was_written_twice_is_planned_once() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    due = Due(harness, ANN)
    event = note(1, deliver_at=LATER)
    await due.feed(due.record(0, event), due.record(1, event), due.record(2, event, timer="normal|1|k"))
    assert [part.targets.source_offset for batch in harness.batches() for part in batch.messages] == [[0, 2]]
    assert harness.counters["copies", ""] == 1
    assert due.tracker.low == 3


async def test_what_is_let_go_is_planned_with_an_account_of_its_own() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    await harness.feed((ANN, note(1, deliver_at=LATER)))
    await harness.acknowledge()
    due = Due(harness, ANN)
    await due.feed(due.record(0, note(1, deliver_at=LATER)))
    [batch] = harness.batches()
    [part] = batch.messages
    assert (batch.source, part.notes.due_at, part.created_at) == (Source.DUE, [LATER], [T0 - 5])
    assert part.targets.expires_at == [LATER + 86_400_000]
    assert (part.targets.source_offset, part.targets.user) == ([0], [ANN])
    planned = harness.planned_records()[-1]
    assert (planned.source, planned.platforms[str(Platform.APNS)], planned.facts[0].held) == (Source.DUE, [1], 0)
    assert due.tracker.low == 1


async def test_the_planners_clock_does_not_hold_again_what_a_keeper_let_go() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    due = Due(harness, ANN)
    await due.feed(due.record(0, note(1, deliver_at=LATER)))
    assert kept(harness) == []
    assert len(harness.batches()) == 1


async def test_what_a_keeper_closes_ends_with_its_reason() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    due = Due(harness, ANN)
    reasons = ("cancelled", "too_many", "duplicate")
    await due.feed(*(due.record(at, note(at), closes=reason) for at, reason in enumerate(reasons)))
    ended = [(each["outcome"], each["reason"], each["source"], each["source_offset"]) for each in harness.receipts()]
    assert ended == [
        ("cancelled", "cancelled", Source.DUE, 0),
        ("rejected", "too_many", Source.DUE, 1),
    ]
    assert sorted(row[3] for row in harness.planned()) == ["cancelled", "duplicate", "too_many"]
    assert harness.batches() == []


class SuccessorOfAnEnd(Inexact):
    """Of a planner that wrote the receipt of offset 0 and died."""

    def tail(self, tp: TP) -> OwnTail:
        found = OwnTail("", committed_offset=0, fenced=0)
        found.add_items(topics.RECEIPT, [((0, "n-0"), b"the receipt")])
        return found


async def test_what_a_predecessor_has_ended_is_not_sent_to_who_has_a_device_now() -> None:
    harness = PlanHarness(exact=SuccessorOfAnEnd())
    harness.device(ANN)
    due = Due(harness, ANN)
    await due.feed(due.record(0, note(0), closes="cancelled"))
    assert (harness.batches(), harness.receipts()) == ([], [])
    [planned] = harness.planned_records()
    assert planned.other == [1]
    assert due.tracker.low == 1


async def test_s14_who_has_no_device_when_it_is_due_gets_a_receipt() -> None:
    harness = PlanHarness()
    due = Due(harness, ANN)
    await due.feed(due.record(0, note(1)))
    await harness.pass_time(5)
    await harness.acknowledge()
    [receipt] = harness.receipts()
    assert (receipt["outcome"], receipt["reason"], receipt["source"]) == ("suppressed", "no_devices", Source.DUE)


async def test_what_a_keeper_let_go_after_it_was_fenced_off_does_not_count() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    due = Due(harness, ANN)
    fence = record(DUE, 3, 0, None, None, [*origin("keep", 3, 2), (FENCE, b"1")], T0)
    await due.feed(fence, due.record(1, note(1), epoch=1), due.record(2, note(2), epoch=2))
    assert [id_ for _, id_, _, _ in harness.targets()] == ["n-2"]
    assert due.tracker.low == 3
    metadata = harness.stage.commit_metadata(TP(DUE, 3), 3)
    heir = PlanHarness()
    heir.device(ANN)
    heir.stage.work = cast(Any, None)  # nobody is asked: there is no hand-over
    await heir.stage.assigned({TP(DUE, 3): Committed(3, metadata)})
    late = Due(heir, ANN)
    late.tracker = Tracker(3, OPEN)
    await late.feed(late.record(3, note(3), epoch=1))
    assert heir.targets() == []


async def test_a_due_record_that_no_keeper_wrote_is_a_dead_letter() -> None:
    harness = PlanHarness()
    due = Due(harness, ANN)
    await due.feed(record(DUE, 3, 0, ANN.encode(), b'{"id": "n", "title": "t"}', [], T0))
    [letter] = [each for each in harness.outbox.log if each.topic == topics.dead_letter(DUE)]
    assert dict(letter.headers)["push.errors.reason"] == b"invalid_field"


async def test_how_far_ahead_an_event_may_be_due_is_configured() -> None:
    day_ms = 86_400_000
    harness = PlanHarness(keep={"max_ahead_seconds": 86_400})
    harness.device(ANN)
    await harness.feed((ANN, note(1, deliver_at=T0 + day_ms)), (ANN, note(2, deliver_at=T0 + day_ms + 1)))
    await harness.acknowledge()
    assert harness.dead_letters() == [("too_far_ahead", 3)]
    assert [row[3] for row in harness.planned()] == ["scheduled"]


async def test_ii15_what_the_keeper_let_go_gives_way_to_events_of_its_partition_and_events_to_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness = PlanHarness()
    harness.device(ANN)
    paused: list[float] = []

    async def sleep(seconds: float) -> None:
        paused.append(seconds)

    class OneWaits:
        def waits(self, tp: TP) -> bool:
            return tp == TP(topics.notification(Lane.NORMAL), 3)

    harness.stage._sharing = Sharing(harness.clock, sleep)
    harness.stage.work = cast(Any, OneWaits())
    read = harness.stage._reading.read

    def slowly(*arguments: Any) -> Any:
        harness.clock.advance(0.01)
        return read(*arguments)

    monkeypatch.setattr(harness.stage._reading, "read", slowly)
    await harness.feed((ANN, note(1)))
    assert paused == []
    await harness.let_go(ANN, note(2))
    assert round(sum(paused), 6) == 0.09
    await harness.acknowledge()
    assert len(harness.batches()) == 2


async def test_a0_a_replay_that_ends_at_the_planner_says_in_its_receipt_what_it_repeats() -> None:
    harness = PlanHarness()
    await harness.feed((ANN, note(1, replay_of="n-0", deliver_at=T0 - 5, expires_at=T0 - 1, created_at=T0 - 10)))
    await harness.acknowledge()
    assert [(each["notification_id"], each["replay_of"]) for each in harness.receipts()] == [("n-1", "n-0")]
