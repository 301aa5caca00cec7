"""What apps tell of their users shows that a device is there: its row says when it was seen last."""

from __future__ import annotations

from collections.abc import Sequence

from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import device_row_key, partition_of
from pushcast.register.context import Context
from pushcast.register.decide import seen
from pushcast.register.kept import Kept
from pushcast.register.tenure import RegisterTenure
from pushcast.register.view import UserView
from pushcast.register.writing import Writing
from pushcast.stream.batch import Batch, Record
from pushcast.wire.events.engagement import Engagement, EngagementDecoder
from pushcast.wire.keys import user_of
from pushcast.wire.newer import NewerSchema
from pushcast.wire.schemas import SchemaSource


class Seeing:
    """Of one stage. Callers await room first; nothing here waits.

    KEEP reads the same records: it moves those that lie in a wrong partition, and buries those that nobody can read.
    Here they are passed over.
    """

    def __init__(self, context: Context, clock: Clock, schemas: SchemaSource | None) -> None:
        self._context = context
        self._clock = clock
        self._decode = EngagementDecoder(schemas).decode

    def apply(self, tenure: RegisterTenure, batch: Batch, records: Sequence[Record]) -> None:
        """Puts the rows of devices that were not seen for a day."""
        told = [(record, event) for record in records if (event := self._told(record)) is not None]
        barrier = self._context.outbox.barrier()
        view = UserView(self._context, tenure)
        view.expect(record.key or b"" for record, _ in told)
        with Writing(self._context, tenure, barrier) as write:
            for record, event in told:
                self._context.counters["seen", self._see(record, event, view, write)] += 1
        tenure.completions.add(batch, [record.offset for record in records], write.behind)

    def _told(self, record: Record) -> Engagement | None:
        """None for what is of no device, or not for this partition."""
        try:
            user = user_of(record.key)
            written_at = record.timestamp if record.timestamp >= 0 else self._clock.now_ms()
            event = self._decode(user, record.value, written_at)
        except InvalidInput:
            return None
        if event.device is None or event.app is None:
            return None
        return event if partition_of(record.key or b"", self._context.partitions) == record.partition else None

    @staticmethod
    def _see(record: Record, event: Engagement, view: UserView, write: Writing) -> str:
        user = record.key or b""
        key = device_row_key(event.user, event.app or "", event.device or "")
        try:
            after = seen(event.at, view.device(user, key)[0])
        except NewerSchema:
            return Kept.UNKNOWN  # its next sign of life will do
        if isinstance(after, Kept):
            return after
        write.device(record, key, after, "device")
        return "written"
