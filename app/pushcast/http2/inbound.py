"""The receiving half of a connection without its transport: frames become answers, and what must be said in return."""

from __future__ import annotations

import struct
from typing import Final, Protocol

from pushcast.http2.answers import UNAUTHENTICATED, Answers, PartialResponse
from pushcast.http2.errors import PeerViolation
from pushcast.http2.frames import (
    CONTINUATION,
    DATA,
    DEFAULT_MAX_FRAME_BYTES,
    ERROR_NAMES,
    FLAG_ACK,
    FLAG_END_HEADERS,
    FLAG_END_STREAM,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEADERS,
    LARGEST_STREAM_ID,
    PING,
    PRIORITY,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
    frame_prefix,
    pack_ping,
    strip_padding,
    unpack_goaway,
    unpack_u32,
)
from pushcast.http2.header_block import HeaderBlock
from pushcast.http2.hpack import ResponseDecoder
from pushcast.http2.outbound import Outbound
from pushcast.http2.request import Kind, Response
from pushcast.http2.streams import Streams

_UNPACK_HEADER: Final = struct.Struct(">HBBBI").unpack_from
_MAX_CONTINUATIONS: Final = 64
_WHOLE_BLOCK: Final = (FLAG_END_STREAM | FLAG_END_HEADERS, FLAG_END_HEADERS)
# A body this small is not counted against its stream's window, which is a hundred times larger.
_MOST_UNCOUNTED_BYTES: Final = 2_048
_EMPTY_END: Final = frame_prefix(0, DATA, FLAG_END_STREAM)
_INDEXED_200: Final = 0x88
_OK: Final = Response(Kind.ANSWERED, 200)


class Peer(Protocol):
    """The connection, for what its server says of itself rather than of one request."""

    def settings(self, payload: bytes) -> None: ...

    def going_away(self, last_id: int, error_code: int, debug: bytes) -> None: ...

    def refused(self, stream_id: int) -> None:
        """The server did not process this request."""


class Inbound:
    """Reads frames from whatever pieces they come in."""

    __slots__ = (
        "_answers",
        "_block",
        "_decoder",
        "_outbound",
        "_peer",
        "_rest",
        "_settled",
        "_streams",
        "_uncounted_bytes",
    )

    def __init__(self, streams: Streams, answers: Answers, outbound: Outbound, peer: Peer, max_body_bytes: int) -> None:
        self._streams = streams
        self._answers = answers
        self._outbound = outbound
        self._peer = peer
        self._uncounted_bytes = min(_MOST_UNCOUNTED_BYTES, max_body_bytes)
        self._decoder = ResponseDecoder()
        self._block: HeaderBlock | None = None
        self._rest = b""
        self._settled = False

    def feed(self, data: bytes) -> None:
        """Takes what was read. Raises PeerViolation.

        The usual answers are taken here: HEADERS with status 200 alone, with one DATA frame behind it, or with one and
        an empty one, as FCM has it. Everything else, and every doubt, is for `_on_frame`.
        """
        buffer = self._rest + data if self._rest else data
        start, size = 0, len(buffer)
        streams, trusted, rests = self._streams, self._answers.trusted, self._outbound.rests
        in_flight, bursts, touched = streams.in_flight, streams.bursts, streams.touched
        answers, uncounted = self._answers.partial, self._uncounted_bytes
        answered = received_bytes = 0
        sent_at = 0.0
        while size - start >= 9:
            high, low, kind, flags, stream_id = _UNPACK_HEADER(buffer, start)
            body = start + 9
            end = body + (high << 8 | low)
            if end > size:
                if end - body > DEFAULT_MAX_FRAME_BYTES:
                    raise PeerViolation(f"frame of {end - body} bytes exceeds MAX_FRAME_SIZE", FRAME_SIZE_ERROR)
                break
            response = None
            if kind == HEADERS:
                if (
                    end > body
                    and buffer[body] == _INDEXED_200
                    and flags in _WHOLE_BLOCK
                    and stream_id in in_flight
                    and stream_id not in answers
                    and stream_id not in rests
                    and self._decoder.stateless
                    and self._block is None
                    and not in_flight[stream_id].job.template.wants_headers
                ):
                    if flags == FLAG_END_HEADERS:
                        found = _body_behind(buffer, end, stream_id, uncounted)
                        if found is None:
                            answers[stream_id] = PartialResponse(200, ())
                            start = end
                            continue
                        data, end = found
                        response = Response(Kind.ANSWERED, 200, (), data)
                        received_bytes += len(data)
                    else:
                        response = _OK
            elif kind == DATA and stream_id in answers and stream_id not in rests and self._block is None:
                answer = answers[stream_id]
                if flags == FLAG_END_STREAM:
                    if not answer.body:
                        response = Response(Kind.ANSWERED, answer.status, answer.headers, buffer[body:end])
                    elif end == body and answer.body.__class__ is bytes:
                        response = Response(Kind.ANSWERED, answer.status, answer.headers, answer.body)
                    if response is not None:
                        del answers[stream_id]
                        received_bytes += end - body
                elif not flags and not answer.body and 0 < end - body <= uncounted:
                    answer.body = buffer[body:end]
                    received_bytes += end - body
                    start = end
                    continue
            if response is None:
                self._on_frame(Frame(kind, flags, stream_id & LARGEST_STREAM_ID, buffer[body:end]))
            else:
                burst = in_flight.pop(stream_id)
                job = burst.job
                job.outbox.append((burst.indices[(stream_id - burst.first_id) >> 1], response))
                touched[job] = None
                burst.left -= 1
                if not burst.left:
                    del bursts[burst]
                answered += 1
                sent_at += burst.sent_at
                if not trusted and response.status not in UNAUTHENTICATED:
                    trusted = self._answers.trusted = True
            start = end
        self._rest = buffer[start:]
        self._answers.answered += answered
        streams.answers += answered
        streams.answers_sent_at += sent_at
        if received_bytes:
            self._answers.grant(received_bytes)

    def _on_frame(self, frame: Frame) -> None:
        kind, flags, stream_id, payload = frame
        if len(payload) > DEFAULT_MAX_FRAME_BYTES:
            raise PeerViolation(f"frame of {len(payload)} bytes exceeds MAX_FRAME_SIZE", FRAME_SIZE_ERROR)
        if self._block is not None and (kind != CONTINUATION or stream_id != self._block.stream_id):
            raise PeerViolation("a header block was interrupted", PROTOCOL_ERROR)
        if not self._settled:
            if kind != SETTINGS or flags & FLAG_ACK:
                raise PeerViolation("the first frame is not SETTINGS", PROTOCOL_ERROR)
            self._settled = True
        if kind in (SETTINGS, PING, GOAWAY):
            if stream_id:
                raise PeerViolation("a connection frame came on a stream", PROTOCOL_ERROR)
            self._on_connection_frame(kind, flags, payload)
        elif kind == HEADERS:
            self._check_stream(stream_id, "HEADERS")
            block = strip_padding(frame)
            if flags & FLAG_END_HEADERS:
                self._answers.headers(stream_id, self._decoder.decode(block), bool(flags & FLAG_END_STREAM))
            else:
                self._block = HeaderBlock(stream_id, flags, block, _MAX_CONTINUATIONS)
        elif kind == DATA:
            self._check_stream(stream_id, "DATA")
            self._answers.data(stream_id, strip_padding(frame), len(payload), bool(flags & FLAG_END_STREAM))
        elif kind == CONTINUATION:
            self._on_continuation(payload, flags)
        elif kind == RST_STREAM:
            self._check_stream(stream_id, "RST_STREAM")
            self._on_reset(stream_id, unpack_u32(payload, "RST_STREAM"))
        elif kind == WINDOW_UPDATE:
            if stream_id:
                self._check_stream(stream_id, "WINDOW_UPDATE")
            self._outbound.widen(stream_id, unpack_u32(payload, "WINDOW_UPDATE") & LARGEST_STREAM_ID)
        elif kind == PRIORITY:
            if len(payload) != 5:
                raise PeerViolation(f"PRIORITY of {len(payload)} bytes is not 5", FRAME_SIZE_ERROR)
        elif kind == PUSH_PROMISE:
            raise PeerViolation("PUSH_PROMISE although push is disabled", PROTOCOL_ERROR)

    def _on_connection_frame(self, kind: int, flags: int, payload: bytes) -> None:
        ack = bool(flags & FLAG_ACK)
        if kind == GOAWAY:
            self._peer.going_away(*unpack_goaway(payload))
        elif kind == PING:
            if len(payload) != 8:
                raise PeerViolation(f"PING of {len(payload)} bytes is not 8", FRAME_SIZE_ERROR)
            if not ack:
                self._answers.control += pack_ping(payload, ack=True)
        elif not ack:
            self._peer.settings(payload)
        elif payload:
            raise PeerViolation("acknowledgement of SETTINGS with a payload", FRAME_SIZE_ERROR)
        elif not self._decoder.stateless:
            self._decoder.become_stateless()

    def _check_stream(self, stream_id: int, what: str) -> None:
        if not stream_id & 1 or stream_id >= self._streams.next_id:
            raise PeerViolation(f"{what} on stream {stream_id}, which we never opened", PROTOCOL_ERROR)

    def _on_continuation(self, payload: bytes, flags: int) -> None:
        block = self._block
        if block is None:
            raise PeerViolation("CONTINUATION without a header block", PROTOCOL_ERROR)
        block.add(payload)
        if flags & FLAG_END_HEADERS:
            self._block = None
            ends = bool(block.flags & FLAG_END_STREAM)
            self._answers.headers(block.stream_id, self._decoder.decode(block.whole()), ends)

    def _on_reset(self, stream_id: int, error_code: int) -> None:
        if stream_id not in self._streams.in_flight:
            return
        if error_code == REFUSED_STREAM and stream_id not in self._answers.partial:
            self._peer.refused(stream_id)
        else:
            self._answers.abandon(stream_id, Kind.UNKNOWN, f"reset:{ERROR_NAMES.get(error_code, error_code)}")

    def close(self) -> None:
        """Nothing more is read: lets go of what was half read."""
        self._rest, self._block = b"", None


def _body_behind(buffer: bytes, at: int, stream_id: int, most_bytes: int) -> tuple[bytes, int] | None:
    """An answer's body and where it ends, when all of it is here: one DATA frame, or one and an empty one behind it."""
    size = len(buffer)
    if size - at < 9:
        return None
    high, low, kind, flags, owner = _UNPACK_HEADER(buffer, at)
    start = at + 9
    end = start + (high << 8 | low)
    if kind != DATA or owner != stream_id or end > size or end - start > most_bytes:
        return None
    if flags == FLAG_END_STREAM:
        return buffer[start:end], end
    if flags or buffer[end : end + 9] != _EMPTY_END + buffer[at + 5 : start]:
        return None
    return buffer[start:end], end + 9
