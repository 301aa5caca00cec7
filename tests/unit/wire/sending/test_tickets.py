from __future__ import annotations

import pytest

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Platform
from pushcast.wire import topics
from pushcast.wire.schemas import avro_type
from pushcast.wire.sending.tickets import MAX_TICKETS, TicketBatch, decode_tickets, encode_tickets


def tickets(count: int, user_chars: int = 2) -> TicketBatch:
    batch = TicketBatch("expo", "news", 1_800_000_000_000)
    for number in range(count):
        user = f"u{number}".ljust(user_chars, "-")
        batch.add(f"ticket-{number}", user, user, bytes(16), number.to_bytes(16, "big"))
    return batch


def test_a_record_is_read_as_it_was_written() -> None:
    assert decode_tickets(encode_tickets(tickets(3))) == tickets(3)


def test_the_largest_record_fits_its_topic() -> None:
    assert len(encode_tickets(tickets(MAX_TICKETS, 256))) < 1_048_576 * 0.7


def test_what_is_picked_keeps_its_columns_together() -> None:
    picked = tickets(5).picked([1, 4], asks=2)
    assert (picked.ticket_id, picked.user, picked.asks) == (["ticket-1", "ticket-4"], ["u1", "u4"], 2)
    assert picked.delivery_id == [(1).to_bytes(16, "big"), (4).to_bytes(16, "big")]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "tombstone"),
        (b"{}", "unknown_frame"),
        (encode_tickets(tickets(1))[:-3], "undecodable"),
        (encode_tickets(tickets(MAX_TICKETS + 1)), "too_large"),
        (encode_tickets(TicketBatch("expo", "news", 0, 0, ["t"])), "invalid_field"),
        (encode_tickets(TicketBatch("expo", "news", 0, 0, ["t"], ["u"], ["d"], [b""], [b"short"])), "invalid_field"),
        (encode_tickets(TicketBatch("expo", "news", 0, -1)), "invalid_field"),
        (avro_type("ticket_batch").frame, "undecodable"),
    ],
)
def test_what_is_no_ticket_record_is_invalid(value: bytes | None, reason: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        decode_tickets(value)
    assert refused.value.reason == reason


def test_only_platforms_with_tickets_have_a_topic_for_them() -> None:
    assert topics.ticket(Platform.EXPO) == "push.ticket.expo.v1"
    with pytest.raises(ValueError, match="no tickets"):
        topics.ticket(Platform.APNS)
