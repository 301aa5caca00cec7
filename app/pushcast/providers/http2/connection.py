"""One HTTP/2 client connection that pulls work from a queue and hands outcomes back in lists.

No future, task or timer exists per request, and none per connection: time comes in by `sweep`. Nothing blocks.
"""

from __future__ import annotations

import asyncio
import enum
import struct
from collections.abc import Iterable, Sequence
from typing import Final, Protocol, cast

from pushcast.providers.http2.burst import Burst
from pushcast.providers.http2.errors import (
    ClosedByUs,
    ConnectionDropped,
    ConnectionFault,
    PeerSilent,
    PeerViolation,
    PeerWentAway,
)
from pushcast.providers.http2.flow import ReceiveWindow
from pushcast.providers.http2.frames import (
    CANCEL,
    CONTINUATION,
    DATA,
    DEFAULT_MAX_FRAME_BYTES,
    DEFAULT_WINDOW_BYTES,
    ENHANCE_YOUR_CALM,
    ERROR_NAMES,
    FLAG_ACK,
    FLAG_END_HEADERS,
    FLAG_END_STREAM,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEADERS,
    LARGEST_STREAM_ID,
    NO_ERROR,
    PING,
    PREFACE,
    PRIORITY,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    SETTINGS_ENABLE_PUSH,
    SETTINGS_HEADER_TABLE_SIZE,
    SETTINGS_INITIAL_WINDOW_SIZE,
    SETTINGS_MAX_CONCURRENT_STREAMS,
    SETTINGS_MAX_FRAME_SIZE,
    SETTINGS_MAX_HEADER_LIST_SIZE,
    WINDOW_UPDATE,
    Frame,
    frame_prefix,
    pack_goaway,
    pack_ping,
    pack_rst_stream,
    pack_settings,
    pack_settings_ack,
    pack_window_update,
    strip_padding,
    unpack_goaway,
    unpack_settings,
    unpack_u32,
)
from pushcast.providers.http2.hpack import ResponseDecoder, split_status
from pushcast.providers.http2.options import ConnectionOptions
from pushcast.providers.http2.outbound import Outbound
from pushcast.providers.http2.queue import WorkQueue, deliver
from pushcast.providers.http2.request import Job, Kind, Response

_UNPACK_HEADER: Final = struct.Struct(">HBBBI").unpack_from
_STREAM_WINDOW_BYTES: Final = 262_144
_CONNECTION_WINDOW_BYTES: Final = 1 << 24
_MAX_BLOCK_BYTES: Final = 65_536
_MAX_CONTINUATIONS: Final = 64
_MAX_HELD_CONTROL_BYTES: Final = 65_536
_MAX_DEBUG_BYTES: Final = 1_024
_MAX_PINGS_WITHOUT_REQUEST: Final = 2
_PING_PAYLOAD: Final = b"pushcast"
_ABORT_SECONDS: Final = 2.0
_ENOUGH_STREAMS: Final = 64
_WHOLE_BLOCK: Final = (FLAG_END_STREAM | FLAG_END_HEADERS, FLAG_END_HEADERS)
# A body this small is not counted against its stream's window, which is a hundred times larger.
_MOST_UNCOUNTED_BYTES: Final = 2_048
_EMPTY_END: Final = frame_prefix(0, DATA, FLAG_END_STREAM)
_MOST_SPARE_IDS: Final = 1_000_000
_INDEXED_200: Final = 0x88
_OK: Final = Response(Kind.ANSWERED, 200)
_HEADERLESS: Final = frozenset((200, 204))
_UNAUTHENTICATED: Final = frozenset((401, 403))


class State(enum.Enum):
    """SETTLING until the server's SETTINGS; DRAINING takes no new requests."""

    SETTLING = "settling"
    OPEN = "open"
    DRAINING = "draining"
    CLOSED = "closed"


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


class Listener(Protocol):
    """The pool, as its connections see it. Called on the loop."""

    def opened(self, connection: Connection) -> None: ...

    def has_work(self) -> None:
        """Requests came back to the queue, or a draining connection made room for others."""

    def room_soon(self) -> None:
        """Some streams are free, too few to be worth a write: pump in a few milliseconds at the latest."""

    def ended(self, connection: Connection, fault: ConnectionFault) -> None: ...


class _Answer:
    """What came of a response so far."""

    __slots__ = ("body", "headers", "status", "window")

    def __init__(self, status: int, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        self.status = status
        self.headers = headers
        self.body: bytes | bytearray = b""
        self.window: ReceiveWindow | None = None


class _Block:
    """A header block that continues in further frames."""

    __slots__ = ("bytes", "end_stream", "frames", "stream_id")

    def __init__(self, stream_id: int, first: bytes, end_stream: bool) -> None:
        self.stream_id = stream_id
        self.bytes = bytearray(first)
        self.end_stream = end_stream
        self.frames = 0


class Connection(asyncio.Protocol):
    """`started` and `answered` count requests. `fault` says why it ended, `goaway` what the server said before."""

    def __init__(
        self,
        queue: WorkQueue,
        options: ConnectionOptions,
        listener: Listener,
        now: float,
        *,
        worn_at: float | None = None,
    ) -> None:
        self.state = State.SETTLING
        self.fault: ConnectionFault | None = None
        self.goaway: PeerWentAway | None = None
        self.gone = False
        self.serial = options.serial_until_answered
        self.started = 0
        self.answered = 0
        self.opened_at = now
        self._queue = queue
        self._options = options
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._outbound = Outbound()
        self._decoder = ResponseDecoder()
        self._receive = ReceiveWindow(_CONNECTION_WINDOW_BYTES)
        self._peer_streams = options.max_streams
        self._next_id = 1
        self._worn_at = worn_at
        self._in_flight: dict[int, Burst] = {}
        self._counted = 0
        self._bursts: dict[Burst, None] = {}
        self._answers: dict[int, _Answer] = {}
        self._touched: dict[Job, None] = {}
        self._block: _Block | None = None
        self._rest = b""
        self._control = bytearray()
        self._paused = False
        self._refused = False
        self._heard = True
        self._heard_at = now
        self._swept_at = now
        self._ping_at: float | None = None
        self._pings_without_request = 0
        self._drain_until: float | None = None
        self._abort_at: float | None = None

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    @property
    def ids_left(self) -> int:
        """Requests this connection can still start before its stream ids run out."""
        return max(0, (self._options.max_stream_id - self._next_id) // 2 + 1)

    def worn(self, now: float) -> bool:
        """Time for a successor: of age, or short of stream ids."""
        spare_ids = min(_MOST_SPARE_IDS, self._options.max_stream_id // 20)
        return self.ids_left < spare_ids or (self._worn_at is not None and now >= self._worn_at)

    @property
    def stream_limit(self) -> int:
        """Streams allowed now: the server's limit, ours, or 1 before the first answer."""
        return min(1, self._peer_streams) if self.serial else self._peer_streams

    @property
    def room(self) -> int:
        """Requests that may start now, as far as streams are concerned."""
        if self.state is not State.OPEN or self._refused:
            return 0
        return max(0, min(self.stream_limit - len(self._in_flight), self.ids_left))

    @property
    def short_of_streams(self) -> bool:
        """Streams, and not windows, our own budget or the transport, are what keeps this connection from more work."""
        limit = self.stream_limit
        return limit - len(self._in_flight) <= min(_ENOUGH_STREAMS, limit // 6) and not self._paused

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        settings = {
            SETTINGS_HEADER_TABLE_SIZE: 0,
            SETTINGS_ENABLE_PUSH: 0,
            SETTINGS_INITIAL_WINDOW_SIZE: _STREAM_WINDOW_BYTES,
        }
        widened = pack_window_update(0, _CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES)
        self._transport.set_write_buffer_limits(high=self._options.write_high_bytes)
        self._write(PREFACE + pack_settings(settings) + widened)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._flush_control()
        self.pump()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        self._transport = None
        if self.state is not State.CLOSED:
            self._end(self.goaway or ConnectionDropped(str(exc) if exc else "the server closed the connection"))

    def pump(self) -> int:
        """Starts what waits, as far as every limit allows; returns how many requests were started."""
        total = 0
        while not self._paused and self.state in (State.OPEN, State.DRAINING):
            pieces: list[bytes] = []
            self._outbound.encode_rests(pieces, self._options.max_write_bytes)
            started = self._start_some(pieces)
            if not pieces:
                break
            self._write(b"".join(pieces))
            total += started
        self._deliver()
        return total

    def _start_some(self, pieces: list[bytes]) -> int:
        queue, outbound = self._queue, self._outbound
        room = min(self.room, queue.max_in_flight - queue.in_flight)
        budget = self._options.max_write_bytes
        before = self._next_id
        while room > 0 and budget > 0:
            job = queue.head()
            if job is None:
                break
            count = outbound.admit(job, min(room, budget // job.request_bytes + 1))
            if not count:
                break
            indices = queue.take(job, count)
            if not indices:
                continue
            if job.list_bytes > outbound.max_list_bytes:
                self._add(job, indices, Response(Kind.UNSENT, fault="header_list_too_large"))
                continue
            self._register(job, indices)
            outbound.encode(job, indices, self._next_id, pieces)
            self._next_id += 2 * len(indices)
            room -= len(indices)
            budget -= len(indices) * job.request_bytes
        started = (self._next_id - before) // 2
        if started:
            self.started += started
            self._pings_without_request = 0
            self._count()
        return started

    def _register(self, job: Job, indices: Sequence[int]) -> None:
        first = self._next_id
        burst = Burst(job, indices, first)
        self._in_flight.update(dict.fromkeys(range(first, first + 2 * len(indices), 2), burst))
        self._bursts[burst] = None

    def _count(self) -> None:
        self._queue.in_flight += len(self._in_flight) - self._counted
        self._counted = len(self._in_flight)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _flush_control(self) -> None:
        if not self._control:
            return
        if not self._paused:
            self._write(bytes(self._control))
            self._control.clear()
        elif len(self._control) > _MAX_HELD_CONTROL_BYTES:
            self._violate(PeerViolation("the server asks for more than it reads", ENHANCE_YOUR_CALM))

    def _add(self, job: Job, indices: Iterable[int], response: Response) -> None:
        job.outbox.extend((index, response) for index in indices)
        self._touched[job] = None

    def _deliver(self) -> None:
        if self._touched:
            jobs, self._touched = self._touched, {}
            deliver(jobs, self._queue.on_error)

    def data_received(self, data: bytes) -> None:
        if self.state is State.CLOSED:
            return
        self._heard = True
        try:
            self._parse(self._rest + data if self._rest else data)
        except PeerViolation as violation:
            self._violate(violation)
            return
        self._count()
        self._flush_control()
        self._after_answers()

    def _after_answers(self) -> None:
        if self.state is State.DRAINING:
            if self._outbound.rests:
                self.pump()
            self._listener.has_work()
            self._deliver()
            self._close_when_drained()
        elif self._outbound.rests or (self._queue.waiting and self._worth_a_write()):
            self.pump()
        else:
            self._deliver()

    def _worth_a_write(self) -> bool:
        """A saturated connection waits a moment for some more streams: a write for each freed stream costs a quarter
        more CPU than a write for sixteen. The moment is bounded by the pool (`room_soon`)."""
        room = self.room
        enough = min(_ENOUGH_STREAMS, self.stream_limit // 6)
        if room >= enough or room >= self._queue.waiting:
            return True
        if room:
            self._listener.room_soon()
        return False

    def _parse(self, buffer: bytes) -> None:
        """The usual answers are taken here: HEADERS with status 200 alone, with one DATA frame behind it, or with one
        and an empty one, as FCM has it. Everything else, and every doubt, is for `_on_frame`."""
        start, size = 0, len(buffer)
        in_flight, answers, touched, rests = self._in_flight, self._answers, self._touched, self._outbound.rests
        uncounted = min(_MOST_UNCOUNTED_BYTES, self._options.max_body_bytes)
        answered = received_bytes = 0
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
                            answers[stream_id] = _Answer(200, ())
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
                    del self._bursts[burst]
                answered += 1
                if self.serial and response.status not in _UNAUTHENTICATED:
                    self.serial = False
            start = end
        self._rest = buffer[start:]
        self.answered += answered
        if received_bytes:
            self._grant(received_bytes)

    def _grant(self, received_bytes: int) -> None:
        increment = self._receive.consume(received_bytes)
        if increment:
            self._control += pack_window_update(0, increment)

    def _on_frame(self, frame: Frame) -> None:
        kind, flags, stream_id, payload = frame
        if len(payload) > DEFAULT_MAX_FRAME_BYTES:
            raise PeerViolation(f"frame of {len(payload)} bytes exceeds MAX_FRAME_SIZE", FRAME_SIZE_ERROR)
        if self._block is not None and (kind != CONTINUATION or stream_id != self._block.stream_id):
            raise PeerViolation("a header block was interrupted", PROTOCOL_ERROR)
        if self.state is State.SETTLING and (kind != SETTINGS or flags & FLAG_ACK):
            raise PeerViolation("the first frame is not SETTINGS", PROTOCOL_ERROR)
        if kind == HEADERS:
            self._check_stream(stream_id, "HEADERS")
            block = strip_padding(frame)
            end_stream = bool(flags & FLAG_END_STREAM)
            if flags & FLAG_END_HEADERS:
                self._on_headers(stream_id, block, end_stream)
            else:
                self._block = _Block(stream_id, block, end_stream)
        elif kind == DATA:
            self._check_stream(stream_id, "DATA")
            self._on_data(stream_id, strip_padding(frame), len(payload), bool(flags & FLAG_END_STREAM))
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
        elif kind in (SETTINGS, PING, GOAWAY):
            if stream_id:
                raise PeerViolation("a connection frame came on a stream", PROTOCOL_ERROR)
            if kind == SETTINGS:
                self._on_settings(payload, bool(flags & FLAG_ACK))
            elif kind == PING:
                self._on_ping(payload, bool(flags & FLAG_ACK))
            else:
                self._on_goaway(*unpack_goaway(payload))

    def _check_stream(self, stream_id: int, what: str) -> None:
        if not stream_id & 1 or stream_id >= self._next_id:
            raise PeerViolation(f"{what} on stream {stream_id}, which we never opened", PROTOCOL_ERROR)

    def _on_continuation(self, payload: bytes, flags: int) -> None:
        block = self._block
        if block is None:
            raise PeerViolation("CONTINUATION without a header block", PROTOCOL_ERROR)
        block.bytes += payload
        block.frames += 1
        if len(block.bytes) > _MAX_BLOCK_BYTES or block.frames > _MAX_CONTINUATIONS:
            raise PeerViolation(
                f"header block of more than {_MAX_BLOCK_BYTES} bytes or {_MAX_CONTINUATIONS} frames", ENHANCE_YOUR_CALM
            )
        if flags & FLAG_END_HEADERS:
            self._block = None
            self._on_headers(block.stream_id, bytes(block.bytes), block.end_stream)

    def _on_headers(self, stream_id: int, encoded: bytes, end_stream: bool) -> None:
        fields = self._decoder.decode(encoded)
        burst = self._in_flight.get(stream_id)
        if burst is None:
            return
        answer = self._answers.get(stream_id)
        if answer is not None:
            if end_stream:
                self._answer(stream_id, answer)
            else:
                self._reset(stream_id, PROTOCOL_ERROR, Kind.UNKNOWN, "malformed_response")
            return
        status, headers = split_status(fields)
        if status < 200 and (end_stream or status in (0, 101)):
            self._reset(stream_id, PROTOCOL_ERROR, Kind.UNKNOWN, "malformed_response")
        elif status >= 200:
            if status in _HEADERLESS and not burst.job.template.wants_headers:
                headers = ()
            answer = _Answer(status, headers)
            if end_stream:
                self._answer(stream_id, answer)
            else:
                self._answers[stream_id] = answer

    def _on_data(self, stream_id: int, data: bytes, flow_bytes: int, end_stream: bool) -> None:
        self._grant(flow_bytes)
        if stream_id not in self._in_flight:
            return
        answer = self._answers.get(stream_id)
        if answer is None:
            self._reset(stream_id, PROTOCOL_ERROR, Kind.UNKNOWN, "malformed_response")
            return
        if end_stream and not answer.body:
            answer.body = data
        else:
            answer.body = bytearray(answer.body) if isinstance(answer.body, bytes) else answer.body
            answer.body += data
        if end_stream:
            self._answer(stream_id, answer)
            return
        if len(answer.body) > self._options.max_body_bytes:
            answer.body = answer.body[: self._options.max_body_bytes]
            self._reset(stream_id, CANCEL, Kind.UNKNOWN, "oversize_body")
            return
        if answer.window is None:
            answer.window = ReceiveWindow(_STREAM_WINDOW_BYTES)
        increment = answer.window.consume(flow_bytes)
        if increment:
            self._control += pack_window_update(stream_id, increment)

    def _answer(self, stream_id: int, answer: _Answer) -> None:
        """The response is complete; the request may not be (RFC 9113 §8.1: then its rest is pointless)."""
        if self._outbound.rests.pop(stream_id, None) is not None:
            self._control += pack_rst_stream(stream_id, CANCEL)
        self._answers.pop(stream_id, None)
        self._finish(stream_id, Response(Kind.ANSWERED, answer.status, answer.headers, bytes(answer.body)))
        self.answered += 1
        if answer.status not in _UNAUTHENTICATED:
            self.serial = False

    def _finish(self, stream_id: int, response: Response) -> None:
        burst, index = self._remove(stream_id)
        burst.job.outbox.append((index, response))
        self._touched[burst.job] = None

    def _remove(self, stream_id: int) -> tuple[Burst, int]:
        burst = self._in_flight.pop(stream_id)
        burst.left -= 1
        if not burst.left:
            del self._bursts[burst]
        return burst, burst.indices[(stream_id - burst.first_id) >> 1]

    def _abandon(self, stream_id: int, kind: Kind, fault: str) -> None:
        """Ends a stream that gets no (whole) answer. A status that came counts as the answer all the same."""
        self._outbound.rests.pop(stream_id, None)
        answer = self._answers.pop(stream_id, None)
        if answer is None:
            self._finish(stream_id, Response(kind, fault=fault))
        else:
            fault = "incomplete_body"
            self._finish(stream_id, Response(Kind.ANSWERED, answer.status, answer.headers, bytes(answer.body), fault))

    def _reset(self, stream_id: int, error_code: int, kind: Kind, fault: str) -> None:
        self._control += pack_rst_stream(stream_id, error_code)
        self._abandon(stream_id, kind, fault)

    def _on_reset(self, stream_id: int, error_code: int) -> None:
        burst = self._in_flight.get(stream_id)
        if burst is None:
            return
        if error_code == REFUSED_STREAM and stream_id not in self._answers:
            self._refused = True
            job = burst.job
            index = burst.indices[(stream_id - burst.first_id) >> 1]
            refusals = job.refusals[index] = job.refusals.get(index, 0) + 1
            if refusals <= self._options.max_refusals:
                self._return((stream_id,))
                return
            self._abandon(stream_id, Kind.REFUSED, "reset:REFUSED_STREAM")
            return
        self._abandon(stream_id, Kind.UNKNOWN, f"reset:{ERROR_NAMES.get(error_code, error_code)}")

    def _return(self, stream_ids: Iterable[int]) -> None:
        """Streams the server did not process: their requests wait again."""
        back: dict[Job, list[int]] = {}
        for stream_id in stream_ids:
            self._outbound.rests.pop(stream_id, None)
            self._answers.pop(stream_id, None)
            burst, index = self._remove(stream_id)
            back.setdefault(burst.job, []).append(index)
        for job, indices in back.items():
            self._queue.give_back(job, indices)
        self._listener.has_work()

    def _on_settings(self, payload: bytes, ack: bool) -> None:
        if ack:
            if payload:
                raise PeerViolation("acknowledgement of SETTINGS with a payload", FRAME_SIZE_ERROR)
            if not self._decoder.stateless:
                self._decoder.become_stateless()
            return
        for identifier, value in unpack_settings(payload):
            if identifier == SETTINGS_MAX_CONCURRENT_STREAMS:
                self._peer_streams = min(value, self._options.max_streams)
            elif identifier == SETTINGS_INITIAL_WINDOW_SIZE:
                self._outbound.set_stream_window(value)
            elif identifier == SETTINGS_MAX_FRAME_SIZE:
                self._outbound.set_max_frame(value)
            elif identifier == SETTINGS_HEADER_TABLE_SIZE:
                self._outbound.set_table_limit(value)
            elif identifier == SETTINGS_MAX_HEADER_LIST_SIZE:
                self._outbound.max_list_bytes = value
            elif identifier == SETTINGS_ENABLE_PUSH and value:
                raise PeerViolation("a server must not enable push", PROTOCOL_ERROR)
        self._control += pack_settings_ack()
        if self.state is State.SETTLING:
            self.state = State.OPEN
            self._listener.opened(self)

    def _on_ping(self, payload: bytes, ack: bool) -> None:
        if len(payload) != 8:
            raise PeerViolation(f"PING of {len(payload)} bytes is not 8", FRAME_SIZE_ERROR)
        if not ack:
            self._control += pack_ping(payload, ack=True)

    def _on_goaway(self, last_id: int, error_code: int, debug: bytes) -> None:
        name = ERROR_NAMES.get(error_code, str(error_code))
        self.goaway = PeerWentAway(f"GOAWAY {name}", error_code, debug[:_MAX_DEBUG_BYTES])
        self.state = State.DRAINING
        self._return([stream_id for stream_id in self._in_flight if stream_id > last_id])

    def cancel(self, job: Job, indices: Iterable[int]) -> None:
        """Ends those of `indices` that are out on this connection, as UNKNOWN "cancelled", and frees their streams."""
        wanted = set(indices)
        for burst in [burst for burst in self._bursts if burst.job is job]:
            for position, index in enumerate(burst.indices):
                stream_id = burst.first_id + 2 * position
                if index in wanted and self._in_flight.get(stream_id) is burst:
                    self._reset(stream_id, CANCEL, Kind.UNKNOWN, "cancelled")
        self._after_reset()

    def sweep(self, now: float) -> None:
        """What time does: deadlines, PINGs, the end of settling and of draining. Call it every tick."""
        if self.state is State.CLOSED:
            self._abort_when_due(now)
            return
        if self._heard:
            self._heard = False
            self._heard_at = now
            self._ping_at = None
        self._refused = False
        for burst in [burst for burst in self._bursts if burst.job.deadline_at <= now]:
            for position in range(len(burst.indices)):
                stream_id = burst.first_id + 2 * position
                if self._in_flight.get(stream_id) is burst:
                    self._reset(stream_id, CANCEL, Kind.DEADLINE, "deadline")
        self._watch_peer(now)
        self._swept_at = now
        if self.state is State.DRAINING:
            if self._drain_until is None:
                self._drain_until = now + self._options.drain_seconds
            if now >= self._drain_until:
                self._end(self.goaway or PeerSilent("requests were not answered while draining"))
        self._after_reset()

    def _after_reset(self) -> None:
        if self.state is State.CLOSED:
            return
        self._count()
        self._flush_control()
        self._after_answers()

    def _watch_peer(self, now: float) -> None:
        options = self._options
        silent_seconds = now - self._heard_at
        if self.state is State.SETTLING:
            if now - self.opened_at >= options.settings_timeout_seconds:
                self._end(PeerSilent("no SETTINGS came"))
        elif self._ping_at is not None:
            if now - self._swept_at > options.ping_timeout_seconds / 2:
                self._ping_at = now  # it was we who were away: the answer may wait in the socket
            elif now - self._ping_at >= options.ping_timeout_seconds:
                self._end(PeerSilent(f"nothing was heard for {silent_seconds:.1f} s, a PING included"))
        elif self._in_flight or self._paused:
            if (
                silent_seconds >= options.ping_after_seconds
                and self._pings_without_request < _MAX_PINGS_WITHOUT_REQUEST
            ):
                self._pings_without_request += 1
                self._ping(now)
        elif options.idle_ping_seconds is not None and silent_seconds >= options.idle_ping_seconds:
            self._ping(now)

    def _ping(self, now: float) -> None:
        self._ping_at = now
        self._control += pack_ping(_PING_PAYLOAD)

    def drain(self) -> None:
        """No new requests; closes when those out are answered or `drain_seconds` have passed."""
        if self.state is State.SETTLING:
            self._end(ClosedByUs("closed before it was open"))
        elif self.state is State.OPEN:
            self.state = State.DRAINING
            self._close_when_drained()

    def _close_when_drained(self) -> None:
        if self.state is State.DRAINING and not self._in_flight:
            self._end(self.goaway or ClosedByUs("drained"))

    def close(self) -> None:
        """Ends at once: what is out ends as UNKNOWN "closed_by_us"."""
        if self.state is not State.CLOSED:
            self._end(ClosedByUs("closed"))

    def discard(self) -> None:
        """For a connection that never served: goes away without a word to anyone."""
        self.state = State.CLOSED
        if self._transport is not None:
            self._transport.abort()

    def _violate(self, violation: PeerViolation) -> None:
        if self.state is not State.CLOSED:
            self._end(violation, violation.error_code)

    def _end(self, fault: ConnectionFault, error_code: int = NO_ERROR) -> None:
        self.state = State.CLOSED
        self.fault = fault
        for stream_id in list(self._in_flight):
            self._abandon(stream_id, Kind.UNKNOWN, fault.reason)
        self._count()
        self._rest, self._block = b"", None
        if self._transport is not None:
            self._transport.write(bytes(self._control) + pack_goaway(0, error_code))
            self._transport.close()
        self._control.clear()
        self._deliver()
        self._listener.ended(self, fault)

    def _abort_when_due(self, now: float) -> None:
        """A peer that does not read would keep a closed transport open for ever."""
        if self.gone or self._transport is None:
            return
        if self._abort_at is None:
            self._abort_at = now + _ABORT_SECONDS
        elif now >= self._abort_at:
            self._transport.abort()
