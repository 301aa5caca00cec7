from __future__ import annotations

import pytest
from hpack.hpack import Encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.http2.errors import PeerViolation
from pushcast.http2.frames import COMPRESSION_ERROR
from pushcast.http2.server_hpack import BlockDecoder, literal, status_field

NAMES = st.sampled_from([b":path", b":method", b"apns-id", b"apns-topic", b"authorization", b"x", b"content-type"])
VALUES = st.one_of(st.sampled_from([b"POST", b"/", b"", b"abc"]), st.binary(max_size=300))
BLOCKS = st.lists(
    st.tuples(st.lists(st.tuples(NAMES, VALUES, st.booleans()), max_size=8), st.booleans(), st.integers(0, 4096)),
    max_size=12,
)


@given(BLOCKS)
@settings(deadline=None)
def test_every_block_of_an_independent_encoder_decodes_to_its_fields(
    blocks: list[tuple[list[tuple[bytes, bytes, bool]], bool, int]],
) -> None:
    encoder, decoder = Encoder(), BlockDecoder()
    for fields, huffman, table_bytes in blocks:
        if table_bytes % 7 == 0:
            encoder.header_table_size = table_bytes
        block = encoder.encode(fields, huffman=huffman)
        shape, values = decoder.decode(block)
        assert shape.fill(values) == [(name, value) for name, value, _ in fields]


def _plain(index: int, value: bytes) -> bytes:
    """A literal without indexing whose name is in the static table."""
    return bytes((index, len(value))) + value


def test_blocks_that_differ_only_in_literals_share_a_shape() -> None:
    decoder = BlockDecoder()
    seen = set()
    for number in range(5):
        block = b"\x83\x87" + _plain(4, b"/3/device/%04d" % number) + literal(b"apns-id", b"%036d" % number)
        shape, values = decoder.decode(block)
        seen.add(id(shape))
        assert values == (b"/3/device/%04d" % number, b"%036d" % number)
        assert shape.hole_names == (b":path", b"apns-id")
        assert shape.fill(values)[0] == (b":method", b"POST")
    assert len(seen) == 1


def test_a_block_that_differs_outside_the_literals_is_decoded_anew() -> None:
    decoder = BlockDecoder()
    first, _ = decoder.decode(b"\x83" + _plain(4, b"/a"))
    second, values = decoder.decode(b"\x82" + _plain(4, b"/a"))
    assert second is not first
    assert second.fill(values) == [(b":method", b"GET"), (b":path", b"/a")]


def test_a_shape_is_forgotten_when_the_dynamic_table_changes() -> None:
    decoder = BlockDecoder()
    decoder.decode(b"\x40\x01a\x011")
    block = b"\xbe" + _plain(4, b"/x")
    before, _ = decoder.decode(block)
    assert before.fields[0] == (b"a", b"1")
    decoder.decode(b"\x40\x01b\x012")
    after, values = decoder.decode(block)
    assert after.fill(values)[0] == (b"b", b"2")


def test_a_value_length_that_changes_is_another_shape() -> None:
    decoder = BlockDecoder()
    for value in (b"/ab", b"/abc", b"/ab", b"/abcd"):
        shape, values = decoder.decode(b"\x83" + _plain(4, value))
        assert shape.fill(values)[1] == (b":path", value)


@pytest.mark.parametrize(
    "block",
    [
        b"\x80",
        b"\xff\xff\xff\xff\xff\x0f",
        b"\xbe",
        b"\x04",
        b"\x04\x05ab",
        b"\x40",
        b"\x83\x20",
        b"\x3f\xe2\x1f",
        b"\x04\x81\x00",
        b"\xff\x80\x80\x80\x80\x80\x80\x01",
    ],
)
def test_what_rfc_7541_calls_an_error_ends_the_connection(block: bytes) -> None:
    with pytest.raises(PeerViolation) as raised:
        BlockDecoder().decode(block)
    assert raised.value.error_code == COMPRESSION_ERROR


@given(st.lists(st.binary(max_size=60), max_size=5))
@settings(deadline=None)
def test_arbitrary_bytes_decode_or_are_refused(blocks: list[bytes]) -> None:
    decoder = BlockDecoder()
    for block in blocks:
        try:
            shape, values = decoder.decode(block)
        except PeerViolation:
            return
        assert len(values) == len(shape.holes)


@pytest.mark.parametrize("status", [200, 204, 400, 403, 404, 410, 429, 500, 503])
def test_answers_are_readable_without_state(status: int) -> None:
    long = b"v" * 400
    shape, values = BlockDecoder(0).decode(status_field(status) + literal(b"name", long))
    assert shape.fill(values) == [(b":status", b"%d" % status), (b"name", long)]
