"""The connections of one credential: opened when streams are short, replaced before they wear out, closed together."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable, Iterable, Sequence

from pushcast.http2.connection import Connection
from pushcast.http2.dial import Endpoint
from pushcast.http2.dialer import Dialer
from pushcast.http2.errors import ClosedByUs, ConnectionFault, PeerWentAway
from pushcast.http2.frames import NO_ERROR
from pushcast.http2.growth import Ticks
from pushcast.http2.options import PoolOptions
from pushcast.http2.pool_stats import PoolStats, limited_by
from pushcast.http2.queue import WorkQueue
from pushcast.http2.request import RequestJob, Response, Template
from pushcast.http2.roster import Roster
from pushcast.http2.upkeep import Upkeep

_ROOM_SOON_SECONDS = 0.003
_AGE_JITTER = 0.1


class Pool:
    """Sends jobs over as many connections as it takes. Make it on the running loop it is to live on.

    Nothing is sent twice unless the server said it did not process it (GOAWAY, REFUSED_STREAM). `on_end` hears of every
    connection that did not come to be or that ended otherwise than by our wish, with its typed fault: the place for
    breakers and logs.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        options: PoolOptions | None = None,
        *,
        on_end: Callable[[ConnectionFault], None] | None = None,
        rng: random.Random | None = None,
        clock: Callable[[], float] | None = None,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._options = options or PoolOptions()
        self._on_end = on_end
        self._rng = rng or random.Random()
        self._loop = asyncio.get_running_loop()
        self._clock = clock or self._loop.time
        self._limit = self._options.limit(self._options.max_in_flight)
        self._queue = WorkQueue(
            max_waiting=self._options.max_waiting,
            max_in_flight=self._limit.value,
            on_error=self._report,
        )
        self._roster = Roster()
        self._dialer = Dialer(
            endpoint,
            self._options,
            self._make,
            on_open=self._dialled,
            on_fault=self._note_fault,
            rng=self._rng,
            clock=self._clock,
        )
        self._opened = 0
        self._ended: dict[str, int] = {}
        self._dispatching = False
        self._soon: asyncio.TimerHandle | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._closed = False
        self._answered_at = -math.inf  # on `_attended`
        self._away_seconds = 0.0  # by which ticks came late: this process had no CPU
        self._ticks = Ticks(self._clock(), cpu_clock)
        self._upkeep = Upkeep(self._roster, self._dialer, self._queue, self._options)

    @property
    def stats(self) -> PoolStats:
        queue, limit = self._queue, self._limit
        return PoolStats(
            connections=len(self._roster.serving),
            opening=self._dialer.opening,
            draining=self._roster.draining,
            in_flight=queue.in_flight,
            waiting=queue.waiting,
            opened=self._opened,
            ended=dict(self._ended),
            limit=limit.value,
            limited_by=limited_by(
                queue.waiting, queue.in_flight, limit.value, self._options.max_in_flight, slow=limit.slow
            ),
            latency_seconds=limit.latency_seconds,
        )

    @property
    def slow(self) -> bool:
        """What the server's answers take holds the limit down."""
        return self._limit.slow

    async def room(self, count: int) -> None:
        """Returns when a job of `count` targets will be taken by `submit`."""
        await self._queue.room(count)

    def submit(self, job: RequestJob) -> None:
        """Takes the job; its outcomes come by its callback. Raises QueueFull, or ClosedByUs after `close`."""
        if self._closed:
            raise ClosedByUs("the pool is closed")
        self._queue.submit(job, self._attended(self._clock()))
        self._start_ticking()
        self.has_work()

    def open_ahead(self) -> None:
        """Opens a connection before there is work for one, unless one is there or coming."""
        if not (self._closed or self._roster.serving or self._dialer.opening):
            self._dialer.open(1)
            self._start_ticking()

    async def ask(self, template: Template, values: Sequence[bytes] = (), *, timeout_seconds: float) -> Response:
        """A single request, for whatever is not a multicast; one value per column. Raises as `submit`."""
        future: asyncio.Future[Response] = self._loop.create_future()
        job = RequestJob(
            template,
            [(value,) for value in values],
            timeout_seconds,
            lambda outcomes: None if future.done() else future.set_result(outcomes[0][1]),
        )
        await self.room(1)
        self.submit(job)
        try:
            return await future
        finally:
            if not future.done() or future.cancelled():
                self.cancel(job)

    def cancel(self, job: RequestJob, indices: Iterable[int] | None = None) -> None:
        """Ends those targets that have no outcome yet: UNSENT when they never left, else UNKNOWN, both with the fault
        "cancelled". Other requests are not touched."""
        out = self._queue.cancel(job, range(job.size) if indices is None else indices)
        if out:
            for connection in self._roster:
                connection.cancel(job, out)

    def rotate(self) -> None:
        """Replaces every connection (a new certificate, an expired provider token): those that are open take no more
        requests and end when theirs are answered."""
        for connection in list(self._roster.serving):
            self._roster.retire(connection)
        self.has_work()

    async def close(self, grace_seconds: float = 0.0) -> None:
        """Ends what waits as UNSENT and gives what is out `grace_seconds` to be answered, then UNKNOWN; both with the
        fault "closed_by_us". Returns when the transports are closed."""
        self._closed = True
        self._queue.end_all(ClosedByUs.reason)
        await self._dialer.close()
        for connection in list(self._roster.serving):
            self._roster.retire(connection)
        if grace_seconds > 0:
            await self._roster.left(grace_seconds)
        for connection in list(self._roster.leaving):
            connection.close()
        await self._roster.left(self._options.connect_timeout_seconds)
        for handle in (self._ticker, self._soon):
            if handle is not None:
                handle.cancel()
        self._queue.end_all(ClosedByUs.reason)

    def opened(self, connection: Connection) -> None:
        self.has_work()

    def has_work(self) -> None:
        if not self._dispatching:
            self._dispatching = True
            self._loop.call_soon(self._dispatch)

    def room_soon(self) -> None:
        if self._soon is None:
            self._soon = self._loop.call_later(_ROOM_SOON_SECONDS, self._dispatch_late)

    def answered(self, count: int, seconds: float) -> None:
        self._answered_at = self._attended(self._clock())
        self._limit.answered(count, seconds)

    def _dispatch_late(self) -> None:
        self._soon = None
        self.has_work()

    def _dispatch(self) -> None:
        self._dispatching = False
        self._roster.sort_out()
        for connection in self._roster.by_load():
            if not self._queue.waiting:
                return
            connection.pump()
        if not self._roster.serving and not self._dialer.opening and self._queue.waiting:
            self._dialer.open(1)

    def ended(self, connection: Connection, fault: ConnectionFault) -> None:
        self._roster.sort_out()
        if not isinstance(fault, ClosedByUs):
            graceful = isinstance(fault, PeerWentAway) and fault.error_code == NO_ERROR
            if not (graceful and connection.answered):
                self._dialer.back_off()
            self._note_fault(fault)
        else:
            self._ended[fault.reason] = self._ended.get(fault.reason, 0) + 1
        if self._queue.waiting:
            self.has_work()

    def _note_fault(self, fault: ConnectionFault) -> None:
        self._ended[fault.reason] = self._ended.get(fault.reason, 0) + 1
        if self._on_end is not None:
            self._on_end(fault)

    def _dialled(self, connection: Connection) -> None:
        self._opened += 1
        self._roster.serving.append(connection)
        connection.let_in()
        self._roster.sort_out()

    def _make(self) -> Connection:
        now = self._clock()
        max_age = self._options.connection.max_age_seconds
        worn_at = None if max_age is None else now + max_age * (1.0 - _AGE_JITTER * self._rng.random())
        return Connection(self._queue, self._options.connection, self, self._clock, worn_at=worn_at, welcome=False)

    def _start_ticking(self) -> None:
        if self._ticker is None:
            self._ticks.begin(self._clock())
            self._ticker = self._loop.call_later(self._options.tick_seconds, self._tick)

    def _tick(self) -> None:
        self._ticker = self._loop.call_later(self._options.tick_seconds, self._tick)
        self.tick(self._clock())

    def tick(self, now: float) -> None:
        """One round of what time does. Runs by itself every `tick_seconds`."""
        late_seconds = self._ticks.late_seconds(now, self._options.tick_seconds)
        self._away_seconds += late_seconds
        # First: nothing late may take a stream that the same tick frees.
        self._queue.expire(self._attended(now), self._answered_at)
        for connection in self._roster:
            connection.sweep(now)
        queue = self._queue
        self._limit.look(now, queue.in_flight, queue.most_in_flight(), queue.waiting > 0, late_seconds)
        self._queue.max_in_flight = self._limit.value
        self._roster.sort_out()
        self._roster.forget_gone()
        self._dialer.worked(self._roster.worked_at())
        self._upkeep.renew(now)
        self._upkeep.resize(now, self._ticks.idle_share(now))
        if self._queue.waiting:
            self.has_work()

    def _attended(self, now: float) -> float:
        """The clock of what waits here: it stands still while this process has no CPU."""
        return now - self._away_seconds

    def _report(self, error: Exception) -> None:
        self._loop.call_exception_handler({"message": "a job's on_outcomes raised", "exception": error})
