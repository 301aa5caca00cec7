"""No bytes from a server raise, hang or lose a request: a connection ends with a typed fault or goes on."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.http2.errors import ConnectionFault
from pushcast.http2.frames import (
    pack_data,
    pack_frame,
    pack_goaway,
    pack_ping,
    pack_rst_stream,
    pack_settings,
    pack_window_update,
)
from pushcast.http2.listener import State
from unit.http2.wire import Sent, Wire, streams


def recorded() -> bytes:
    """One of everything a server says after its first SETTINGS, to a client with nine requests."""
    wire = Wire()
    parts = [
        pack_window_update(0, 100_000),
        wire.answer(1),
        wire.answer(3, 410, b'{"reason":"Unregistered","timestamp":1700000000000}'),
        pack_ping(b"12345678"),
        wire.headers(5, 503, end=False),
        pack_data(5, b"half", end_stream=False),
        pack_frame(0, 8, 5, b"\x03abc\0\0\0"),
        pack_data(5, b""),
        pack_rst_stream(7, 7),
        pack_rst_stream(9, 2),
        pack_frame(1, 1, 11, b"\x88"),
        pack_frame(9, 4, 11, b"\x0f\x10\x01a"),
        pack_settings(streams(3)),
        wire.answer(13),
        pack_goaway(17, 0, b'{"reason":"Shutdown"}'),
        wire.answer(15),
        wire.answer(17, 200, b'{"name":"x"}'),
    ]
    return b"".join(parts)


RECORDED = recorded()


def listen(data: bytes, chunk: int, *, settled: bool) -> None:
    wire = Wire()
    if settled:
        wire.settle(streams(20))
    sent = wire.submit(15)
    for start in range(0, len(data), chunk):
        wire.connection.data_received(data[start : start + chunk])
        wire.transport.written.clear()
    check(wire, sent)


def check(wire: Wire, sent: Sent) -> None:
    connection = wire.connection
    assert wire.queue.in_flight == connection.in_flight
    assert len(sent.outcomes) + wire.queue.waiting + connection.in_flight == 15
    if connection.state is State.CLOSED:
        assert isinstance(connection.fault, ConnectionFault)
        assert wire.transport.closed
        assert connection.in_flight == 0
    connection.sweep(2_000.0)
    connection.sweep(3_000.0)
    wire.queue.expire(3_000.0, 0.0)
    connection.connection_lost(None)
    assert len(sent.outcomes) == 15
    assert len(wire.listener.faults) == 1


def test_the_recorded_conversation_itself_is_lawful() -> None:
    wire = Wire().settle(streams(20))
    sent = wire.submit(9)
    wire.connection.data_received(RECORDED)
    assert [fault.reason for fault in wire.listener.faults] == ["peer_went_away"]
    assert sent.kinds() == {"answered": 7, "unknown": 1}
    assert wire.queue.waiting == 1, "the refused one"


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.integers(1, 400), st.booleans())
def test_random_bytes(data: bytes, chunk: int, settled: bool) -> None:
    listen(data, chunk, settled=settled)


FRAME = st.builds(
    pack_frame,
    st.integers(0, 10),
    st.integers(0, 255),
    st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1)),
    st.one_of(st.binary(max_size=40), st.sampled_from([b"\x88", b"\0\0\0\1", b"\0\0\0\7", b"\x20\x88", bytes(8)])),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(FRAME, max_size=25), st.integers(1, 400))
def test_random_frames(frames: list[bytes], chunk: int) -> None:
    listen(b"".join(frames), chunk, settled=True)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["flip", "cut", "insert", "repeat", "swap"]),
            st.integers(0, len(RECORDED) - 1),
            st.integers(0, len(RECORDED) - 1),
            st.binary(min_size=1, max_size=9),
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 600),
)
def test_mutations_of_a_recorded_conversation(mutations: list[tuple[str, int, int, bytes]], chunk: int) -> None:
    data = bytearray(RECORDED)
    for kind, at, other, octets in mutations:
        low, high = sorted((at % max(1, len(data)), other % max(1, len(data))))
        if kind == "flip" and data:
            data[low] ^= octets[0] or 1
        elif kind == "cut":
            del data[low : min(high, low + 20)]
        elif kind == "insert":
            data[low:low] = octets
        elif kind == "repeat":
            data[high:high] = data[low:high]
        elif data:
            data[low], data[high] = data[high], data[low]
    listen(bytes(data[:20_000]), chunk, settled=True)
