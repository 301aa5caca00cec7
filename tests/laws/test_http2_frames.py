"""Laws of cutting frames and of the header table, on any input."""

from __future__ import annotations

from hpack import Decoder, HPACKError
from hypothesis import given
from hypothesis import strategies as st

from pushcast.http2.block_reader import read_block
from pushcast.http2.errors import PeerViolation
from pushcast.http2.frames import Frame, pack_frame, strip_padding
from pushcast.http2.hpack import EncoderTable, ResponseDecoder, compile_template, encode_integer
from pushcast.http2.request import Template, Varying
from unit.http2.splitter import FrameSplitter

FRAMES = st.lists(
    st.builds(
        Frame,
        st.integers(0, 255),
        st.integers(0, 255),
        st.integers(0, 2**31 - 1),
        st.binary(max_size=300),
    ),
    max_size=20,
)
NAMES = st.sampled_from([b"apns-topic", b"authorization", b"content-type", b"x-a", b"x-b", b"x-c", b"x-d"])
HEADERS = st.lists(st.tuples(NAMES, st.binary(max_size=60).map(lambda raw: raw.hex().encode())), max_size=8)

PIECES = (
    b"\x88",
    b"\x89",
    b"\x20",
    b"\x3f\x01",
    b"\x3f\x80\x80\x00",
    b"\xbe",
    b"\xff\x00",
    b"\x80",
    b"\x48\x03410",
    b"\x08\x82\x08\x17",
    b"\x00\x01a\x01b",
    b"\x40\x01a\x01b",
    b"\x10\x01a\x01b",
    b"\x0f\x10\x01c",
    b"\x0f\x2f\x01c",
    b"\x7f\x01\x01c",
    b"\x54\x00",
    b"\x0f\x0d\x83\x10\x5d\x7f",
    b"\x54\x7f\x01" + b"v" * 128,
    b"\x54\xff",
    b"\x00\x05ab",
)


@given(FRAMES, st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_frames_survive_any_cutting_of_the_stream(frames: list[Frame], cuts: list[int]) -> None:
    data = b"".join(pack_frame(*frame) for frame in frames)
    splitter = FrameSplitter()
    got: list[Frame] = []
    position = turn = 0
    while position < len(data):
        size = cuts[turn % len(cuts)]
        got += splitter.feed(data[position : position + size])
        position, turn = position + size, turn + 1
    assert got == frames


@given(st.builds(Frame, st.sampled_from([0, 1, 5]), st.integers(0, 255), st.just(1), st.binary(max_size=20)))
def test_stripping_padding_gives_a_part_or_a_violation(frame: Frame) -> None:
    try:
        inner = strip_padding(frame)
    except PeerViolation:
        return
    assert inner in frame.payload


@given(st.binary(max_size=200), st.booleans())
def test_decoding_anything_gives_fields_or_a_violation(block: bytes, stateless: bool) -> None:
    decoder = ResponseDecoder()
    if stateless:
        decoder.become_stateless()
    try:
        fields = decoder.decode(block)
    except PeerViolation:
        return
    assert all(isinstance(name, bytes) and isinstance(value, bytes) for name, value in fields)


def stateless_decoder() -> Decoder:
    decoder = Decoder()
    decoder.max_allowed_table_size = 0
    decoder.header_table_size = 0
    return decoder


@given(st.one_of(st.binary(max_size=60), st.lists(st.sampled_from(list(PIECES)), max_size=8).map(b"".join)))
def test_a_stateless_block_is_read_as_the_hpack_package_reads_it(block: bytes) -> None:
    try:
        expected = [(bytes(name), bytes(value)) for name, value in stateless_decoder().decode(block, raw=True)]
    except (HPACKError, ValueError):
        expected = None
    try:
        got = read_block(block)
    except HPACKError:
        got = None
    assert got == expected


@given(st.integers(0, 2**32), st.integers(4, 7))
def test_integers_are_coded_as_the_hpack_package_reads_them(value: int, bits: int) -> None:
    from hpack.hpack import decode_integer

    coded = encode_integer(value, bits, 0)
    assert decode_integer(coded, bits) == (value, len(coded))


@given(
    st.lists(
        st.one_of(
            st.tuples(HEADERS, st.integers(1, 3)),
            st.sampled_from([0, 32, 60, 100, 200, 1_000, 4_096, 65_536]),
        ),
        max_size=30,
    )
)
def test_a_strict_decoder_reads_what_was_meant_whatever_limits_and_templates_follow(
    steps: list[tuple[list[tuple[bytes, bytes]], int] | int],
) -> None:
    table, decoder = EncoderTable(), Decoder()
    decoder.max_allowed_table_size = 4_096
    for step in steps:
        if isinstance(step, int):
            table.set_limit(step)
            decoder.max_allowed_table_size = min(step, 4_096)
            continue
        headers, times = step
        template = Template(path=Varying(b":path", b"/3/"), headers=headers, varying=[Varying(b"apns-id")])
        compiled = compile_template(template, table)
        for number in range(times):
            segments = compiled.intro if compiled.intro is not None and not number else compiled.steady
            assert len(segments) == 3
            block = segments[0] + b"\x04/3/t" + segments[1] + b"\x02id" + segments[2]
            fields = [(bytes(name), bytes(value)) for name, value in decoder.decode(block, raw=True)]
            assert fields == [
                (b":method", b"POST"),
                (b":scheme", b"https"),
                (b":path", b"/3/t"),
                *headers,
                (b"apns-id", b"id"),
            ]
