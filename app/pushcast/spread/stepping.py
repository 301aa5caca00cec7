"""Glue of broadcasts in steps and of those with a time: decides when each next part begins, and writes its orders.

Decisions about steps are said on `push.control.v1` first. Those about times need no word: a time is over for everybody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from pushcast.model.clock import Clock
from pushcast.model.words import Outcome, Reason
from pushcast.spread.books import SpreadBooks
from pushcast.spread.register import Register
from pushcast.spread.steps import StepTally
from pushcast.stream.batch import TP
from pushcast.stream.edge import Count
from pushcast.stream.ports import Outbox
from pushcast.wire import topics
from pushcast.wire.control.control import Kind, Name, StepDecision, encode
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.events.broadcasts import MAX_LIFE_MS
from pushcast.wire.events.orders import Order, steps_of

logger = logging.getLogger(__name__)

#: How often an order that waits for its time is written to the register again.
RESTATE_MS: Final = 86_400_000
#: Writes an order of a lane to partitions, round by round, each round awaited.
Write = Callable[[TP, bytes, tuple[range, ...]], Awaitable[None]]


class Stepping:
    """All lanes of one SPREAD. `write` and `books` raise OSError: the next look goes on."""

    def __init__(
        self,
        partitions: int,
        *,
        outbox: Outbox,
        clock: Clock,
        control: ControlState,
        books: SpreadBooks,
        write: Write,
        count: Count,
    ) -> None:
        self._partitions = partitions
        self._outbox = outbox
        self._clock = clock
        self._control = control
        self._books = books
        self._write = write
        self._count = count
        self._resumed: set[TP] = set()
        self._restated_at: dict[TP, int] = {}
        self._one_at_a_time = asyncio.Lock()

    def began(self, tp: TP) -> None:
        """A lane was taken over: what predecessors have begun to write is written to the end first."""
        self._resumed.discard(tp)
        self._restated_at.pop(tp, None)

    def due_ms(self, register: Register) -> list[int]:
        """When broadcasts with a time go on, in milliseconds since the epoch; without those that are held."""
        waiting = [order for order in register.unfinished() if order.broadcast not in self._control.holds]
        return [steps.instants[steps.step].at for order in waiting if (steps := steps_of(order)).instants]

    async def look(self, tp: TP, register: Register) -> None:
        """Decides what can be decided."""
        async with self._one_at_a_time:
            await self._resume(tp, register)
            while await self._decide(tp, register):
                pass

    async def _resume(self, tp: TP, register: Register) -> None:
        if tp not in self._resumed:
            for value in register.later_steps:
                await self._write(tp, value, (range(1, self._partitions),))
            self._resumed.add(tp)
        if self._clock.now_ms() - self._restated_at.get(tp, 0) >= RESTATE_MS:
            for value in register.scheduled():
                await self._write(tp, value, (range(1),))
            self._restated_at[tp] = self._clock.now_ms()

    async def _decide(self, tp: TP, register: Register) -> bool:
        """Whether something was decided: of a broadcast several instants may be due."""
        decided = False
        for order in register.unfinished():
            reason = await self._reason(tp, order)
            if reason is None:
                continue
            self._books.forget(_lane(tp), order)
            value = register.step(order, self._clock.now_ms(), reason)
            await self._write(tp, value, (range(1), range(1, self._partitions)))
            self._count("spread", reason or ("due" if steps_of(order).instants else "step"), 1)
            decided = True
        return decided

    async def _reason(self, tp: TP, order: Order) -> str | None:
        """Why the next step plans nothing; empty: it is walked; None: not decided."""
        lane, steps = _lane(tp), steps_of(order)
        if order.broadcast in self._control.stops:
            return Reason.BROADCAST_STOPPED
        if steps.expires_at <= self._clock.now_ms():
            return Reason.EXPIRED
        if order.broadcast in self._control.holds:
            return None
        if steps.instants:
            return "" if steps.instants[steps.step].at <= self._clock.now_ms() else None
        known = self._control.steps.get(order.broadcast)
        if known is None or (known.lane, known.step) != (lane, steps.step + 1):
            go, tally = await self._books.judged(lane, order)
            if go is None:
                return None
            known = _decision(lane, order, go=go, tally=tally, now_ms=self._clock.now_ms())
            await self._say(order.broadcast, known)
            said = logger.warning if tally.left_out else logger.info
            said("%s: step %d %s", order.broadcast, known.step, known.comment)
        return "" if known.go else Reason.STOP_IF

    async def _say(self, broadcast: str, decision: StepDecision) -> None:
        await self._outbox.room()
        barrier = self._outbox.barrier()
        self._outbox.put(barrier, topics.CONTROL, 0, encode(decision), Name(Kind.STEP, broadcast).key())
        await barrier.wait()


def _decision(lane: str, order: Order, *, go: bool, tally: StepTally, now_ms: int) -> StepDecision:
    shares = f"{tally.share(Outcome.INVALID):.4f} invalid, {tally.share(Outcome.REJECTED):.4f} rejected"
    shares += f"; not waited for, without senders: {', '.join(sorted(tally.left_out))}" if tally.left_out else ""
    return StepDecision(
        lane=lane,
        step=steps_of(order).step + 1,
        go=go,
        since_ms=now_ms,
        remove_at=now_ms + 2 * MAX_LIFE_MS,
        by="spread",
        comment=f"{'begins' if go else 'does not begin'}: {tally.ended} of {tally.planned} have ended, {shares}",
    )


def _lane(tp: TP) -> str:
    return tp.topic.split(".")[2]
