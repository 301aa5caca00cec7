"""The server side of HTTP/2 as one asyncio protocol with every frame in the hands of whoever handles requests.

Made for simulators: it can say what real servers say (GOAWAY in all its ways, RST_STREAM, SETTINGS at any time), it
never sends more than the client's windows allow, and it parses and answers in batches: one write for all the answers
that one read caused.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol, cast

from pushcast.providers.http2 import frames as f
from pushcast.providers.http2.errors import PeerViolation
from pushcast.providers.http2.server_hpack import BlockDecoder, Shape

_MAX_BLOCK_BYTES: Final = 65_536
_PACK_U32: Final = f.PACK_U32
_UNPACK_HEADER: Final = struct.Struct(">HBBBI").unpack_from
# How long a connection that said its last GOAWAY waits for the client to read the answers and close.
_LINGER_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What the server announces. `connection_window_bytes` is granted with a WINDOW_UPDATE behind SETTINGS."""

    max_concurrent_streams: int
    initial_window_bytes: int = f.DEFAULT_WINDOW_BYTES
    max_frame_bytes: int = f.DEFAULT_MAX_FRAME_BYTES
    max_header_list_bytes: int = 8_000
    header_table_bytes: int = f.DEFAULT_HEADER_TABLE_BYTES
    connection_window_bytes: int = 16 * 1024 * 1024
    max_body_bytes: int = 65_536

    def announced(self) -> dict[int, int]:
        return {
            f.SETTINGS_HEADER_TABLE_SIZE: self.header_table_bytes,
            f.SETTINGS_MAX_CONCURRENT_STREAMS: self.max_concurrent_streams,
            f.SETTINGS_INITIAL_WINDOW_SIZE: self.initial_window_bytes,
            f.SETTINGS_MAX_FRAME_SIZE: self.max_frame_bytes,
            f.SETTINGS_MAX_HEADER_LIST_SIZE: self.max_header_list_bytes,
        }


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


class ServerConnection(asyncio.Protocol):
    """One client connection.

    `out` is what the next flush writes; whoever appends whole frames to it for a stream that was just received adds one
    to `answered` instead of calling `answer`. Open streams, held answers and blocked bodies are bounded by
    MAX_CONCURRENT_STREAMS; reading pauses while the client does not read.
    """

    def __init__(self, handler: RequestHandler, settings: ServerSettings, number: int) -> None:
        self.number = number
        self.out: list[bytes] = []
        self.answered = 0
        self.received_at = 0.0
        self.requests = 0
        self.last_stream_id = 0
        self.transport: asyncio.Transport | None = None
        self.going_away = False
        self.max_active = 0
        self.memo: object = None
        self._handler = handler
        self._settings = settings
        self._decoder = BlockDecoder(settings.header_table_bytes)
        self._tail = b""
        self._preface_seen = False
        self._partial: dict[int, tuple[Shape, tuple[bytes, ...], list[bytes]]] = {}
        self._overlong: set[int] = set()
        self._held: set[int] = set()
        self._blocked: dict[int, tuple[bytes, int]] = {}
        self._credit: dict[int, int] = {}
        self._block: tuple[int, int, list[bytes]] | None = None
        self._receive_window = settings.connection_window_bytes
        self._consumed = 0
        self._send_window = f.DEFAULT_WINDOW_BYTES
        self._peer_window = f.DEFAULT_WINDOW_BYTES
        self._peer_frame = f.DEFAULT_MAX_FRAME_BYTES
        self._limit = settings.max_concurrent_streams
        self._acknowledged: int | None = None
        self._unacknowledged: deque[int] = deque()
        self._unsent_limit: int | None = None
        self._last_accepted: int | None = None
        self._lingering = False
        self._frozen = False
        self._ended = False

    @property
    def active(self) -> int:
        """Streams that count against MAX_CONCURRENT_STREAMS, as the client sees it: answers not written yet count."""
        return len(self._partial) + len(self._held) + self.answered

    @property
    def open_stream_ids(self) -> list[int]:
        return sorted({*self._partial, *self._held})

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
        if self._ended:
            return
        self.received_at = time.time()
        buffer = self._tail + data if self._tail else data
        try:
            self._tail = buffer[self._consume(buffer) :]
        except PeerViolation as violation:
            self._handler.violated(self, "http2_error")
            self.goaway(violation.error_code, str(violation).encode(), last_stream_id=self.last_stream_id)
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
        while end - at >= 9:
            high, low, kind, flags, stream_id = _UNPACK_HEADER(buffer, at)
            stop = at + 9 + (high << 8 | low)
            if stop > end:
                if stop - at - 9 > max_frame:
                    raise PeerViolation("frame larger than MAX_FRAME_SIZE", f.FRAME_SIZE_ERROR)
                break
            if self._block is not None and kind != f.CONTINUATION:
                raise PeerViolation("a header block was interrupted by another frame")
            if kind == f.DATA:
                size = stop - at - 9
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
            self._block = (frame.stream_id, frame.flags, [block])
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
            self._settings_received(frame)
        elif kind == f.WINDOW_UPDATE:
            self._window_update(frame)
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
            if self._block is None or self._block[0] != frame.stream_id:
                raise PeerViolation("CONTINUATION without HEADERS")
            stream_id, flags, parts = self._block
            parts.append(frame.payload)
            if sum(map(len, parts)) > _MAX_BLOCK_BYTES or len(parts) > 16:
                raise PeerViolation("header block too large", f.ENHANCE_YOUR_CALM)
            if frame.flags & f.FLAG_END_HEADERS:
                self._block = None
                self._header_block(stream_id, flags, b"".join(parts))
        elif kind == f.PUSH_PROMISE:
            raise PeerViolation("a client cannot push")
        elif kind == f.GOAWAY:
            f.unpack_goaway(frame.payload)

    def _settings_received(self, frame: f.Frame) -> None:
        if frame.flags & f.FLAG_ACK:
            if self._unacknowledged:
                self._acknowledged = self._unacknowledged.popleft()
                self._limit = max((self._acknowledged, *self._unacknowledged))
            return
        for key, value in f.unpack_settings(frame.payload):
            if key == f.SETTINGS_INITIAL_WINDOW_SIZE:
                if value > f.LARGEST_WINDOW_BYTES:
                    raise PeerViolation("INITIAL_WINDOW_SIZE above 2^31-1", f.FLOW_CONTROL_ERROR)
                self._peer_window = value
            elif key == f.SETTINGS_MAX_FRAME_SIZE:
                if not f.DEFAULT_MAX_FRAME_BYTES <= value <= f.LARGEST_MAX_FRAME_BYTES:
                    raise PeerViolation("MAX_FRAME_SIZE out of range")
                self._peer_frame = value
        self.out.append(f.pack_settings_ack())
        self._send_blocked()

    def _window_update(self, frame: f.Frame) -> None:
        increment = f.unpack_u32(frame.payload, "WINDOW_UPDATE") & f.LARGEST_WINDOW_BYTES
        if not increment:
            raise PeerViolation("WINDOW_UPDATE of 0")
        stream_id = frame.stream_id
        if stream_id == 0:
            self._send_window += increment
            if self._send_window > f.LARGEST_WINDOW_BYTES:
                raise PeerViolation("connection window above 2^31-1", f.FLOW_CONTROL_ERROR)
        elif stream_id in self._partial or stream_id in self._held:
            self._credit[stream_id] = self._credit.get(stream_id, 0) + increment
        else:
            return
        self._send_blocked()

    def hold(self, stream_id: int) -> None:
        """The answer comes later (or never): the stream stays open."""
        self._held.add(stream_id)

    def answer(self, stream_id: int, block: bytes, body: bytes = b"", *, cut: int = 0, trail: bool = False) -> bool:
        """Queues an answer, obeying the client's windows; False when the stream is gone. Does not flush.

        `cut` > 0 sends the first `cut` bytes of the body in a DATA frame of their own; `trail` ends the stream with an
        empty DATA frame behind the body, as FCM does.
        """
        held = stream_id in self._held
        if self._ended:
            return False
        if not body and not trail:
            self.out.append(f.pack_headers(stream_id, block, end_stream=True, max_frame_bytes=self._peer_frame))
            self._finish(stream_id, held)
            return True
        self.out.append(f.pack_headers(stream_id, block, max_frame_bytes=self._peer_frame))
        window = min(self._send_window, self._peer_window + self._credit.get(stream_id, 0))
        if len(body) > window or (trail and not body):
            self._held.add(stream_id)
            self._blocked[stream_id] = (body, 0)
            self._send_blocked()
            return True
        self._send_window -= len(body)
        if cut and cut < len(body):
            self.out.append(f.pack_data(stream_id, body[:cut], end_stream=False))
            body = body[cut:]
        self.out.append(f.pack_data(stream_id, body, end_stream=not trail, max_frame_bytes=self._peer_frame))
        if trail:
            self.out.append(f.pack_data(stream_id, b""))
        self._finish(stream_id, held)
        return True

    def answer_held(
        self, stream_id: int, block: bytes, body: bytes = b"", *, cut: int = 0, trail: bool = False
    ) -> bool:
        """As `answer`, for a held stream; False when the client or a GOAWAY has ended it meanwhile."""
        return stream_id in self._held and self.answer(stream_id, block, body, cut=cut, trail=trail)

    def begin_answer(self, stream_id: int, block: bytes, body: bytes) -> None:
        """HEADERS and a DATA frame that does not end the stream: for answers that break off."""
        self.out.append(f.pack_headers(stream_id, block) + f.pack_data(stream_id, body, end_stream=False))
        self._send_window -= len(body)
        self._held.add(stream_id)

    def _send_blocked(self) -> None:
        for stream_id, (body, sent) in list(self._blocked.items()):
            window = min(self._send_window, self._peer_window + self._credit.get(stream_id, 0) - sent)
            part = body[: max(0, window)]
            if not part and body:
                continue
            self._send_window -= len(part)
            rest = body[len(part) :]
            self.out.append(f.pack_data(stream_id, part, end_stream=not rest, max_frame_bytes=self._peer_frame))
            if rest:
                self._blocked[stream_id] = (rest, sent + len(part))
            else:
                self._forget(stream_id)

    def _finish(self, stream_id: int, held: bool) -> None:
        if held:
            self._forget(stream_id)
            if stream_id in self._overlong:
                self.out.append(f.pack_rst_stream(stream_id, f.NO_ERROR))
        else:
            self.answered += 1

    def _forget(self, stream_id: int) -> None:
        self._partial.pop(stream_id, None)
        self._held.discard(stream_id)
        self._blocked.pop(stream_id, None)
        self._credit.pop(stream_id, None)

    def reset(self, stream_id: int, error_code: int) -> None:
        self.out.append(f.pack_rst_stream(stream_id, error_code))
        self._forget(stream_id)

    def send_settings(self, values: dict[int, int]) -> None:
        """Announces new values. A higher stream limit holds from the flush on, a lower one from the client's ACK."""
        if not self.out and self.transport is None:
            return
        self.out.append(f.pack_settings(values))
        current = self._unsent_limit if self._unsent_limit is not None else self._announced_limit()
        self._unsent_limit = values.get(f.SETTINGS_MAX_CONCURRENT_STREAMS, current)

    def _announced_limit(self) -> int:
        if self._unacknowledged:
            return self._unacknowledged[-1]
        return self._acknowledged if self._acknowledged is not None else self._limit

    def send_ping(self, payload: bytes) -> None:
        self.out.append(f.pack_ping(payload))

    def goaway(self, error_code: int, debug: bytes = b"", *, last_stream_id: int | None = None) -> None:
        """Streams above `last_stream_id` (default: the last one received) are ignored from now on.

        2^31-1 announces without refusing anything (RFC 9113 §6.8). Does not close; see `drain` and `close`.
        """
        last = self.last_stream_id if last_stream_id is None else last_stream_id
        self.out.append(f.pack_goaway(last, error_code, debug))
        self.going_away = True
        if last < f.LARGEST_STREAM_ID:
            self._last_accepted = last if self._last_accepted is None else min(last, self._last_accepted)
            for stream_id in [sid for sid in (*self._partial, *self._held) if sid > last]:
                self._forget(stream_id)

    def drain(self) -> None:
        """Closes once everything at or below the last GOAWAY is answered, plus two seconds for the client to read."""
        self._lingering = True

    def freeze(self, frozen: bool) -> None:
        """Half-open: neither reads nor writes until thawed."""
        self._frozen = frozen
        if self.transport is None or self._ended:
            return
        if frozen:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()
            self.flush()

    def flush(self) -> None:
        """Writes what is queued, in one write."""
        self.answered = 0
        if self._frozen or self._ended or self.transport is None:
            return
        if self.out:
            self.transport.write(b"".join(self.out))
            self.out.clear()
        if self._unsent_limit is not None:
            self._unacknowledged.append(self._unsent_limit)
            self._limit = max(self._limit, self._unsent_limit)
            self._unsent_limit = None
        if self._lingering and not self._held and not self._partial:
            self._lingering = False
            asyncio.get_running_loop().call_later(_LINGER_SECONDS, self.close)

    def close(self) -> None:
        """Flushes and closes; the transport still writes what it has."""
        if self.transport is not None and not self._ended:
            self.flush()
            self.transport.close()

    def abort(self) -> None:
        """Drops the connection without a word (TCP reset)."""
        if self.transport is not None:
            self.transport.abort()
