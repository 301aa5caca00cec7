from __future__ import annotations

from pushcast.wire import avro_bytes
from pushcast.wire.avro_bytes import long_at, long_of


def test_long_numbers_that_share_little_are_right_and_remembered_up_to_a_bound() -> None:
    for number in range(2 * avro_bytes._MAX_HIGHS + 1):
        value = (number << 14) + 5
        encoded = long_of(value)
        assert long_at(encoded, 0) == (value, len(encoded))
        assert len(avro_bytes._highs) <= avro_bytes._MAX_HIGHS
