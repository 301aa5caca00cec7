from __future__ import annotations

import pytest

from pushcast.http2.errors import PeerViolation
from pushcast.http2.frames import (
    FLAG_END_HEADERS,
    FLAG_END_STREAM,
    FLAG_PADDED,
    FLAG_PRIORITY,
    FRAME_SIZE_ERROR,
    HEADERS,
    Frame,
    frame_header,
    frame_prefix,
    pack_data,
    pack_frame,
    pack_goaway,
    pack_headers,
    pack_settings,
    strip_padding,
    unpack_goaway,
    unpack_settings,
)
from unit.http2.splitter import FrameSplitter


def test_a_frame_header_is_nine_bytes_in_network_order() -> None:
    assert frame_header(0x012345, 1, 4, 0x01020304) == bytes.fromhex("012345 01 04 01020304")
    assert frame_prefix(0x012345, 1, 4) == bytes.fromhex("012345 01 04")


def test_a_frame_that_is_not_whole_waits() -> None:
    splitter = FrameSplitter()
    data = pack_frame(6, 0, 0, b"12345678")
    assert splitter.feed(data[:16]) == []
    assert splitter.feed(data[16:] + data[:3]) == [Frame(6, 0, 0, b"12345678")]
    assert splitter.feed(data[3:]) == [Frame(6, 0, 0, b"12345678")]


def test_a_frame_beyond_the_limit_is_refused_by_its_head_alone() -> None:
    with pytest.raises(PeerViolation) as caught:
        FrameSplitter(100).feed(pack_frame(0, 0, 1, b"x" * 101)[:9])
    assert caught.value.error_code == FRAME_SIZE_ERROR


def test_the_reserved_bit_of_a_stream_id_is_ignored() -> None:
    (frame,) = FrameSplitter().feed(bytes.fromhex("000000 00 00 80000005"))
    assert frame.stream_id == 5


def test_header_blocks_and_bodies_are_cut_at_the_frame_size() -> None:
    frames = FrameSplitter().feed(pack_headers(1, b"h" * 25, end_stream=True, max_frame_bytes=10))
    assert [(frame.type, frame.flags, len(frame.payload)) for frame in frames] == [
        (HEADERS, FLAG_END_STREAM, 10),
        (9, 0, 10),
        (9, FLAG_END_HEADERS, 5),
    ]
    frames = FrameSplitter().feed(pack_data(1, b"d" * 20, max_frame_bytes=10))
    assert [(frame.flags, len(frame.payload)) for frame in frames] == [(0, 10), (FLAG_END_STREAM, 10)]


def test_padding_and_priority_are_stripped() -> None:
    payload = b"\x02" + b"12345" + b"block" + b"\0\0"
    assert strip_padding(Frame(HEADERS, FLAG_PADDED | FLAG_PRIORITY, 1, payload)) == b"block"


def test_settings_and_goaway_read_back_what_was_packed() -> None:
    (frame,) = FrameSplitter().feed(pack_settings({3: 100, 4: 65_535}))
    assert unpack_settings(frame.payload) == [(3, 100), (4, 65_535)]
    (frame,) = FrameSplitter().feed(pack_goaway(7, 11, b"calm"))
    assert unpack_goaway(frame.payload) == (7, 11, b"calm")
