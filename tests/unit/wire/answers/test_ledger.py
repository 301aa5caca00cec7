from __future__ import annotations

import pytest

from pushcast.model.errors import InvalidInput
from pushcast.wire.answers.ledger import LedgerEntry, encode, parse, prefix

DELIVERY = bytes(range(16))


def test_an_entry_reads_back_as_it_was_written() -> None:
    value = encode("pushcast-send-apns-bulk", 42, DELIVERY)
    assert value == b"pushcast-send-apns-bulk|42|000102030405060708090a0b0c0d0e0f"
    assert parse(value) == LedgerEntry("pushcast-send-apns-bulk", 42, DELIVERY)


def test_the_prefix_and_the_hex_digits_make_the_same_value() -> None:
    assert prefix("g", 7) + DELIVERY.hex().encode() == encode("g", 7, DELIVERY)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"g|1",
        b"g|x|" + b"00" * 16,
        b"g|-1|" + b"00" * 16,
        b"g|1|00",
        b"g|1|" + b"zz" * 16,
        b"\xff|1|" + b"00" * 16,
    ],
)
def test_a_value_of_another_form_is_refused_by_name(value: bytes) -> None:
    with pytest.raises(InvalidInput, match="push-ledger") as caught:
        parse(value)
    assert caught.value.reason == "invalid_field"


def test_a_group_that_would_break_the_form_is_refused() -> None:
    with pytest.raises(ValueError, match="must not hold"):
        prefix("a|b", 1)
