"""One HTTP/2 client connection that pulls work from a queue and hands outcomes back in lists.

No future, task or timer exists per request, and none per connection: time comes in by `sweep`. Nothing blocks.
`Starter` decides what leaves, `Outbound` encodes it, `Wire` writes it, `Streams` has what is out, `Inbound` reads,
`Answers` has what comes of it, and `Pulse` judges silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, cast

from pushcast.http2.answers import HELLO, Answers
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
    ENHANCE_YOUR_CALM,
    ERROR_NAMES,
    NO_ERROR,
    pack_goaway,
    pack_ping,
    pack_settings_ack,
)
from pushcast.http2.inbound import Inbound
from pushcast.http2.listener import Listener, State
from pushcast.http2.options import ConnectionOptions
from pushcast.http2.outbound import Outbound
from pushcast.http2.pulse import Pulse, Situation
from pushcast.http2.queue import WorkQueue
from pushcast.http2.request import Kind, RequestJob
from pushcast.http2.returns import Returns
from pushcast.http2.starter import Starter
from pushcast.http2.streams import Streams
from pushcast.http2.wire import Wire

_MAX_HELD_CONTROL_BYTES: Final = 65_536
_MAX_DEBUG_BYTES: Final = 1_024
_PING_PAYLOAD: Final = b"pushcast"
_MOST_SPARE_IDS: Final = 1_000_000


class Connection(asyncio.Protocol):
    """`started` and `answered` count requests. `fault` says why it ended, `goaway` what the server said before."""

    def __init__(
        self,
        queue: WorkQueue,
        options: ConnectionOptions,
        listener: Listener[Connection],
        clock: Callable[[], float],
        *,
        worn_at: float | None = None,
        welcome: bool = True,
    ) -> None:
        """`clock` in seconds, monotonic: `sweep` gets its time from the same. Unless `welcome`, it sends nothing before
        `let_in`, whatever the server has said by then."""
        now = clock()
        self.state = State.SETTLING
        self.fault: ConnectionFault | None = None
        self.goaway: PeerWentAway | None = None
        self.gone = False
        self.opened_at = now
        self._queue = queue
        self._options = options
        self._listener = listener
        self._clock = clock
        self._wire = Wire()
        self._streams = Streams(queue)
        self._outbound = Outbound()
        self._answers = Answers(self._streams, self._outbound, options.max_body_bytes)
        self._starter = Starter(queue, options, clock, self._wire, self._streams, self._outbound, self._answers)
        self._returns = Returns(queue, self._streams, self._answers, options.max_refusals, listener.has_work)
        self._inbound = Inbound(self._streams, self._answers, self._outbound, self, options.max_body_bytes)
        self._pulse = Pulse(options, now)
        self._worn_at = worn_at
        self._welcome, self._settled = welcome, False
        self._drain_until: float | None = None

    @property
    def started(self) -> int:
        return self._starter.started

    @property
    def answered(self) -> int:
        return self._answers.answered

    @property
    def serial(self) -> bool:
        """One request at a time, until the server has trusted one."""
        return self._starter.serial

    @property
    def in_flight(self) -> int:
        return len(self._streams.in_flight)

    @property
    def ids_left(self) -> int:
        """Requests this connection can still start before its stream ids run out."""
        return self._starter.ids_left

    def worn(self, now: float) -> bool:
        """Time for a successor: of age, or short of stream ids."""
        spare_ids = min(_MOST_SPARE_IDS, self._options.max_stream_id // 20)
        return self.ids_left < spare_ids or (self._worn_at is not None and now >= self._worn_at)

    @property
    def stream_limit(self) -> int:
        """Streams allowed now: the server's limit, ours, or 1 before the first answer."""
        return self._starter.stream_limit

    @property
    def short_of_streams(self) -> bool:
        """Streams, and not windows, our own budget or the transport, are what keeps this connection from more work."""
        return self._starter.short_of_streams

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire.made(cast(asyncio.Transport, transport), self._options.write_high_bytes)
        self._wire.write(HELLO)

    def pause_writing(self) -> None:
        self._wire.paused = True

    def resume_writing(self) -> None:
        self._wire.paused = False
        self._wire.note_left(self._clock())
        self._flush_control()
        self.pump()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        self._wire.lost()
        if self.state is not State.CLOSED:
            self._end(self.goaway or ConnectionDropped(str(exc) if exc else "the server closed the connection"))

    def pump(self) -> int:
        """Starts what waits, as far as every limit allows; returns how many requests were started."""
        started = 0
        if self.state in (State.OPEN, State.DRAINING):
            started = self._starter.run(takes_new=self.state is State.OPEN)
            if started:
                self._pulse.requested()
        self._streams.deliver()
        return started

    def _flush_control(self) -> None:
        control = self._answers.control
        if not control:
            return
        if not self._wire.paused:
            self._wire.write(bytes(control))
            control.clear()
        elif len(control) > _MAX_HELD_CONTROL_BYTES:
            self._violate(PeerViolation("the server asks for more than it reads", ENHANCE_YOUR_CALM))

    def data_received(self, data: bytes) -> None:
        self._wire.received(len(data))
        if self.state is State.CLOSED:
            return
        self._pulse.heard = True
        now = self._clock()
        self._wire.note_left(now)
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
        elif self._outbound.rests or (
            self._queue.waiting and self._starter.worth_a_write(self.state is State.OPEN, self._listener.room_soon)
        ):
            self.pump()
        else:
            self._streams.deliver()

    def settings(self, payload: bytes) -> None:
        most = self._outbound.settings(payload)
        if most is not None:
            self._starter.peer_streams = min(most, self._options.max_streams)
        self._answers.control += pack_settings_ack()
        self._settled = True
        self._open_when_ready()

    def let_in(self) -> None:
        """Whoever dialled has this connection now, and can cancel and end what it sends."""
        self._welcome = True
        self._open_when_ready()

    def _open_when_ready(self) -> None:
        if self.state is State.SETTLING and self._settled and self._welcome:
            self.state = State.OPEN
            self._listener.opened(self)

    def going_away(self, last_id: int, error_code: int, debug: bytes) -> None:
        name = ERROR_NAMES.get(error_code, str(error_code))
        self.goaway = PeerWentAway(f"GOAWAY {name}", error_code, debug[:_MAX_DEBUG_BYTES])
        self.state = State.DRAINING
        self._returns.beyond(last_id)

    def refused(self, stream_id: int) -> None:
        self._starter.refused = True
        self._returns.refused(stream_id)

    def cancel(self, job: RequestJob, indices: Iterable[int]) -> None:
        """Ends those of `indices` that are out on this connection, as UNKNOWN "cancelled", and frees their streams."""
        self._returns.cancel(job, indices)
        if self.state is not State.CLOSED:
            self._after_change()

    def sweep(self, now: float) -> None:
        """What time does: deadlines, PINGs, the end of settling and of draining. Call it every tick.

        Nothing is missing while something lies in the socket: that is judged at the next tick, when it has been read.
        """
        if self.state is State.CLOSED:
            if not self.gone:
                self._wire.abort_when_due(now)
            return
        self._starter.refused = False
        self._wire.note_left(now)
        late = list(self._streams.late(now))
        if late and self._wire.all_read():
            for stream_id in late:
                self._answers.reset(stream_id, CANCEL, Kind.DEADLINE, "deadline")
        try:
            if self._pulse.look(now, self._situation()):
                self._answers.control += pack_ping(_PING_PAYLOAD)
        except PeerSilent as fault:
            if self._wire.all_read():
                self._end(fault)
                return
        if self.state is State.DRAINING:
            if self._drain_until is None:
                self._drain_until = now + self._options.drain_seconds
            if now >= self._drain_until and self._wire.all_read():
                self._end(self.goaway or PeerSilent("requests were not answered while draining"))
                return
        self._after_change()

    def _situation(self) -> Situation:
        if self.state is State.SETTLING:
            return Situation.SETTLING
        return Situation.WAITING if self._streams.in_flight or self._wire.paused else Situation.IDLE

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
        self._wire.abort()

    def _violate(self, violation: PeerViolation) -> None:
        if self.state is not State.CLOSED:
            self._end(violation, violation.error_code)

    def _end(self, fault: ConnectionFault, error_code: int = NO_ERROR) -> None:
        self.state = State.CLOSED
        self.fault = fault
        for stream_id in list(self._streams.in_flight):
            self._answers.abandon(stream_id, Kind.UNKNOWN, fault.reason)
        self._streams.count()
        self._wire.close(bytes(self._answers.control) + pack_goaway(0, error_code))
        self._inbound.close()
        self._answers.control.clear()
        self._streams.deliver()
        self._listener.ended(self, fault)
