"""What time does to the connections of a pool: worn ones get successors, and there are as many as the work needs."""

from __future__ import annotations

from pushcast.http2.dialer import Dialer
from pushcast.http2.growth import Load, Spare, connections_to_add
from pushcast.http2.listener import State
from pushcast.http2.options import PoolOptions
from pushcast.http2.queue import WorkQueue
from pushcast.http2.roster import Roster


class Upkeep:
    """Call both at every tick of the pool."""

    def __init__(self, roster: Roster, dialer: Dialer, queue: WorkQueue, options: PoolOptions) -> None:
        self._roster = roster
        self._dialer = dialer
        self._queue = queue
        self._options = options
        self._spare = Spare(options.shrink_after_seconds)

    def renew(self, now: float) -> None:
        """Opens a successor in time, and retires a worn connection once a successor is there to take over."""
        serving = self._roster.serving
        worn = [connection for connection in serving if connection.worn(now)]
        fresh = sum(1 for connection in serving if connection.state is State.OPEN and connection not in worn)
        coming = self._dialer.opening + sum(1 for connection in serving if connection.state is State.SETTLING)
        for connection in worn:
            if fresh or (not self._queue.waiting and not connection.in_flight) or not connection.ids_left:
                self._roster.retire(connection)
        if worn and not fresh and not coming and (self._queue.waiting or self._queue.in_flight):
            self._dialer.open(1)

    def resize(self, now: float, idle_share: float) -> None:
        """Opens connections while streams are short, and closes one that has been too many for long. `idle_share`: of
        the last tick, in which this thread had nothing to do."""
        serving = self._roster.serving
        load = Load(
            waiting=self._queue.waiting,
            in_flight=self._queue.in_flight,
            stream_limits=[connection.stream_limit for connection in serving if not connection.serial],
            short_of_streams=all(connection.short_of_streams for connection in serving),
            settling=self._dialer.opening + self._roster.coming,
            idle_share=idle_share,
        )
        self._dialer.open(connections_to_add(load, self._options.max_connections, self._options.grow_idle_share))
        if self._spare.is_over(now, load):
            self._roster.retire(self._roster.to_spare())
