"""Which broadcasts of a lane have been spread, and what an event becomes. Pure.

Partition 0 of the walk topic is the register: it has every order first. An order that is there is written to the other
partitions as it is, so a successor spreads the very audience that its predecessor froze, and obeys its steps.
"""

from __future__ import annotations

from pushcast.model.words import Reason
from pushcast.wire.events.broadcasts import BroadcastEvent
from pushcast.wire.events.orders import STEPS_SUFFIX, Order, encode_order, next_step, steps_of


class Register:
    """Of one lane, in one assignment. Memory: an entry for each broadcast that the walk topic still holds."""

    def __init__(self, intake_id: str) -> None:
        """`intake_id`: Kafka's id of the intake topic."""
        self._intake_id = intake_id
        self._steps_id = intake_id + STEPS_SUFFIX
        self._first: dict[str, tuple[str, int]] = {}  # by broadcast id: the log and offset that claimed it
        self._newest: dict[str, Order] = {}  # by broadcast id: of its steps
        self._began: dict[str, int] = {}  # by broadcast id: Kafka's time of its event
        self._written: dict[int, tuple[Order, bytes]] = {}  # by intake offset of this log
        self._steps: list[tuple[Order, bytes]] = []

    def fold(self, order: Order, value: bytes) -> None:
        """A valid order of partition 0, in the order of its offsets."""
        if order.intake_id == self._intake_id:
            self._written[order.intake_offset] = (order, value)
        elif order.intake_id == self._steps_id:
            self._steps.append((order, value))
            self._newest[order.broadcast] = order
            return
        if not order.count_only and order.reason in ("", Reason.SCHEDULED):
            self._first.setdefault(order.broadcast, (order.intake_id, order.intake_offset))
            self._newest.setdefault(order.broadcast, order)
            self._began.setdefault(order.broadcast, order.recorded_at)

    def there(self, offset: int) -> bytes | None:
        """The order that was made of this event already."""
        found = self._written.get(offset)
        return None if found is None else found[1]

    def order(
        self, offset: int, recorded_at: int, event: BroadcastEvent, frozen: bytes, *, reason: str = ""
    ) -> tuple[Order, bytes]:
        """The order of an event that has none. `reason`: why nothing is planned of it now. An id that was spread before
        is planned to nothing; a count claims no id and is refused none."""
        broadcast = event.broadcast
        known = self._first.get(broadcast.id)
        if known is not None and not broadcast.count_only:
            reason = Reason.DUPLICATE
        order = Order(
            broadcast=broadcast.id,
            intake_id=self._intake_id,
            intake_offset=offset,
            recorded_at=recorded_at,
            count_only=broadcast.count_only,
            reason=str(reason),
            event=frozen,
        )
        value = encode_order(order)
        self.fold(order, value)
        return order, value

    def newest(self, broadcast: str) -> Order | None:
        """The order of a broadcast that was spread, of its newest step; None: there was none of this id."""
        return self._newest.get(broadcast)

    def began(self, broadcast: str) -> int:
        """Kafka's time of a broadcast that was spread."""
        return self._began[broadcast]

    def unfinished(self) -> list[Order]:
        """Orders with a step or an instant behind them that is not decided."""
        of_this_log = (self._intake_id, self._steps_id)
        return [
            order
            for order in self._newest.values()
            if order.reason in ("", Reason.SCHEDULED) and order.intake_id in of_this_log and steps_of(order).more
        ]

    def scheduled(self) -> list[bytes]:
        """Orders that wait for their first instant. The log keeps a week: they must be written again before."""
        return [encode_order(order) for order in self._newest.values() if order.reason == Reason.SCHEDULED]

    @property
    def later_steps(self) -> list[bytes]:
        """Orders of later steps. A predecessor may have written several of them to partition 0 alone: it was fenced
        off in the others first."""
        return [value for _, value in self._steps]

    def step(self, order: Order, now_ms: int, reason: str) -> bytes:
        """The order of the step behind an unfinished one. Their numbers grow, whatever the clock does."""
        number = max(now_ms, *(each.intake_offset + 1 for each, _ in self._steps[-1:]), 0)
        following = next_step(order, number, reason)
        value = encode_order(following)
        self.fold(following, value)
        return value
