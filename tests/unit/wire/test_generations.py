"""What a release writes for the release before it, and what it reads of it: `schemas.write` (issue 10, step 5)."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.model.batch import ReceiptLabel
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Source
from pushcast.wire.answers.receipts import (
    Planned,
    PlannedFacts,
    Receipt,
    decode_planned,
    decode_receipt,
    encode_planned,
    encode_receipt,
)
from pushcast.wire.schemas import FRAME_BYTES, NAMES, avro_type, released_type, written_type
from pushcast.wire.sending.tickets import TicketAccount, TicketBatch, decode_tickets, encode_tickets

RECEIPT = Receipt(
    bytes(16), "n", "u", "news", "d", "apns", "bulk", "c", "accepted", None, None, 200, 1, False, 0, 3, 5, 7, 9
)
FACTS = PlannedFacts("news", "breaking", 1, 2, 3, True, "xmas-26")


def planned(**said: Any) -> Planned:
    written = Planned("bulk", source=said.pop("source", 0))
    written.add(5, "n", {"apns": 2}, 1, "", FACTS._replace(**said))
    return written


def tickets() -> TicketBatch:
    batch = TicketBatch("expo", "news", 7, lane="bulk")
    batch.add("t1", "u", "d", b"h", bytes(16), TicketAccount("n", Source.DUE, 5))
    batch.add(
        "t2", "v", "e", b"i", bytes(16), TicketAccount("m", Source.NOTIFICATION, 6), ReceiptLabel(campaign="xmas-26")
    )
    return batch


@pytest.mark.parametrize("name", NAMES)
def test_the_first_generation_is_a_release_that_stands_in_the_lock(name: str) -> None:
    assert written_type(name, 2) is avro_type(name)
    assert written_type(name, 1).fingerprint in {
        released_type(name, version).fingerprint for version in range(1, _versions(name) + 1)
    }


def _versions(name: str) -> int:
    from pushcast.wire.schemas import lock

    return len(lock()[name])


def test_the_first_generation_writes_what_the_release_before_reads() -> None:
    for name, value in (
        ("planned", encode_planned(planned(), 9, 1)),
        ("receipt", encode_receipt(RECEIPT, 1)),
        ("ticket_batch", encode_tickets(tickets(), 1)),
    ):
        assert value[:FRAME_BYTES] == released_type(name, 1).frame
        released_type(name, 1).decode(value)


def test_records_of_the_first_generation_have_source_0_and_say_no_facts() -> None:
    read = decode_planned(encode_planned(planned(), 9, 1))
    assert (read.source, read.facts, read.rows()) == (0, [PlannedFacts()], planned().rows())
    receipt = decode_receipt(encode_receipt(RECEIPT, 1))
    assert (receipt["source"], receipt["due_at"], receipt["campaign"], receipt["app_version"]) == (0, None, None, None)
    batch = decode_tickets(encode_tickets(tickets(), 1))
    assert (len(batch), batch.lane, batch.source, batch.notification_id) == (2, "", [], [])
    assert batch.picked([1], 1).ticket_id == ["t2"]


@pytest.mark.parametrize(
    "value",
    [
        encode_planned(planned(source=Source.DUE), 9, 1),
        encode_planned(planned(held=1), 9, 1),
        encode_receipt(RECEIPT._replace(source=Source.WALK), 1),
        encode_receipt(RECEIPT._replace(due_at=9), 1),
        encode_receipt(RECEIPT._replace(campaign="c"), 1),
        encode_receipt(RECEIPT._replace(variant="a"), 1),
        encode_receipt(RECEIPT._replace(app_version="7.1"), 1),
    ],
)
def test_what_the_first_generation_has_no_column_for_is_written_in_the_newest_all_the_same(value: bytes) -> None:
    assert value[:FRAME_BYTES] in {released_type("planned", 2).frame, avro_type("receipt").frame}


def test_only_a_planned_record_with_a_part_of_a_broadcast_is_in_the_schema_that_has_a_column_for_it() -> None:
    said, without = planned(source=Source.DUE, broadcast=True), planned(source=Source.DUE)
    assert encode_planned(said, 9)[:FRAME_BYTES] == avro_type("planned").frame
    assert encode_planned(without, 9)[:FRAME_BYTES] == released_type("planned", 2).frame
    for each in (said, without):
        assert decode_planned(encode_planned(each, 9)) == each


def test_every_column_comes_back_in_the_second_generation() -> None:
    for written in (planned(source=Source.DUE, held=1), planned()):
        assert decode_planned(encode_planned(written, 9)) == written
    full = RECEIPT._replace(source=Source.KEEP, due_at=9, campaign="c", variant="a", app_version="7.1")
    read = decode_receipt(encode_receipt(full))
    said = [read[name] for name in ("source", "due_at", "campaign", "variant", "app_version")]
    assert said == [3, 9, "c", "a", "7.1"]
    batch = decode_tickets(encode_tickets(tickets()))
    assert batch == tickets()
    assert batch.picked([1], 1).campaign == ["xmas-26"]
    assert (batch.campaign, batch.variant, batch.source) == ([None, "xmas-26"], None, [2, 0])


def test_a_planned_record_with_columns_of_different_lengths_is_refused_by_name() -> None:
    for name in ("reason", "expo", "due_at", "held"):
        datum = avro_type("planned").decode(encode_planned(planned(), 9))
        datum[name] = datum[name] * 2
        with pytest.raises(InvalidInput) as refused:
            decode_planned(avro_type("planned").encode(datum))
        assert refused.value.reason == "invalid_field"
