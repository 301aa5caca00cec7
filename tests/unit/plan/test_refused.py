"""Due records that cannot be planned: they end as their accounts demand (A1 of reference/time.md)."""

from __future__ import annotations

import json
from typing import Any

from pushcast.config.classes import Class
from pushcast.handover.exact import Inexact
from pushcast.handover.tail import OwnTail
from pushcast.model.words import Source
from pushcast.settle.letters import Raw, read_letter, redriven_headers
from pushcast.stream.batch import TP, Record
from pushcast.wire import topics
from pushcast.wire.answers.counted import decode_counted
from pushcast.wire.waiting.held import Released
from pushcast.wire.waiting.held_broadcasts import HeldBroadcast, encode_held
from pushcast.wire.waiting.timers import timer_key
from twins.due import DUE, Due
from twins.kafka import record
from twins.plan import CLASSES, T0, PlanHarness, note, users_of

(ANN,) = users_of(3, 1)
GONE = {"class": "gone"}


class OfAnn(Due):
    """Ann's, each with a timer of its own."""

    def __init__(self, harness: PlanHarness) -> None:
        super().__init__(harness, ANN)

    def of(self, event: bytes | dict[str, Any], *, closes: str = "", passed: str = "") -> Record:
        offset, self._next = self._next, self._next + 1
        timer = f"normal|{offset}|{timer_key(ANN, f'n-{offset}').decode()}"
        return self.record(
            offset, event, closes=closes, timer=timer, released=Released(T0 - 5, None, due_at=T0, passed=passed)
        )

    _next = 0


def ends_of(harness: PlanHarness) -> list[tuple[str, str, str, int, int]]:
    return [
        (each["notification_id"], each["outcome"], each["reason"], each["source"], each["source_offset"])
        for each in harness.receipts()
    ]


async def test_a1_a_class_that_is_configured_no_more_when_it_is_due_ends_as_rejected_beside_its_dead_letter() -> None:
    harness = PlanHarness()
    harness.device(ANN)
    due = OfAnn(harness)
    event = note(0, **GONE, app="news", campaign="xmas", options={"dry_run": True})
    await due.feed(due.of(event), due.of(note(1)))
    [letter] = due.letters
    said = dict(letter.headers)
    assert (said["push.errors.reason"], said["push.errors.field"]) == (b"unknown_class", b"class")
    assert letter.value == json.dumps(event).encode(), "it can be redriven"
    assert ends_of(harness) == [("n-0", "rejected", "unknown_class", Source.DUE, 0)]
    [receipt] = harness.receipts()
    facts = [receipt[name] for name in ("user", "app", "class", "campaign", "dry_run", "due_at", "device")]
    assert facts == [ANN, "news", "gone", "xmas", True, T0, None]
    planned = {
        row[1]: (other, reason)
        for each in harness.planned_records()
        for row, other, reason in zip(each.rows(), each.other, each.reason, strict=True)
    }
    assert planned == {"n-0": (1, "unknown_class"), "n-1": (0, "")}
    assert [each[1] for each in harness.targets()] == ["n-1"], "the others leave"
    assert due.tracker.low == 2


async def test_a1_the_dead_letter_comes_first_so_that_no_receipt_stands_without_it() -> None:
    harness = PlanHarness()
    due = OfAnn(harness)
    await due.feed(due.of(note(0, **GONE)))
    order = [each.topic for each in harness.outbox.log]
    assert order == [topics.dead_letter(DUE), topics.RECEIPT, topics.PLANNED]


async def test_a1_what_cannot_be_read_at_all_is_named_by_its_timer() -> None:
    harness = PlanHarness()
    due = OfAnn(harness)
    await due.feed(due.of(b"\0\0\0"), due.of(b'{"id": 5'), due.of(b'{"id": ["x"], "app": 7}'))
    assert [each[:2] for each in ends_of(harness)] == [(f"n-{at}", "rejected") for at in range(3)]
    assert len(due.letters) == 3
    assert due.tracker.low == 3


async def test_a1_a_part_of_a_broadcast_whose_order_is_gone_ends_as_its_own() -> None:
    harness = PlanHarness()
    due = OfAnn(harness)
    held = HeldBroadcast("b-1", ANN, 0, b"c" * 16, "", b"d" * 16, b"t" * 16)
    await due.feed(due.of(encode_held(held)))
    assert ends_of(harness) == [("b-1", "rejected", "invalid_field", Source.DUE, 0)]
    [planned] = harness.planned_records()
    assert planned.facts[0].broadcast
    assert len(due.letters) == 1


async def test_a_record_that_no_keeper_wrote_is_a_dead_letter_alone() -> None:
    harness = PlanHarness()
    due = OfAnn(harness)
    await due.feed(record(DUE, 3, 0, ANN.encode(), b'{"id": "n", "title": "t", "class": "gone"}', [], T0))
    assert (len(due.letters), harness.receipts(), harness.planned_records()) == (1, [], [])
    assert due.tracker.low == 1


async def test_what_was_called_off_ends_as_that_whatever_its_class() -> None:
    harness = PlanHarness()
    due = OfAnn(harness)
    gone = [due.of(note(0, **GONE), closes="cancelled"), due.of(note(1, **GONE), closes="duplicate")]
    await due.feed(*gone)
    assert ends_of(harness) == [("n-0", "cancelled", "cancelled", Source.DUE, 0)]
    assert due.letters == []
    assert due.tracker.low == 2


async def test_a_slot_of_a_frequency_cap_comes_back() -> None:
    harness = PlanHarness()
    due = OfAnn(harness)
    await due.feed(due.of(note(0, **GONE), passed="frequency_cap"))
    [told] = [decode_counted(each.value) for each in harness.outbox.log if each.topic == topics.COUNTED]
    assert told.word.deliveries == 0  # type: ignore[union-attr]


class Successor(Inexact):
    """Of a planner that ended offset 0, wrote the receipt of offset 1, and died."""

    def tail(self, tp: TP) -> OwnTail:
        found = OwnTail("", committed_offset=0, fenced=0)
        found.add_planned([(0, "n-0")])
        found.add_items(topics.RECEIPT, [((1, "n-1"), b"the receipt")])
        return found


async def test_what_a_predecessor_has_ended_is_not_ended_again() -> None:
    harness = PlanHarness(exact=Successor())
    due = OfAnn(harness)
    await due.feed(due.of(note(0, **GONE)), due.of(note(1, **GONE)))
    assert (due.letters, harness.receipts()) == ([], [])
    [planned] = harness.planned_records()
    assert (planned.source_offset, planned.other, planned.reason) == ([1], [1], ["unknown_class"])
    assert due.tracker.low == 2


async def test_a1_its_dead_letter_is_planned_when_it_is_redriven_and_its_class_is_there_again() -> None:
    harness = PlanHarness()
    due = OfAnn(harness)
    await due.feed(due.of(note(0, **GONE)))
    [letter] = due.letters
    raw = Raw(letter.topic, 3, 0, T0, letter.key, letter.value, letter.headers)
    headers, _ = redriven_headers(read_letter(raw))
    again = PlanHarness(classes=CLASSES | {"gone": Class()})
    again.device(ANN)
    redriven = OfAnn(again)
    await redriven.feed(record(DUE, 3, 0, ANN.encode(), letter.value, headers, T0))
    await again.pass_time(2.5)
    await again.acknowledge()
    assert [each[1] for each in again.targets()] == ["n-0"]
    assert redriven.tracker.low == 1
