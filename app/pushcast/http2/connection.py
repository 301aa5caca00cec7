"""One HTTP/2 client connection that pulls work from a queue and hands outcomes back in lists.

No future, task or timer exists per request, and none per connection: time comes in by `sweep`. Nothing blocks.
What is written is `Outbound`'s, what is out `Streams`', what is read `Inbound`'s, what comes of it `Answers`', and
silence `Pulse`'s.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Iterable
from typing import Final, Protocol, cast

from pushcast.http2.answers import CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES, Answers
from pushcast.http2.burst import Burst
from pushcast.http2.errors import (
    ClosedByUs,
    ConnectionDropped,
    ConnectionFault,
    PeerSilent,
    PeerViolation,
    PeerWentAway,
)
from pushcast.http2.frames import (
    CANCEL,
    DEFAULT_WINDOW_BYTES,
    ENHANCE_YOUR_CALM,
    ERROR_NAMES,
    NO_ERROR,
    PREFACE,
    PROTOCOL_ERROR,
    SETTINGS_ENABLE_PUSH,
    SETTINGS_HEADER_TABLE_SIZE,
    SETTINGS_INITIAL_WINDOW_SIZE,
    SETTINGS_MAX_CONCURRENT_STREAMS,
    SETTINGS_MAX_FRAME_SIZE,
    SETTINGS_MAX_HEADER_LIST_SIZE,
    pack_goaway,
    pack_ping,
    pack_settings,
    pack_settings_ack,
    pack_window_update,
    unpack_settings,
)
from pushcast.http2.inbound import Inbound
from pushcast.http2.leaving import Leaving, Unread
from pushcast.http2.options import ConnectionOptions
from pushcast.http2.outbound import Outbound
from pushcast.http2.pulse import Pulse, Situation
from pushcast.http2.queue import WorkQueue
from pushcast.http2.request import Job, Kind, Response
from pushcast.http2.streams import Streams

_MAX_HELD_CONTROL_BYTES: Final = 65_536
_MAX_DEBUG_BYTES: Final = 1_024
_PING_PAYLOAD: Final = b"pushcast"
_ABORT_SECONDS: Final = 2.0
_ENOUGH_STREAMS: Final = 64
_NOT_OURS: Final = Response(Kind.UNSENT, fault="not_ours")
_MOST_SPARE_IDS: Final = 1_000_000


class State(enum.Enum):
    """SETTLING until the server's SETTINGS; DRAINING takes no new requests."""

    SETTLING = "settling"
    OPEN = "open"
    DRAINING = "draining"
    CLOSED = "closed"


class Listener(Protocol):
    """The pool, as its connections see it. Called on the loop."""

    def opened(self, connection: Connection) -> None: ...

    def has_work(self) -> None:
        """Requests came back to the queue, or a draining connection made room for others."""

    def room_soon(self) -> None:
        """Some streams are free, too few to be worth a write: pump in a few milliseconds at the latest."""

    def answered(self, count: int, seconds: float) -> None:
        """So many answers came, which took so many seconds together: from when their requests had left until now."""

    def ended(self, connection: Connection, fault: ConnectionFault) -> None: ...


class Connection(asyncio.Protocol):
    """`started` and `answered` count requests. `fault` says why it ended, `goaway` what the server said before."""

    def __init__(
        self,
        queue: WorkQueue,
        options: ConnectionOptions,
        listener: Listener,
        clock: Callable[[], float],
        *,
        worn_at: float | None = None,
    ) -> None:
        """`clock` in seconds, monotonic: `sweep` gets its time from the same."""
        now = clock()
        self.state = State.SETTLING
        self.fault: ConnectionFault | None = None
        self.goaway: PeerWentAway | None = None
        self.gone = False
        self.started = 0
        self.opened_at = now
        self._queue = queue
        self._options = options
        self._listener = listener
        self._clock = clock
        self._transport: asyncio.Transport | None = None
        self._leaving = Leaving()
        self._unread: Unread | None = None
        self._streams = Streams(queue)
        self._outbound = Outbound()
        self._answers = Answers(self._streams, self._outbound, options.max_body_bytes)
        self._inbound = Inbound(self._streams, self._answers, self._outbound, self, options.max_body_bytes)
        self._pulse = Pulse(options, now)
        self._peer_streams = options.max_streams
        self._worn_at = worn_at
        self._paused = False
        self._refused = False
        self._drain_until: float | None = None
        self._abort_at: float | None = None

    @property
    def answered(self) -> int:
        return self._answers.answered

    @property
    def serial(self) -> bool:
        """One request at a time, until the server has trusted one."""
        return self._options.serial_until_answered and not self._answers.trusted

    @property
    def in_flight(self) -> int:
        return len(self._streams.in_flight)

    @property
    def ids_left(self) -> int:
        """Requests this connection can still start before its stream ids run out."""
        return max(0, (self._options.max_stream_id - self._streams.next_id) // 2 + 1)

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
        return max(0, min(self.stream_limit - self.in_flight, self.ids_left))

    @property
    def short_of_streams(self) -> bool:
        """Streams, and not windows, our own budget or the transport, are what keeps this connection from more work."""
        limit = self.stream_limit
        return limit - self.in_flight <= min(_ENOUGH_STREAMS, limit // 6) and not self._paused

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._unread = Unread(self._transport)
        settings = {
            SETTINGS_HEADER_TABLE_SIZE: 0,
            SETTINGS_ENABLE_PUSH: 0,
            SETTINGS_INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES,
        }
        widened = pack_window_update(0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES)
        self._transport.set_write_buffer_limits(high=self._options.write_high_bytes)
        self._write(PREFACE + pack_settings(settings) + widened)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._note_left(self._clock())
        self._flush_control()
        self.pump()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        self._transport = None
        if self.state is not State.CLOSED:
            self._end(self.goaway or ConnectionDropped(str(exc) if exc else "the server closed the connection"))

    def pump(self) -> int:
        """Starts what waits, as far as every limit allows; returns how many requests were started.

        Of jobs that may leave no more nothing is started; what of a request is out already is written to its end."""
        total = 0
        while not self._paused and self.state in (State.OPEN, State.DRAINING):
            pieces: list[bytes] = []
            now = self._clock()
            whole = self._outbound.encode_rests(pieces, self._options.max_write_bytes)
            bursts = [self._streams.in_flight[stream_id] for stream_id in whole]
            for burst in bursts:
                burst.sent_at = now
            started = self._start_some(pieces, bursts, now)
            if not pieces:
                break
            self._write(b"".join(pieces), bursts)
            total += started
        self._streams.deliver()
        return total

    def _start_some(self, pieces: list[bytes], bursts: list[Burst], now: float) -> int:
        queue, outbound, streams = self._queue, self._outbound, self._streams
        room = min(self.room, queue.max_in_flight - queue.in_flight)
        budget = self._options.max_write_bytes
        started = 0
        while room > 0 and budget > 0:
            job = queue.head()
            if job is None:
                break
            if not job.may_leave():
                streams.end(job, queue.take(job, job.size), _NOT_OURS)
                continue
            count = outbound.admit(job, min(room, budget // job.request_bytes + 1))
            if not count:
                break
            indices = queue.take(job, count)
            if not indices:
                continue
            if job.list_bytes > outbound.max_list_bytes:
                streams.end(job, indices, Response(Kind.UNSENT, fault="header_list_too_large"))
                continue
            burst = streams.open(job, indices, now)
            bursts.append(burst)
            outbound.encode(job, indices, burst.first_id, pieces)
            count = len(indices)
            started += count
            room -= count
            budget -= count * job.request_bytes
        if started:
            self.started += started
            self._pulse.requested()
            streams.count()
        return started

    def _write(self, data: bytes, bursts: Iterable[Burst] = ()) -> None:
        if self._transport is not None:
            self._transport.write(data)
            self._leaving.wrote(len(data), bursts, self._transport.get_write_buffer_size())

    def _note_left(self, now: float) -> None:
        if self._transport is not None:
            self._leaving.look(self._transport.get_write_buffer_size(), now)

    def _all_read(self) -> bool:
        return self._unread is None or self._unread.all_read()

    def _flush_control(self) -> None:
        control = self._answers.control
        if not control:
            return
        if not self._paused:
            self._write(bytes(control))
            control.clear()
        elif len(control) > _MAX_HELD_CONTROL_BYTES:
            self._violate(PeerViolation("the server asks for more than it reads", ENHANCE_YOUR_CALM))

    def data_received(self, data: bytes) -> None:
        if self._unread is not None:
            self._unread.received_bytes += len(data)
        if self.state is State.CLOSED:
            return
        self._pulse.heard = True
        now = self._clock()
        self._note_left(now)
        try:
            self._inbound.feed(data)
        except PeerViolation as violation:
            self._violate(violation)
            return
        if self._streams.answers:
            self._listener.answered(*self._streams.measured(now))
        self._after_change()

    def _after_change(self) -> None:
        self._streams.count()
        self._flush_control()
        if self.state is State.DRAINING:
            if self._outbound.rests:
                self.pump()
            self._listener.has_work()
            self._streams.deliver()
            self._close_when_drained()
        elif self._outbound.rests or (self._queue.waiting and self._worth_a_write()):
            self.pump()
        else:
            self._streams.deliver()

    def _worth_a_write(self) -> bool:
        """A saturated connection, or pool, waits a moment for some more streams: a write for each freed stream costs a
        quarter more CPU than a write for sixteen. The moment is bounded by the pool (`room_soon`)."""
        queue = self._queue
        room = min(self.room, max(0, queue.max_in_flight - queue.in_flight))
        enough = min(_ENOUGH_STREAMS, self.stream_limit // 6, queue.max_in_flight // 6)
        if room >= enough or room >= self._queue.waiting:
            return True
        if room:
            self._listener.room_soon()
        return False

    def settings(self, payload: bytes) -> None:
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
        self._answers.control += pack_settings_ack()
        if self.state is State.SETTLING:
            self.state = State.OPEN
            self._listener.opened(self)

    def going_away(self, last_id: int, error_code: int, debug: bytes) -> None:
        name = ERROR_NAMES.get(error_code, str(error_code))
        self.goaway = PeerWentAway(f"GOAWAY {name}", error_code, debug[:_MAX_DEBUG_BYTES])
        self.state = State.DRAINING
        self._give_back([stream_id for stream_id in self._streams.in_flight if stream_id > last_id])

    def refused(self, stream_id: int) -> None:
        self._refused = True
        burst = self._streams.in_flight[stream_id]
        job = burst.job
        index = burst.indices[(stream_id - burst.first_id) >> 1]
        refusals = job.refusals[index] = job.refusals.get(index, 0) + 1
        if refusals <= self._options.max_refusals:
            self._give_back((stream_id,))
        else:
            self._answers.abandon(stream_id, Kind.REFUSED, "reset:REFUSED_STREAM")

    def _give_back(self, stream_ids: Iterable[int]) -> None:
        """What the server did not process waits again."""
        for job, indices in self._answers.withdraw(stream_ids).items():
            self._queue.give_back(job, indices)
        self._listener.has_work()

    def cancel(self, job: Job, indices: Iterable[int]) -> None:
        """Ends those of `indices` that are out on this connection, as UNKNOWN "cancelled", and frees their streams."""
        for stream_id in self._streams.of(job, set(indices)):
            self._answers.reset(stream_id, CANCEL, Kind.UNKNOWN, "cancelled")
        if self.state is not State.CLOSED:
            self._after_change()

    def sweep(self, now: float) -> None:
        """What time does: deadlines, PINGs, the end of settling and of draining. Call it every tick.

        Nothing is missing while something lies in the socket: that is judged at the next tick, when it has been read.
        """
        if self.state is State.CLOSED:
            self._abort_when_due(now)
            return
        self._refused = False
        self._note_left(now)
        late = list(self._streams.late(now))
        if late and self._all_read():
            for stream_id in late:
                self._answers.reset(stream_id, CANCEL, Kind.DEADLINE, "deadline")
        try:
            if self._pulse.look(now, self._situation()):
                self._answers.control += pack_ping(_PING_PAYLOAD)
        except PeerSilent as fault:
            if self._all_read():
                self._end(fault)
                return
        if self.state is State.DRAINING:
            if self._drain_until is None:
                self._drain_until = now + self._options.drain_seconds
            if now >= self._drain_until and self._all_read():
                self._end(self.goaway or PeerSilent("requests were not answered while draining"))
                return
        self._after_change()

    def _situation(self) -> Situation:
        if self.state is State.SETTLING:
            return Situation.SETTLING
        return Situation.WAITING if self._streams.in_flight or self._paused else Situation.IDLE

    def drain(self) -> None:
        """No new requests; closes when those out are answered or `drain_seconds` have passed."""
        if self.state is State.SETTLING:
            self._end(ClosedByUs("closed before it was open"))
        elif self.state is State.OPEN:
            self.state = State.DRAINING
            self._close_when_drained()

    def _close_when_drained(self) -> None:
        if self.state is State.DRAINING and not self._streams.in_flight:
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
        for stream_id in list(self._streams.in_flight):
            self._answers.abandon(stream_id, Kind.UNKNOWN, fault.reason)
        self._streams.count()
        if self._transport is not None:
            self._transport.write(bytes(self._answers.control) + pack_goaway(0, error_code))
            self._transport.close()
        self._inbound.close()
        self._answers.control.clear()
        self._streams.deliver()
        self._listener.ended(self, fault)

    def _abort_when_due(self, now: float) -> None:
        """A peer that does not read would keep a closed transport open for ever."""
        if self.gone or self._transport is None:
            return
        if self._abort_at is None:
            self._abort_at = now + _ABORT_SECONDS
        elif now >= self._abort_at:
            self._transport.abort()
