from __future__ import annotations

import asyncio
import itertools
from typing import cast

from hpack.hpack import Encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.http2 import frames as f
from pushcast.http2.server import ServerConnection, ServerSettings
from pushcast.http2.server_hpack import Shape, status_field
from unit.http2.splitter import FrameSplitter


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closed = False
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Echo:
    """Answers 200 with the body it got, or holds when the path says so."""

    def __init__(self) -> None:
        self.requests: list[tuple[bytes, bytes]] = []
        self.violations: list[str] = []
        self.cancelled_streams: list[int] = []

    def opened(self, connection: ServerConnection) -> None: ...

    def pinged(self, connection: ServerConnection) -> None: ...

    def closed(self, connection: ServerConnection, unanswered: int) -> None: ...

    def cancelled(self, connection: ServerConnection, stream_id: int) -> None:
        self.cancelled_streams.append(stream_id)

    def violated(self, connection: ServerConnection, what: str) -> None:
        self.violations.append(what)

    def request(
        self, connection: ServerConnection, stream_id: int, shape: Shape, values: tuple[bytes, ...], body: bytes
    ) -> None:
        path = dict(shape.fill(values)).get(b":path", b"")
        self.requests.append((path, body))
        if path == b"/hold":
            connection.hold(stream_id)
        else:
            connection.answer(stream_id, status_field(200), body)


def connected(**changes: int) -> tuple[ServerConnection, Wire, Echo]:
    handler, wire = Echo(), Wire()
    connection = ServerConnection(handler, ServerSettings(**({"max_concurrent_streams": 10} | changes)), 1)
    connection.connection_made(wire)
    return connection, wire, handler


def request(encoder: Encoder, stream_id: int, path: str, body: bytes = b"", *, pieces: int = 1) -> bytes:
    block = encoder.encode([(":method", "POST"), (":path", path), ("x", "y")])
    out = f.pack_headers(stream_id, block, end_stream=not body)
    size = max(1, len(body) // pieces)
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    return out + b"".join(
        f.pack_data(stream_id, chunk, end_stream=number == len(chunks) - 1) for number, chunk in enumerate(chunks)
    )


def conversation() -> bytes:
    encoder = Encoder()
    parts = [f.PREFACE, f.pack_settings({f.SETTINGS_INITIAL_WINDOW_SIZE: 40}), f.pack_settings_ack()]
    parts += [request(encoder, 1, "/a", b"one"), request(encoder, 3, "/b", b"x" * 100, pieces=7)]
    parts += [f.pack_ping(b"12345678"), request(encoder, 5, "/hold"), f.pack_rst_stream(5, f.CANCEL)]
    parts += [f.pack_window_update(0, 1_000), f.pack_window_update(3, 100), request(encoder, 7, "/c")]
    return b"".join(parts)


WHOLE = conversation()


def outcome(chunks: list[bytes]) -> tuple[list[tuple[bytes, bytes]], dict[int, bytes], list[str]]:
    connection, wire, handler = connected()
    for chunk in chunks:
        connection.data_received(chunk)
    bodies: dict[int, bytes] = {}
    for frame in FrameSplitter().feed(bytes(wire.written)):
        if frame.type == f.DATA:
            bodies[frame.stream_id] = bodies.get(frame.stream_id, b"") + frame.payload
    return handler.requests, bodies, handler.violations


@given(st.lists(st.integers(1, len(WHOLE) - 1), max_size=20, unique=True))
@settings(deadline=None)
def test_how_a_conversation_is_cut_makes_no_difference(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(WHOLE)]
    chunks = [WHOLE[start:end] for start, end in itertools.pairwise(edges)]
    assert outcome(chunks) == outcome([WHOLE])


def test_the_conversation_is_answered() -> None:
    requests, bodies, violations = outcome([WHOLE])
    assert requests == [(b"/a", b"one"), (b"/b", b"x" * 100), (b"/hold", b""), (b"/c", b"")]
    assert bodies == {1: b"one", 3: b"x" * 100}
    assert violations == []


@given(
    st.lists(st.tuples(st.integers(24, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(1, 400),
)
@settings(deadline=None, max_examples=300)
def test_a_hostile_client_ends_its_connection_and_nothing_else(mutations: list[tuple[int, int]], size: int) -> None:
    mutated = bytearray(WHOLE)
    for at, octet in mutations:
        mutated[at] = octet
    connection, wire, handler = connected()
    for start in range(0, len(mutated), size):
        connection.data_received(bytes(mutated[start : start + size]))
    frames = FrameSplitter(f.LARGEST_MAX_FRAME_BYTES).feed(bytes(wire.written))
    if "http2_error" in handler.violations:
        assert frames[-1].type == f.GOAWAY
        assert wire.closed


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_arbitrary_bytes_behind_the_preface_raise_nothing(data: bytes) -> None:
    connection, _, _ = connected()
    connection.data_received(f.PREFACE + data)


def test_windows_of_connection_and_stream_hold_answers_back() -> None:
    connection, wire, _ = connected()
    encoder = Encoder()
    connection.data_received(f.PREFACE + f.pack_settings({f.SETTINGS_INITIAL_WINDOW_SIZE: 10}) + f.pack_settings_ack())
    connection.data_received(request(encoder, 1, "/a", b"x" * 25))

    def received() -> int:
        return sum(len(fr.payload) for fr in FrameSplitter().feed(bytes(wire.written)) if fr.type == f.DATA)

    assert received() == 10
    connection.data_received(f.pack_window_update(1, 5))
    assert received() == 15
    connection.data_received(f.pack_settings({f.SETTINGS_INITIAL_WINDOW_SIZE: 12}))
    assert received() == 17
    connection.data_received(f.pack_window_update(1, 100))
    assert received() == 25
    assert connection.active == 0


def test_reading_stops_while_the_client_does_not_read() -> None:
    connection, wire, _ = connected()
    connection.pause_writing()
    assert not wire.reading
    connection.resume_writing()
    assert wire.reading


def test_a_lowered_limit_holds_from_the_acknowledgement_on() -> None:
    connection, wire, handler = connected()
    encoder = Encoder()
    connection.data_received(f.PREFACE + f.pack_settings({}) + f.pack_settings_ack())
    connection.send_settings({f.SETTINGS_MAX_CONCURRENT_STREAMS: 1})
    connection.flush()
    connection.data_received(request(encoder, 1, "/hold") + request(encoder, 3, "/hold"))
    assert handler.violations == []
    connection.data_received(f.pack_settings_ack() + request(encoder, 5, "/hold"))
    assert handler.violations == ["too_many_streams"]
    assert bytes(wire.written).endswith(f.pack_rst_stream(5, f.REFUSED_STREAM))


def test_requests_behind_a_goaway_are_not_looked_at() -> None:
    connection, _, handler = connected()
    encoder = Encoder()
    connection.data_received(f.PREFACE + f.pack_settings({}) + f.pack_settings_ack() + request(encoder, 1, "/hold"))
    connection.goaway(f.NO_ERROR, b"bye")
    connection.data_received(request(encoder, 3, "/a", b"body") + request(encoder, 5, "/a", b"body"))
    assert handler.requests == [(b"/hold", b"")]
    assert connection.open_stream_ids == [1]


def test_the_connection_window_is_given_back_as_it_is_used() -> None:
    connection, wire, _ = connected(connection_window_bytes=65_535)
    encoder = Encoder()
    connection.data_received(f.PREFACE + f.pack_settings({}) + f.pack_settings_ack())
    for number in range(9):
        connection.data_received(request(encoder, 1 + 2 * number, "/a", b"x" * 4_000))
    frames = FrameSplitter().feed(bytes(wire.written))
    updates = [f.unpack_u32(fr.payload, "W") for fr in frames if fr.type == f.WINDOW_UPDATE and fr.stream_id == 0]
    assert updates == [36_000]


def test_more_data_than_the_window_is_a_violation() -> None:
    connection, wire, handler = connected(connection_window_bytes=65_535, max_body_bytes=1 << 20)
    encoder = Encoder()
    block = encoder.encode([(":method", "POST"), (":path", "/a")])
    connection.data_received(f.PREFACE + f.pack_settings({}) + f.pack_settings_ack() + f.pack_headers(1, block))
    flood = b"".join(f.pack_data(1, b"x" * 16_000, end_stream=False) for _ in range(5))
    connection.data_received(flood)
    assert handler.violations == ["http2_error"]
    assert wire.closed
    assert cast("asyncio.Transport", wire) is connection.transport
