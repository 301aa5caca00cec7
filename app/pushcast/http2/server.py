"""The server side of HTTP/2 as one asyncio protocol with every frame in the hands of whoever handles requests.

Made for simulators: it can say what real servers say (GOAWAY in all its ways, RST_STREAM, SETTINGS at any time), it
never sends more than the client's windows allow, and it parses and answers in batches: one write for all the answers
that one read caused.
"""

from __future__ import annotations

import asyncio
import struct
import time
from typing import Final, Protocol, cast

from pushcast.http2 import frames as f
from pushcast.http2.errors import PeerViolation
from pushcast.http2.header_block import HeaderBlock
from pushcast.http2.server_hpack import BlockDecoder, Shape
from pushcast.http2.server_streams import ServerSettings, ServerStreams

__all__ = ["RequestHandler", "ServerConnection", "ServerSettings"]

_MAX_CONTINUATIONS: Final = 15
_UNPACK_HEADER: Final = struct.Struct(">HBBBI").unpack_from


class RequestHandler(Protocol):
    """Called on the loop, never awaited. For each request exactly one of `answer`, `hold` or `reset` is due."""

    def opened(self, connection: ServerConnection) -> None: ...

    def request(
        self, connection: ServerConnection, stream_id: int, shape: Shape, values: tuple[bytes, ...], body: bytes
    ) -> None:
        """One whole request, or one whose body passed `max_body_bytes` and is cut there."""
        ...

    def pinged(self, connection: ServerConnection) -> None: ...

    def cancelled(self, connection: ServerConnection, stream_id: int) -> None:
        """The client reset a stream that had not been answered."""
        ...

    def violated(self, connection: ServerConnection, what: str) -> None:
        """The client broke a rule; `what` is a stable snake_case word."""
        ...

    def closed(self, connection: ServerConnection, unanswered: int) -> None:
        """`unanswered` requests had been received whole and got no answer."""
        ...


class ServerConnection(ServerStreams, asyncio.Protocol):
    """One client connection: what arrives on it, and through ServerStreams what is sent.

    Reading pauses while the client does not read, so nothing piles up behind a slow one. `bytes_per_second` above 0
    makes the network slow: after each read the connection stands still for as long as the bytes would have taken.
    """

    def __init__(self, handler: RequestHandler, settings: ServerSettings, number: int) -> None:
        super().__init__(settings, number)
        self.received_at = 0.0
        self.requests = 0
        self.max_active = 0
        self.memo: object = None
        self.bytes_per_second = 0.0
        self._handler = handler
        self._decoder = BlockDecoder(settings.header_table_bytes)
        self._tail = b""
        self._preface_seen = False
        self._block: HeaderBlock | None = None
        self._receive_window = settings.connection_window_bytes
        self._consumed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.out.append(f.pack_settings(self._settings.announced()))
        extra = self._settings.connection_window_bytes - f.DEFAULT_WINDOW_BYTES
        if extra > 0:
            self.out.append(f.pack_window_update(0, extra))
        else:
            self._receive_window = f.DEFAULT_WINDOW_BYTES
        self._unacknowledged.append(self._limit)
        self._handler.opened(self)
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended:
            self._ended = True
            self._handler.closed(self, len(self._held))
        self._partial.clear()
        self._held.clear()
        self._blocked.clear()

    def pause_writing(self) -> None:
        if self.transport is not None:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.transport is not None and not self._frozen:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._ended or self._cut:
            return
        self.received_at = time.time()
        buffer = self._tail + data if self._tail else data
        try:
            self._tail = buffer[self._consume(buffer) :]
        except PeerViolation as violation:
            self._handler.violated(self, "http2_error")
            self.goaway(violation.error_code, str(violation).encode(), last_stream_id=self.last_stream_id)
            self._cut = True
            self.close()
            return
        if self._consumed * 2 >= self._settings.connection_window_bytes:
            self.out.append(f.pack_window_update(0, self._consumed))
            self._receive_window += self._consumed
            self._consumed = 0
        active = self.active
        if active > self.max_active:
            self.max_active = active
        self.flush()
        if self.bytes_per_second:
            self.freeze(True)
            asyncio.get_running_loop().call_later(len(data) / self.bytes_per_second, self.freeze, False)

    def _consume(self, buffer: bytes) -> int:
        """Handles the whole frames in `buffer`; returns how many bytes they were."""
        at, end = 0, len(buffer)
        if not self._preface_seen:
            if end < len(f.PREFACE) and f.PREFACE.startswith(buffer):
                return 0
            if not buffer.startswith(f.PREFACE):
                raise PeerViolation("no HTTP/2 preface")
            self._preface_seen = True
            at = len(f.PREFACE)
        partial, decode, request = self._partial, self._decoder.decode, self._handler.request
        max_frame = self._settings.max_frame_bytes
        while end - at >= 9 and not self._cut:
            high, low, kind, flags, stream_id = _UNPACK_HEADER(buffer, at)
            size = high << 8 | low
            stop = at + 9 + size
            if size > max_frame:
                raise PeerViolation("frame larger than MAX_FRAME_SIZE", f.FRAME_SIZE_ERROR)
            if stop > end:
                break
            if self._block is not None and kind != f.CONTINUATION:
                raise PeerViolation("a header block was interrupted by another frame")
            if kind == f.DATA:
                self._receive_window -= size
                self._consumed += size
                waiting = partial.get(stream_id)
                if flags == f.FLAG_END_STREAM and waiting is not None and not waiting[2]:
                    del partial[stream_id]
                    request(self, stream_id, waiting[0], waiting[1], buffer[at + 9 : stop])
                else:
                    self._data(f.Frame(kind, flags, stream_id, buffer[at + 9 : stop]), waiting)
                if self._receive_window < 0:
                    raise PeerViolation("more DATA than the connection window", f.FLOW_CONTROL_ERROR)
            elif kind == f.HEADERS:
                if flags == f.FLAG_END_HEADERS:
                    shape, values = decode(buffer[at + 9 : stop])
                    if self._admit(stream_id, shape, values):
                        partial[stream_id] = (shape, values, [])
                else:
                    self._headers(f.Frame(kind, flags, stream_id, buffer[at + 9 : stop]))
            else:
                self._control(f.Frame(kind, flags, stream_id, buffer[at + 9 : stop]))
            at = stop
        return at

    def _admit(self, stream_id: int, shape: Shape, values: tuple[bytes, ...]) -> bool:
        if not stream_id & 1:
            raise PeerViolation("request on a stream id that is not odd")
        if stream_id <= self.last_stream_id:
            if stream_id in self._partial:
                raise PeerViolation("HEADERS inside a request: trailers must end the stream")
            raise PeerViolation("stream id not above the last one", f.STREAM_CLOSED)
        if self._last_accepted is not None and stream_id > self._last_accepted:
            return False
        self.last_stream_id = stream_id
        if shape.list_bytes + sum(map(len, values)) > self._settings.max_header_list_bytes:
            self._handler.violated(self, "header_list_too_large")
            self.out.append(f.pack_rst_stream(stream_id, f.PROTOCOL_ERROR))
            return False
        if self.active >= self._limit:
            # Before its acknowledgement the client may not have seen our limit: refused, but no offence.
            if self._acknowledged is not None:
                self._handler.violated(self, "too_many_streams")
            else:
                self._handler.violated(self, "stream_before_settings_refused")
            self.out.append(f.pack_rst_stream(stream_id, f.REFUSED_STREAM))
            return False
        self.requests += 1
        return True

    def _headers(self, frame: f.Frame) -> None:
        block = f.strip_padding(frame)
        if not frame.flags & f.FLAG_END_HEADERS:
            self._block = HeaderBlock(frame.stream_id, frame.flags, block, _MAX_CONTINUATIONS)
            return
        self._header_block(frame.stream_id, frame.flags, block)

    def _header_block(self, stream_id: int, flags: int, block: bytes) -> None:
        shape, values = self._decoder.decode(block)
        ends = flags & f.FLAG_END_STREAM
        waiting = self._partial.get(stream_id)
        if waiting is not None:
            if not ends:
                raise PeerViolation("trailers must end the stream")
            del self._partial[stream_id]
            self._handler.request(self, stream_id, waiting[0], waiting[1], b"".join(waiting[2]))
        elif stream_id in self._overlong and ends:
            self._overlong.discard(stream_id)
        elif self._admit(stream_id, shape, values):
            if ends:
                self._handler.request(self, stream_id, shape, values, b"")
            else:
                self._partial[stream_id] = (shape, values, [])

    def _data(self, frame: f.Frame, waiting: tuple[Shape, tuple[bytes, ...], list[bytes]] | None) -> None:
        ends = frame.flags & f.FLAG_END_STREAM
        stream_id = frame.stream_id
        if waiting is None:
            if stream_id == 0 or (stream_id > self.last_stream_id and self._last_accepted is None):
                raise PeerViolation("DATA on an idle stream")
            if ends:
                self._overlong.discard(stream_id)
            return
        shape, values, chunks = waiting
        chunks.append(f.strip_padding(frame))
        size = sum(map(len, chunks))
        if ends:
            del self._partial[stream_id]
            self._handler.request(self, stream_id, shape, values, b"".join(chunks))
        elif size > self._settings.max_body_bytes:
            # RFC 9113 §8.1: a server may answer before the body is sent, and then tells the client to stop sending.
            del self._partial[stream_id]
            self._overlong.add(stream_id)
            self._handler.request(self, stream_id, shape, values, b"".join(chunks))
            if stream_id not in self._held:
                self.out.append(f.pack_rst_stream(stream_id, f.NO_ERROR))
        elif len(frame.payload):
            self.out.append(f.pack_window_update(stream_id, len(frame.payload)))

    def _control(self, frame: f.Frame) -> None:
        kind = frame.type
        if kind == f.SETTINGS:
            self.settings_received(frame)
        elif kind == f.WINDOW_UPDATE:
            self.window_update(frame)
        elif kind == f.PING:
            if len(frame.payload) != 8:
                raise PeerViolation("PING is not 8 bytes", f.FRAME_SIZE_ERROR)
            if not frame.flags & f.FLAG_ACK:
                self.out.append(f.pack_ping(frame.payload, ack=True))
                self._handler.pinged(self)
        elif kind == f.RST_STREAM:
            f.unpack_u32(frame.payload, "RST_STREAM")
            if frame.stream_id > self.last_stream_id and self._last_accepted is None:
                raise PeerViolation("RST_STREAM on an idle stream")
            if frame.stream_id in self._partial or frame.stream_id in self._held:
                self._forget(frame.stream_id)
                self._handler.cancelled(self, frame.stream_id)
        elif kind == f.CONTINUATION:
            waiting = self._block
            if waiting is None or waiting.stream_id != frame.stream_id:
                raise PeerViolation("CONTINUATION without HEADERS")
            waiting.add(frame.payload)
            if frame.flags & f.FLAG_END_HEADERS:
                self._block = None
                self._header_block(waiting.stream_id, waiting.flags, waiting.whole())
        elif kind == f.PUSH_PROMISE:
            raise PeerViolation("a client cannot push")
        elif kind == f.GOAWAY:
            f.unpack_goaway(frame.payload)
