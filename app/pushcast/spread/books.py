"""What legs and receipts say of broadcasts that SPREAD has spread: asked of Kafka, from the broadcast's time on."""

from __future__ import annotations

from collections import Counter
from typing import Any, NoReturn

from pushcast.handover.following import Following
from pushcast.handover.reading import SpanReader
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason
from pushcast.spread.register import Register
from pushcast.spread.senders import Absences
from pushcast.spread.steps import StepTally, asks_receipts, judged
from pushcast.wire import topics
from pushcast.wire.answers.legs import decode_leg
from pushcast.wire.answers.receipts import decode_receipt
from pushcast.wire.events.orders import Order, steps_of


class SpreadBooks:
    """Every method raises TailUnreadable without an answer, or NewerSchema, and may be called again."""

    def __init__(
        self, reader: SpanReader, partitions: int, clock: Clock, absences: Absences, counters: Counter[str]
    ) -> None:
        """`counters`: of `pass_over`."""
        self._absences = absences
        self._reader = reader
        self._partitions = partitions
        self._clock = clock
        self._counters = counters
        self._steps: dict[tuple[str, str, int], _Watched] = {}  # by lane, broadcast and step

    async def ended_at(self, lane: str, register: Register, broadcast: str) -> int:
        """Kafka's time of a broadcast that is no longer walked, for one that leaves its devices out.

        Raises InvalidInput (invalid_field) for one that is unknown, walks, or has steps before it.
        """
        order = register.newest(broadcast)
        if order is None:
            _refuse(f"{broadcast!r}, and no broadcast of this id was spread in {lane} within 7 days")
        if order.reason in ("", Reason.SCHEDULED):
            if steps_of(order).more:
                _refuse(f"{broadcast!r}, which has steps or times before it")
            watched = self._watched(lane, order)
            await watched.legs()
            if not watched.tally.walked:
                _refuse(f"{broadcast!r}, which is still walked or held")
        return register.began(broadcast)

    async def judged(self, lane: str, order: Order) -> tuple[bool | None, StepTally]:
        """Whether the step behind this order begins, as `steps.judged` says; and what it was judged by."""
        steps = steps_of(order)
        key = (lane, order.broadcast, steps.step)
        watched = self._steps.get(key)
        if watched is None:
            watched = self._steps[key] = self._watched(lane, order)
        step, tally = steps.steps[steps.step], watched.tally
        if not tally.walked:
            await watched.legs()
        if tally.walked and self._clock.now_ms() >= tally.walked_at + step.wait_seconds * 1000:
            await watched.receipts()
            if asks_receipts(step) and tally.planned and not tally.has_enough:
                tally.left_out = await self._absences.of(lane, tally.behind)
        return judged(step, tally, self._clock.now_ms()), tally

    def _watched(self, lane: str, order: Order) -> _Watched:
        tally = StepTally(lane, order, self._partitions)
        return _Watched(self._reader, tally, order, self._partitions, self._counters)

    def forget(self, lane: str, order: Order) -> None:
        """The step behind this order is decided."""
        self._steps.pop((lane, order.broadcast, steps_of(order).step), None)


class _Watched:
    """One step, read on and on."""

    def __init__(
        self, reader: SpanReader, tally: StepTally, order: Order, partitions: int, counters: Counter[str]
    ) -> None:
        self.tally = tally
        since_ms = order.recorded_at
        legs, receipts = ([(topic, each) for each in range(partitions)] for topic in (topics.WALKED, topics.RECEIPT))
        self._legs = Following(reader, legs, since_ms, counters)
        self._receipts = Following(reader, receipts, since_ms, counters)
        self._id = order.broadcast.encode()

    async def legs(self) -> None:
        def fold(message: Any) -> None:
            if self._id in message.value():
                self.tally.leg(message.partition(), decode_leg(message.value()))

        await self._legs.read(fold)

    async def receipts(self) -> None:
        def fold(message: Any) -> None:
            if self._id in message.value():
                self.tally.receipt(decode_receipt(message.value()))

        await self._receipts.read(fold)


def _refuse(problem: str) -> NoReturn:
    raise InvalidInput(Reason.INVALID_FIELD, f"not_to.broadcast is {problem}", "not_to.broadcast")
