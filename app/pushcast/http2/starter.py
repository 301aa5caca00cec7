"""Which requests start, and when: a connection's streams, windows and budget against what waits in the queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pushcast.http2.answers import Answers
from pushcast.http2.burst import Burst
from pushcast.http2.options import ConnectionOptions
from pushcast.http2.outbound import Outbound
from pushcast.http2.queue import WorkQueue
from pushcast.http2.request import Kind, Response
from pushcast.http2.streams import Streams
from pushcast.http2.wire import Wire

_ENOUGH_STREAMS: Final = 64
_NOT_OURS: Final = Response(Kind.UNSENT, fault="not_ours")
_TOO_LARGE: Final = Response(Kind.UNSENT, fault="header_list_too_large")


class Starter:
    """`started` counts requests. `peer_streams` is the server's limit, `refused` that it took no stream lately."""

    __slots__ = (
        "_answers",
        "_clock",
        "_options",
        "_outbound",
        "_queue",
        "_streams",
        "_wire",
        "peer_streams",
        "refused",
        "started",
    )

    def __init__(
        self,
        queue: WorkQueue,
        options: ConnectionOptions,
        clock: Callable[[], float],
        wire: Wire,
        streams: Streams,
        outbound: Outbound,
        answers: Answers,
    ) -> None:
        self.started = 0
        self.peer_streams = options.max_streams
        self.refused = False
        self._queue = queue
        self._options = options
        self._clock = clock
        self._wire = wire
        self._streams = streams
        self._outbound = outbound
        self._answers = answers

    @property
    def serial(self) -> bool:
        """One request at a time, until the server has trusted one."""
        return self._options.serial_until_answered and not self._answers.trusted

    @property
    def ids_left(self) -> int:
        """Requests that can still start before the stream ids run out."""
        return max(0, (self._options.max_stream_id - self._streams.next_id) // 2 + 1)

    @property
    def stream_limit(self) -> int:
        """Streams allowed now: the server's limit, ours, or 1 before the first answer."""
        return min(1, self.peer_streams) if self.serial else self.peer_streams

    @property
    def short_of_streams(self) -> bool:
        """Streams, and not windows, our own budget or the transport, are what keeps this connection from more work."""
        limit = self.stream_limit
        return limit - len(self._streams.in_flight) <= min(_ENOUGH_STREAMS, limit // 6) and not self._wire.paused

    def room(self) -> int:
        """Requests that may start now, as far as streams are concerned."""
        if self.refused:
            return 0
        return max(0, min(self.stream_limit - len(self._streams.in_flight), self.ids_left))

    def run(self, *, takes_new: bool) -> int:
        """Writes rests of bodies and, where it `takes_new`, starts what waits; returns how many requests started.

        Of jobs that may leave no more nothing is started; what of a request is out already is written to its end."""
        total = 0
        while not self._wire.paused:
            pieces: list[bytes] = []
            now = self._clock()
            whole = self._outbound.encode_rests(pieces, self._options.max_write_bytes)
            bursts = [self._streams.in_flight[stream_id] for stream_id in whole]
            for burst in bursts:
                burst.sent_at = now
            started = self._start_some(pieces, bursts, now) if takes_new else 0
            if not pieces:
                break
            self._wire.write(b"".join(pieces), bursts)
            total += started
        return total

    def worth_a_write(self, takes_new: bool, room_soon: Callable[[], None]) -> bool:
        """A saturated connection, or pool, waits a moment for some more streams: a write for each freed stream costs a
        quarter more CPU than a write for sixteen. The moment is bounded by the pool (`room_soon`)."""
        queue = self._queue
        room = min(self.room() if takes_new else 0, max(0, queue.max_in_flight - queue.in_flight))
        enough = min(_ENOUGH_STREAMS, self.stream_limit // 6, queue.max_in_flight // 6)
        if room >= enough or room >= queue.waiting:
            return True
        if room:
            room_soon()
        return False

    def _start_some(self, pieces: list[bytes], bursts: list[Burst], now: float) -> int:
        queue, outbound, streams = self._queue, self._outbound, self._streams
        room = min(self.room(), queue.max_in_flight - queue.in_flight)
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
                streams.end(job, indices, _TOO_LARGE)
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
            streams.count()
        return started
