"""Answers that come later, in buckets of a millisecond: one timer and one write per connection and bucket."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass

from pushcast.simulators.connection import Connection


@dataclass(slots=True)
class Answer:
    """`block` is an encoded header block. `cut` and `trail` as in ServerConnection.answer."""

    block: bytes
    body: bytes = b""
    cut: int = 0
    trail: bool = False


class AnswerWheel:
    """Holds what is due; never earlier than asked, at most about a millisecond later on an idle loop."""

    def __init__(self, answered: Callable[[float], None], failed: Callable[[Connection, int, Exception], None]) -> None:
        """`answered` gets the marker (ms) of each answer that left with one, `failed` what could not be written."""
        self._answered = answered
        self._failed = failed
        self._buckets: dict[int, list[tuple[Connection, int, Answer, float]]] = {}
        self._ticks: list[int] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(
        self, delay_seconds: float, connection: Connection, stream_id: int, answer: Answer, marker_ms: float
    ) -> None:
        """The stream is held until then. `marker_ms` 0 means none."""
        connection.hold(stream_id)
        loop = asyncio.get_running_loop()
        tick = int((loop.time() + delay_seconds) * 1000) + 1
        bucket = self._buckets.get(tick)
        if bucket is None:
            self._buckets[tick] = [(connection, stream_id, answer, marker_ms)]
            heapq.heappush(self._ticks, tick)
            if self._ticks[0] == tick:
                if self._timer is not None:
                    self._timer.cancel()
                self._timer = loop.call_at(tick / 1000, self._turn)
        else:
            bucket.append((connection, stream_id, answer, marker_ms))

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        now = int(loop.time() * 1000)
        touched: set[Connection] = set()
        while self._ticks and self._ticks[0] <= now:
            for connection, stream_id, answer, marker_ms in self._buckets.pop(heapq.heappop(self._ticks)):
                touched.add(connection)
                try:
                    left = connection.answer_held(
                        stream_id, answer.block, answer.body, cut=answer.cut, trail=answer.trail
                    )
                except Exception as error:  # the answers behind it shall leave all the same
                    self._failed(connection, stream_id, error)
                    continue
                if left and marker_ms:
                    self._answered(marker_ms)
        for connection in touched:
            connection.flush()
        self._timer = loop.call_at(self._ticks[0] / 1000, self._turn) if self._ticks else None

    def clear(self) -> None:
        """Forgets everything that is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._buckets.clear()
        self._ticks.clear()
