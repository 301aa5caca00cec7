"""A connection on a transport made of lists, and a peer that reads it strictly: no sockets, no loop, no clock."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hpack import Decoder, Encoder

from pushcast.http2.connection import Connection
from pushcast.http2.errors import ConnectionFault
from pushcast.http2.frames import (
    CONTINUATION,
    DATA,
    FLAG_ACK,
    FLAG_END_HEADERS,
    FLAG_END_STREAM,
    GOAWAY,
    HEADERS,
    LARGEST_MAX_FRAME_BYTES,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    SETTINGS_MAX_CONCURRENT_STREAMS,
    Frame,
    pack_data,
    pack_headers,
    pack_settings,
    pack_settings_ack,
    strip_padding,
    unpack_u32,
)
from pushcast.http2.leave import MayLeave, always
from pushcast.http2.listener import State
from pushcast.http2.options import ConnectionOptions
from pushcast.http2.queue import WorkQueue
from pushcast.http2.request import Outcomes, RequestJob, Response, Template, Varying
from unit.http2.splitter import FrameSplitter

TIMEOUT_SECONDS = 1_000.0


class ListTransport(asyncio.Transport):
    """Keeps what was written; `full` says how many bytes pause the writer, as a peer that does not read does, and
    `buffered` how many of them have not left. Where something waits to be read, that is told by the socket it is on."""

    def __init__(self, full: int | None = None, on: socket.socket | None = None) -> None:
        super().__init__({"socket": on})
        self.written: list[bytes] = []
        self.closed = False
        self.aborted = False
        self.full = full
        self.buffered = 0
        self.protocol: asyncio.Protocol | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))
        if self.full is not None and sum(map(len, self.written)) > self.full:
            assert self.protocol is not None
            self.protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return None


@dataclass
class Request:
    stream_id: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    ended: bool = False
    reset: int | None = None

    def header(self, name: bytes) -> bytes | None:
        return dict(self.headers).get(name)


class Listening:
    """What a pool would hear."""

    def __init__(self) -> None:
        self.faults: list[ConnectionFault] = []
        self.work = 0
        self.soon = 0
        self.open = 0
        self.answers: list[tuple[int, float]] = []

    def opened(self, connection: Connection) -> None:
        self.open += 1

    def has_work(self) -> None:
        self.work += 1

    def room_soon(self) -> None:
        self.soon += 1

    def answered(self, count: int, seconds: float) -> None:
        self.answers.append((count, seconds))

    def ended(self, connection: Connection, fault: ConnectionFault) -> None:
        self.faults.append(fault)


@dataclass
class Sent:
    """A job and what came back of it."""

    job: RequestJob
    lists: list[Outcomes] = field(default_factory=list)

    @property
    def outcomes(self) -> dict[int, Response]:
        flat = [pair for outcomes in self.lists for pair in outcomes]
        ended = dict(flat)
        assert len(ended) == len(flat), "an index ended twice"
        return ended

    def kinds(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for response in self.outcomes.values():
            counts[response.kind.value] = counts.get(response.kind.value, 0) + 1
        return counts


def raise_error(error: Exception) -> None:
    raise error


class Wire:
    """One connection and its peer. `requests` is everything the client sent, as a strict server understands it."""

    def __init__(
        self,
        options: ConnectionOptions | None = None,
        *,
        max_in_flight: int = 100_000,
        queue: WorkQueue | None = None,
        full: int | None = None,
        table_bytes: int = 4_096,
        on: socket.socket | None = None,
    ) -> None:
        self.listener = Listening()
        self.queue = queue or WorkQueue(max_waiting=100_000, max_in_flight=max_in_flight, on_error=raise_error)
        self.now = 0.0
        self.connection = Connection(self.queue, options or ConnectionOptions(), self.listener, lambda: self.now)
        self.transport = ListTransport(full, on)
        self.transport.protocol = self.connection
        self.frames: list[Frame] = []
        self.requests: dict[int, Request] = {}
        self.encoder = Encoder()
        self.encoder.header_table_size = 0
        self.decoder = Decoder()
        self.decoder.max_allowed_table_size = 4_096
        self._splitter = FrameSplitter(LARGEST_MAX_FRAME_BYTES)
        self._block = b""
        self._preface = len(PREFACE)
        self.connection.connection_made(self.transport)

    def settle(self, settings: dict[int, int] | None = None) -> Wire:
        self.say(pack_settings({} if settings is None else settings) + pack_settings_ack())
        return self

    def say(self, data: bytes) -> None:
        self.connection.data_received(data)
        self.read()

    def read(self) -> list[Frame]:
        """Takes what the client wrote, checks it, and returns its frames."""
        data = b"".join(self.transport.written)
        self.transport.written.clear()
        if self._preface:
            assert data.startswith(PREFACE)
            data, self._preface = data[len(PREFACE) :], 0
        frames = self._splitter.feed(data)
        for frame in frames:
            self._understand(frame)
        self.frames += frames
        return frames

    def _understand(self, frame: Frame) -> None:
        if self._block:
            assert frame.type == CONTINUATION, "a header block was interrupted"
        if frame.type in (HEADERS, CONTINUATION):
            if frame.type == HEADERS:
                assert frame.stream_id & 1
                assert frame.stream_id > max(self.requests, default=0), "stream ids must grow"
                self.requests[frame.stream_id] = Request(frame.stream_id, [], ended=bool(frame.flags & FLAG_END_STREAM))
            self._block += strip_padding(frame) if frame.type == HEADERS else frame.payload
            if frame.flags & FLAG_END_HEADERS:
                fields = [(bytes(name), bytes(value)) for name, value in self.decoder.decode(self._block, raw=True)]
                self._block = b""
                regular = [position for position, (name, _) in enumerate(fields) if not name.startswith(b":")]
                pseudo = [position for position, (name, _) in enumerate(fields) if name.startswith(b":")]
                assert not regular or not pseudo or max(pseudo) < min(regular), "pseudo-headers come first"
                self.requests[frame.stream_id].headers = fields
        elif frame.type == DATA:
            request = self.requests[frame.stream_id]
            assert not request.ended
            assert request.reset is None
            request.body += strip_padding(frame)
            request.ended = bool(frame.flags & FLAG_END_STREAM)
        elif frame.type == RST_STREAM:
            self.requests[frame.stream_id].reset = unpack_u32(frame.payload, "RST_STREAM")

    def submit(
        self,
        count: int,
        *,
        template: Template | None = None,
        first: int = 0,
        timeout_seconds: float = TIMEOUT_SECONDS,
        columns: Sequence[Sequence[bytes | None]] | None = None,
        may_leave: MayLeave = always,
    ) -> Sent:
        """A job, pumped at once."""
        sent = make_job(
            count, template=template, first=first, timeout_seconds=timeout_seconds, columns=columns, may_leave=may_leave
        )
        self.queue.submit(sent.job, 0.0)
        self.connection.pump()
        self.read()
        return sent

    def headers(
        self, stream_id: int, status: int = 200, *, end: bool = True, more: Sequence[tuple[str, str]] = ()
    ) -> bytes:
        block = self.encoder.encode([(":status", str(status)), *more])
        return pack_headers(stream_id, block, end_stream=end)

    def answer(self, stream_id: int, status: int = 200, body: bytes = b"") -> bytes:
        if not body:
            return self.headers(stream_id, status)
        return self.headers(stream_id, status, end=False) + pack_data(stream_id, body)

    @property
    def unanswered(self) -> list[int]:
        return [request.stream_id for request in self.requests.values() if request.reset is None]

    def is_open(self) -> bool:
        return self.connection.state in (State.OPEN, State.DRAINING)


BODY = b'{"aps":{"alert":"hello"}}'


def apns_template(body: bytes = BODY) -> Template:
    return Template(
        authority=b"push.example",
        path=Varying(b":path", b"/3/device/"),
        headers=[(b"authorization", b"bearer " + b"t" * 100), (b"apns-topic", b"com.example.news")],
        varying=[Varying(b"apns-id")],
        body=body,
    )


def make_job(
    count: int,
    *,
    template: Template | None = None,
    first: int = 0,
    timeout_seconds: float = TIMEOUT_SECONDS,
    columns: Sequence[Sequence[bytes | None]] | None = None,
    then: Callable[[Outcomes], None] | None = None,
    may_leave: MayLeave = always,
) -> Sent:
    template = template or apns_template()
    if columns is None:
        columns = [
            [b"%064x" % n for n in range(first, first + count)],
            [b"id-%08d" % n for n in range(first, first + count)],
        ]
    sent: list[Sent] = []

    def note(outcomes: Outcomes) -> None:
        sent[0].lists.append(outcomes)
        if then is not None:
            then(outcomes)

    sent.append(Sent(RequestJob(template, columns, timeout_seconds, note, may_leave=may_leave)))
    return sent[0]


def settings_frames(frames: Sequence[Frame]) -> list[Frame]:
    return [frame for frame in frames if frame.type == SETTINGS and not frame.flags & FLAG_ACK]


def goaways(frames: Sequence[Frame]) -> list[Frame]:
    return [frame for frame in frames if frame.type == GOAWAY]


def streams(limit: int) -> dict[int, int]:
    return {SETTINGS_MAX_CONCURRENT_STREAMS: limit}
