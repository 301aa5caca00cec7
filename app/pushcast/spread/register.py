"""Which broadcasts of a lane have been spread, and what an event becomes. Pure.

Partition 0 of the walk topic is the register: it has every order first. An order that is there is written to the other
partitions as it is, so a successor spreads the very audience that its predecessor froze.
"""

from __future__ import annotations

from pushcast.model.words import Reason
from pushcast.wire.broadcasts import Event, Order, encode_order


class Register:
    """Of one lane, in one assignment. Memory: an entry for each broadcast that the walk topic still holds."""

    def __init__(self, intake_id: str) -> None:
        """`intake_id`: Kafka's id of the intake topic."""
        self._intake_id = intake_id
        self._first: dict[str, tuple[str, int]] = {}  # by broadcast id: the log and offset that claimed it
        self._written: dict[int, tuple[Order, bytes]] = {}  # by intake offset of this log

    def fold(self, order: Order, value: bytes) -> None:
        """A valid order of partition 0, in the order of its offsets."""
        if order.intake_id == self._intake_id:
            self._written[order.intake_offset] = (order, value)
        if not order.count_only and not order.reason:
            self._first.setdefault(order.broadcast, (order.intake_id, order.intake_offset))

    def there(self, offset: int) -> bytes | None:
        """The order that was made of this event already."""
        found = self._written.get(offset)
        return None if found is None else found[1]

    def order(
        self, offset: int, recorded_at: int, event: Event, frozen: bytes, *, expired: bool
    ) -> tuple[Order, bytes]:
        """The order of an event that has none. An id that was spread before, and what has expired, is planned to
        nothing; a count claims no id and is refused none."""
        broadcast = event.broadcast
        known = self._first.get(broadcast.id)
        reason = Reason.EXPIRED if expired else ""
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
