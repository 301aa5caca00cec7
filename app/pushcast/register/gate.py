"""Rows wait until Kafka has what their writing gives up.

A row that goes takes along the address that FCM has to be told of, so its claim that the token is over must be there
first. A registrar that is killed in between finds the row and gives up again; the other way round nobody would know
what was to be given up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from pushcast.stream.errors import RecordRefused
from pushcast.stream.ports import Barrier

Step = Callable[[], None]


class RowGate:
    """Of one partition: what it writes, in the order in which it was decided. Open, unless something is given up.

    Each decision sees those before it, by the rows in flight, so none need wait for another's writing.
    """

    def __init__(self) -> None:
        self._steps: deque[Step] = deque()
        self._closed = False
        self._ended = False

    def run(self, step: Step) -> None:
        """In its turn: now, unless something waits."""
        self._steps.append(step)
        self._go_on()

    def after(self, barrier: Barrier, step: Step) -> None:
        """Within a step: `step` comes next, when all of the barrier is acknowledged. A refusal ends the process."""
        self._closed = True
        self._steps.appendleft(step)
        barrier.on_acked(self._open)

    def behind(self, barrier: Barrier) -> GatedBarrier:
        """A barrier of rows that may not have been put yet."""
        return GatedBarrier(self, barrier)

    def end(self) -> None:
        """Nothing more is written: the next owner decides again."""
        self._ended = True
        self._steps.clear()

    def _open(self) -> None:
        self._closed = False
        self._go_on()

    def _go_on(self) -> None:
        while self._steps and not self._closed and not self._ended:
            self._steps.popleft()()


class GatedBarrier:
    """Of what goes through a gate: asked before all of it is put, it answers when that is acknowledged."""

    def __init__(self, gate: RowGate, barrier: Barrier) -> None:
        self._gate = gate
        self._barrier = barrier

    async def wait(self) -> None:
        """Raises NotImplementedError: whoever writes rows never waits for them."""
        raise NotImplementedError

    def on_acked(self, callback: Step, on_refused: Callable[[RecordRefused], None] | None = None) -> None:
        """As a barrier does, in its turn."""
        self._gate.run(lambda: self._barrier.on_acked(callback, on_refused))
