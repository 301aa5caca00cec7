"""What a planner knows of its predecessors' outputs: by the account's whole key, not by its offset alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pushcast.handover.tail import OwnTail
from pushcast.model.words import Lane, Source
from pushcast.plan.exact import _deliveries, _planned, _receipts
from pushcast.wire import topics
from pushcast.wire.answers.receipts import Planned, Receipt, encode_planned, encode_receipt
from pushcast.wire.sending.batches import encode_batch
from unit.send.twin import message, send_batch

BATCH = send_batch(message(2), lane="urgent")  # of source offsets 7 and 8, notification n
RECEIPT = Receipt(
    bytes(16), "n", "u", None, None, None, "urgent", "c", "expired", "expired", None, None, 0, False, 0, 3, 7, 1, 2
)


def planned(source: int = 0, lane: str = "urgent") -> bytes:
    record = Planned(lane, source=source)
    record.add(7, "n", {"apns": 1})
    return encode_planned(record, 1)


def test_outputs_name_offset_and_notification_of_their_source_records() -> None:
    assert [place for place, _ in _deliveries([], encode_batch(BATCH))] == [(7, "n"), (8, "n")]
    assert [place for place, _ in _receipts([], encode_receipt(RECEIPT))] == [(7, "n")]
    assert list(_planned(Lane.URGENT, planned())) == [(7, "n")]


@pytest.mark.parametrize("source", [Source.WALK, Source.KEEP])
def test_outputs_of_another_source_are_not_of_the_notification_topic(source: int) -> None:
    found: list[Any] = [
        *_deliveries([], encode_batch(replace(BATCH, source=source))),
        *_receipts([], encode_receipt(RECEIPT._replace(source=source))),
        *_planned(Lane.URGENT, planned(source)),
        *_planned(Lane.BULK, planned()),
    ]
    assert found == []


@pytest.mark.parametrize("generation", [1, 2])
def test_records_of_the_release_before_are_of_the_notification_topic(generation: int) -> None:
    """An older record says no source: it is 0."""
    assert [place for place, _ in _receipts([], encode_receipt(RECEIPT, generation))] == [(7, "n")]


def test_a_record_of_a_topic_that_was_made_anew_is_not_done_because_its_predecessor_was() -> None:
    """Rulings I.8: the offset is used again, the notification is another one."""
    tail = OwnTail("plan-urgent/3", committed_offset=0, fenced=0)
    tail.add_planned(_planned(Lane.URGENT, planned()))
    tail.add_items(topics.RECEIPT, [((8, "m"), b"d")])
    assert not tail.is_done((7, "another"))
    assert tail.take((8, "another")) is None
    assert tail.is_done((7, "n"))
    assert tail.take((8, "m")) == {topics.RECEIPT: {b"d"}}
