"""The sending half of a connection without its transport: encoding under the peer's limits and windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pushcast.http2.burst import body_of, encode_burst, header_block
from pushcast.http2.errors import PeerViolation
from pushcast.http2.flow import widen
from pushcast.http2.frames import (
    DATA,
    DEFAULT_MAX_FRAME_BYTES,
    DEFAULT_WINDOW_BYTES,
    FLAG_END_STREAM,
    FLOW_CONTROL_ERROR,
    LARGEST_MAX_FRAME_BYTES,
    LARGEST_WINDOW_BYTES,
    PROTOCOL_ERROR,
    SETTINGS_ENABLE_PUSH,
    SETTINGS_HEADER_TABLE_SIZE,
    SETTINGS_INITIAL_WINDOW_SIZE,
    SETTINGS_MAX_CONCURRENT_STREAMS,
    SETTINGS_MAX_FRAME_SIZE,
    SETTINGS_MAX_HEADER_LIST_SIZE,
    frame_header,
    pack_headers,
    unpack_settings,
)
from pushcast.http2.hpack import Compiled, EncoderTable, compile_template
from pushcast.http2.request import RequestJob, Template

_MAX_COMPILED: Final = 16


class _Rest:
    """What of a request body is still to be sent, and the stream's window."""

    __slots__ = ("body", "offset", "window")

    def __init__(self, body: bytes, window: int) -> None:
        self.body = body
        self.offset = 0
        self.window = window


class Outbound:
    """Turns requests into bytes. `rests` holds bodies that did not fit a window, by stream id.

    Bytes must be written in the order they were produced: the header table depends on it.
    """

    __slots__ = ("_compiled", "_table", "max_frame_bytes", "max_list_bytes", "rests", "stream_window", "window")

    def __init__(self) -> None:
        self.window = DEFAULT_WINDOW_BYTES
        self.stream_window = DEFAULT_WINDOW_BYTES
        self.max_frame_bytes = DEFAULT_MAX_FRAME_BYTES
        self.max_list_bytes = LARGEST_WINDOW_BYTES
        self.rests: dict[int, _Rest] = {}
        self._table = EncoderTable()
        self._compiled: dict[Template, Compiled] = {}

    def admit(self, job: RequestJob, count: int) -> int:
        """How many of `count` requests of the job may start under the windows. A body that fits no window starts
        alone and leaves a rest."""
        size = job.body_bytes
        if not size:
            return count
        if size <= self.stream_window and size <= self.max_frame_bytes and size <= self.window:
            return min(count, self.window // size)
        return 1 if self.window > 0 else 0

    def encode(self, job: RequestJob, indices: Sequence[int], first_id: int, pieces: list[bytes]) -> None:
        """Appends the requests to `pieces`, on consecutive stream ids; every index gets its HEADERS."""
        compiled = self._compile(job.template)
        if compiled.intro is not None:
            intro, compiled.intro = compiled.intro, None
            self._encode_run(job, intro, indices[:1], first_id, pieces)
            indices, first_id = indices[1:], first_id + 2
        if indices:
            self._encode_run(job, compiled.steady, indices, first_id, pieces)

    def _compile(self, template: Template) -> Compiled:
        compiled = self._compiled.get(template)
        if compiled is None or compiled.generation != self._table.generation:
            if compiled is None and len(self._compiled) >= _MAX_COMPILED:
                self._compiled.clear()
            compiled = self._compiled[template] = compile_template(template, self._table)
        return compiled

    def _encode_run(
        self, job: RequestJob, segments: Sequence[bytes], indices: Sequence[int], first_id: int, pieces: list[bytes]
    ) -> None:
        size = job.body_bytes
        if size <= self.stream_window and size <= self.max_frame_bytes and size * len(indices) <= self.window:
            burst = encode_burst(job, segments, indices, first_id, self.max_frame_bytes)
            if burst is not None:
                pieces.extend(burst)
                self.window -= self._body_total(job, indices)
                return
        for position, index in enumerate(indices):
            stream_id = first_id + 2 * position
            body = body_of(job, index)
            block = header_block(job, segments, index)
            pieces.append(pack_headers(stream_id, block, end_stream=not body, max_frame_bytes=self.max_frame_bytes))
            if body:
                rest = _Rest(body, self.stream_window)
                self._encode_rest(stream_id, rest, pieces, len(body))
                if rest.offset < len(body):
                    self.rests[stream_id] = rest

    @staticmethod
    def _body_total(job: RequestJob, indices: Sequence[int]) -> int:
        if isinstance(job.template.body, bytes) or job.lengths[-1] is not None:
            return job.body_bytes * len(indices)
        body, column = job.template.body, job.columns[-1]
        around = len(body.prefix) + len(body.suffix)
        return around * len(indices) + sum(len(column[index] or b"") for index in indices)

    def encode_rests(self, pieces: list[bytes], budget_bytes: int) -> list[int]:
        """Appends DATA for unfinished bodies as far as windows and `budget_bytes` (roughly) allow. Returns the streams
        whose bodies are whole with it."""
        done: list[int] = []
        for stream_id, rest in self.rests.items():
            if self.window <= 0 or budget_bytes <= 0:
                break
            budget_bytes -= self._encode_rest(stream_id, rest, pieces, budget_bytes)
            if rest.offset == len(rest.body):
                done.append(stream_id)
        for stream_id in done:
            del self.rests[stream_id]
        return done

    def _encode_rest(self, stream_id: int, rest: _Rest, pieces: list[bytes], budget_bytes: int) -> int:
        size = len(rest.body)
        before = rest.offset
        while rest.offset < size and rest.offset - before < budget_bytes:
            length = min(self.window, rest.window, self.max_frame_bytes, size - rest.offset)
            if length <= 0:
                break
            end = rest.offset + length
            pieces.append(frame_header(length, DATA, FLAG_END_STREAM if end == size else 0, stream_id))
            pieces.append(rest.body[rest.offset : end])
            rest.offset = end
            rest.window -= length
            self.window -= length
        return rest.offset - before

    def widen(self, stream_id: int, increment: int) -> None:
        """A WINDOW_UPDATE. One for a stream without a rest has no effect. Raises PeerViolation."""
        if not stream_id:
            self.window = widen(self.window, increment, "the connection")
            return
        rest = self.rests.get(stream_id)
        if rest is not None:
            rest.window = widen(rest.window, increment, "a stream")

    def settings(self, payload: bytes) -> int | None:
        """The peer's SETTINGS. Returns its limit of concurrent streams when it names one. Raises PeerViolation."""
        most: int | None = None
        for identifier, value in unpack_settings(payload):
            if identifier == SETTINGS_MAX_CONCURRENT_STREAMS:
                most = value
            elif identifier == SETTINGS_INITIAL_WINDOW_SIZE:
                self.set_stream_window(value)
            elif identifier == SETTINGS_MAX_FRAME_SIZE:
                self.set_max_frame(value)
            elif identifier == SETTINGS_HEADER_TABLE_SIZE:
                self.set_table_limit(value)
            elif identifier == SETTINGS_MAX_HEADER_LIST_SIZE:
                self.max_list_bytes = value
            elif identifier == SETTINGS_ENABLE_PUSH and value:
                raise PeerViolation("a server must not enable push", PROTOCOL_ERROR)
        return most

    def set_stream_window(self, value: int) -> None:
        """SETTINGS_INITIAL_WINDOW_SIZE: moves the windows of open streams too, below zero if need be."""
        if value > LARGEST_WINDOW_BYTES:
            raise PeerViolation(f"INITIAL_WINDOW_SIZE {value} exceeds 2^31-1", FLOW_CONTROL_ERROR)
        change = value - self.stream_window
        self.stream_window = value
        for rest in self.rests.values():
            rest.window += change
            if rest.window > LARGEST_WINDOW_BYTES:
                raise PeerViolation("window of a stream grew beyond 2^31-1", FLOW_CONTROL_ERROR)

    def set_max_frame(self, value: int) -> None:
        if not DEFAULT_MAX_FRAME_BYTES <= value <= LARGEST_MAX_FRAME_BYTES:
            raise PeerViolation(f"MAX_FRAME_SIZE {value} is out of range", PROTOCOL_ERROR)
        self.max_frame_bytes = value

    def set_table_limit(self, value: int) -> None:
        self._table.set_limit(value)
