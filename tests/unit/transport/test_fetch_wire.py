"""Fetch requests and answers are the same bytes and values as aiokafka's schema makes of them."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v11, FetchResponse_v11
from aiokafka.protocol.struct import Struct
from hypothesis import given
from hypothesis import strategies as st

from pushcast.transport.fetch_wire import decode_response, encode_request

ints, longs, shorts = (st.integers(-(2**bits), 2**bits - 1) for bits in (31, 63, 15))
names = st.text(max_size=12)
asked = st.lists(st.tuples(names, st.lists(st.tuples(ints, longs, ints), max_size=3)), max_size=3)
answered = st.tuples(
    ints,
    shorts,
    longs,
    longs,
    longs,
    st.none() | st.lists(st.tuples(longs, longs), max_size=3),
    ints,
    st.none() | st.binary(max_size=40),
)
answers = st.lists(st.tuples(names, st.lists(answered, max_size=3)), max_size=3)


def by_schema(response: Any) -> bytes:
    return Struct.encode(response)


@given(asked, names, ints)
def test_a_request_is_encoded_as_its_schema_says(topics: Any, rack: str, wait_ms: int) -> None:
    request = FetchRequest(wait_ms, 1, 50 << 20, 1, topics, rack_id=rack).build(FetchRequest_v11)
    assert encode_request(request) == Struct.encode(request)


def test_forgotten_partitions_are_encoded_too() -> None:
    request = FetchRequest_v11(-1, 500, 1, 1 << 20, 1, 0, -1, [], [("t", [1, 2])], "")
    assert encode_request(request) == Struct.encode(request)


def test_what_has_no_place_in_a_field_is_an_error_of_the_value() -> None:
    with pytest.raises(ValueError, match="cannot be encoded"):
        encode_request(FetchRequest(2**40, 1, 1, 1, []).build(FetchRequest_v11))


@given(answers, ints, st.binary(max_size=9))
def test_an_answer_is_decoded_as_its_schema_says_wherever_it_begins(topics: Any, throttle: int, before: bytes) -> None:
    response = FetchResponse_v11(throttle, 0, 0, topics)
    stream = BytesIO(before + by_schema(response))
    stream.read(len(before))
    assert decode_response(stream) == response
    assert decode_response(by_schema(response)) == response


@given(answers, st.integers(1, 40))
def test_an_answer_that_is_cut_is_an_error_of_the_value(topics: Any, cut: int) -> None:
    encoded = by_schema(FetchResponse_v11(0, 0, 0, topics))
    with pytest.raises(ValueError, match="fetch response"):
        decode_response(encoded[:-cut])
