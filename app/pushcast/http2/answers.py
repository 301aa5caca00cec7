"""Answers of one connection while they come, and the ends of requests that get none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pushcast.http2.flow import ReceiveWindow
from pushcast.http2.frames import (
    CANCEL,
    DEFAULT_WINDOW_BYTES,
    PREFACE,
    PROTOCOL_ERROR,
    SETTINGS_ENABLE_PUSH,
    SETTINGS_HEADER_TABLE_SIZE,
    SETTINGS_INITIAL_WINDOW_SIZE,
    pack_rst_stream,
    pack_settings,
    pack_window_update,
)
from pushcast.http2.hpack import split_status
from pushcast.http2.outbound import Outbound
from pushcast.http2.request import Kind, RequestJob, Response
from pushcast.http2.streams import Streams

STREAM_WINDOW_BYTES: Final = 262_144
CONNECTION_WINDOW_BYTES: Final = 1 << 24
UNAUTHENTICATED: Final = frozenset((401, 403))
_HEADERLESS: Final = frozenset((200, 204))
#: What a client says first: its SETTINGS, and a window for the whole connection.
HELLO: Final = (
    PREFACE
    + pack_settings(
        {
            SETTINGS_HEADER_TABLE_SIZE: 0,
            SETTINGS_ENABLE_PUSH: 0,
            SETTINGS_INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES,
        }
    )
    + pack_window_update(0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES)
)


class PartialResponse:
    """What came of a response so far."""

    __slots__ = ("body", "headers", "status", "window")

    def __init__(self, status: int, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        self.status = status
        self.headers = headers
        self.body: bytes | bytearray = b""
        self.window: ReceiveWindow | None = None


class Answers:
    """Answers under way (`partial`, by stream id) and what must go out in return for them (`control`).

    `answered` counts answers that are whole; `trusted`: one of them was neither 401 nor 403.
    """

    __slots__ = ("_max_body_bytes", "_outbound", "_receive", "_streams", "answered", "control", "partial", "trusted")

    def __init__(self, streams: Streams, outbound: Outbound, max_body_bytes: int) -> None:
        self.answered = 0
        self.trusted = False
        self.control = bytearray()
        self.partial: dict[int, PartialResponse] = {}
        self._streams = streams
        self._outbound = outbound
        self._max_body_bytes = max_body_bytes
        self._receive = ReceiveWindow(CONNECTION_WINDOW_BYTES)

    def grant(self, received_bytes: int) -> None:
        """So many bytes of DATA were received."""
        increment = self._receive.consume(received_bytes)
        if increment:
            self.control += pack_window_update(0, increment)

    def headers(self, stream_id: int, fields: list[tuple[bytes, bytes]], end_stream: bool) -> None:
        """A header block: of an answer, of an interim one, or its trailers."""
        burst = self._streams.in_flight.get(stream_id)
        if burst is None:
            return
        answer = self.partial.get(stream_id)
        if answer is not None:
            if end_stream:
                self._whole(stream_id, answer)
            else:
                self.reset(stream_id, PROTOCOL_ERROR, Kind.UNKNOWN, "malformed_response")
            return
        status, headers = split_status(fields)
        if status < 200 and (end_stream or status in (0, 101)):
            self.reset(stream_id, PROTOCOL_ERROR, Kind.UNKNOWN, "malformed_response")
        elif status >= 200:
            if status in _HEADERLESS and not burst.job.template.wants_headers:
                headers = ()
            answer = PartialResponse(status, headers)
            if end_stream:
                self._whole(stream_id, answer)
            else:
                self.partial[stream_id] = answer

    def data(self, stream_id: int, data: bytes, flow_bytes: int, end_stream: bool) -> None:
        """Part of a body; `flow_bytes` counts padding, too."""
        self.grant(flow_bytes)
        if stream_id not in self._streams.in_flight:
            return
        answer = self.partial.get(stream_id)
        if answer is None:
            self.reset(stream_id, PROTOCOL_ERROR, Kind.UNKNOWN, "malformed_response")
            return
        if end_stream and not answer.body:
            answer.body = data
        else:
            answer.body = bytearray(answer.body) if isinstance(answer.body, bytes) else answer.body
            answer.body += data
        if end_stream:
            self._whole(stream_id, answer)
            return
        if len(answer.body) > self._max_body_bytes:
            answer.body = answer.body[: self._max_body_bytes]
            self.reset(stream_id, CANCEL, Kind.UNKNOWN, "oversize_body")
            return
        if answer.window is None:
            answer.window = ReceiveWindow(STREAM_WINDOW_BYTES)
        increment = answer.window.consume(flow_bytes)
        if increment:
            self.control += pack_window_update(stream_id, increment)

    def _whole(self, stream_id: int, answer: PartialResponse) -> None:
        """The response is complete; the request may not be (RFC 9113 §8.1: then its rest is pointless)."""
        if self._outbound.rests.pop(stream_id, None) is not None:
            self.control += pack_rst_stream(stream_id, CANCEL)
        self.partial.pop(stream_id, None)
        self._streams.answered(stream_id, Response(Kind.ANSWERED, answer.status, answer.headers, bytes(answer.body)))
        self.answered += 1
        if answer.status not in UNAUTHENTICATED:
            self.trusted = True

    def abandon(self, stream_id: int, kind: Kind, fault: str) -> None:
        """Ends a stream that gets no (whole) answer. A status that came counts as the answer all the same. Without one,
        a request whose body has not left to its end was not processed, whatever ended it: no server has all of it."""
        rest = self._outbound.rests.pop(stream_id, None)
        answer = self.partial.pop(stream_id, None)
        if answer is None:
            response = Response(kind if rest is None or kind is Kind.REFUSED else Kind.UNSENT, fault=fault)
        else:
            body = bytes(answer.body)
            response = Response(Kind.ANSWERED, answer.status, answer.headers, body, "incomplete_body")
        self._streams.finish(stream_id, response)

    def reset(self, stream_id: int, error_code: int, kind: Kind, fault: str) -> None:
        """Ends a stream by our own will."""
        self.control += pack_rst_stream(stream_id, error_code)
        self.abandon(stream_id, kind, fault)

    def withdraw(self, stream_ids: Iterable[int]) -> dict[RequestJob, list[int]]:
        """Takes back streams that the server did not process: their requests, by job."""
        back: dict[RequestJob, list[int]] = {}
        for stream_id in stream_ids:
            self._outbound.rests.pop(stream_id, None)
            self.partial.pop(stream_id, None)
            job, index = self._streams.remove(stream_id)
            back.setdefault(job, []).append(index)
        return back
