"""One source record on its way through PLAN, and what the planned record will say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pushcast.model.notification import Notification
from pushcast.wire.answers.planned_writer import PlannedRow, held, is_held, planned_facts
from pushcast.wire.answers.receipts import PLATFORMS
from pushcast.wire.avro_bytes import bytes_of, long_of

if TYPE_CHECKING:
    from pushcast.stream.batch import Batch

NOTHING = (0,) * len(PLATFORMS)
_INDEX = {name: index for index, name in enumerate(PLATFORMS)}
_ONE = {name: tuple(int(other == name) for other in PLATFORMS) for name in PLATFORMS}


class PlannedSlot(NamedTuple):
    """Whose slot of the frequency caps, or whose badge, a planned row is told for. `earlier`: deliveries of parts that
    left before, of which the keeper is told with the last one: until then none can know whether all of it failed."""

    user: str
    notification_id: str
    app: str
    klass: str
    earlier: int = 0


class Entry:
    """`open` counts the output records that Kafka has not acknowledged; at zero the planned record may be written.

    The notification is let go when it is in its windows: they keep one copy of a content that many share.
    """

    __slots__ = (
        *("batch", "counts", "facts", "note", "note_id", "offset", "offset_field", "open", "other", "reason"),
        *("provider_id", "slot", "weight"),
    )

    def __init__(self, batch: Batch, offset: int, weight: int, note: Notification) -> None:
        self.batch = batch
        self.offset = offset
        self.offset_field = long_of(offset)
        self.weight = weight  # bytes of the source record, as the transport counts them
        self.note: Notification | None = note
        self.note_id = bytes_of(note.id.encode())
        self.facts = planned_facts(note)
        self.open = 0
        self.counts: tuple[int, ...] = NOTHING  # deliveries by platform
        self.other = 0  # receipts that the planner itself wrote
        self.reason = ""
        self.slot: PlannedSlot | None = None  # for the keeper, who counts it
        self.provider_id: str | None = None  # of its receipt: the digest that it left in

    def add(self, platform: str, targets: int) -> None:
        """A window took this many targets."""
        self.count(platform, targets)
        self.open += 1

    def count(self, platform: str, targets: int) -> None:
        """So many deliveries of this notification are, or are about to be, in the send topic of a platform."""
        counts = self.counts
        if targets == 1 and counts is NOTHING:  # most users have one device
            self.counts = _ONE[platform]
            return
        index = _INDEX[platform]
        self.counts = (*counts[:index], counts[index] + targets, *counts[index + 1 :])

    def date(self, note: Notification) -> None:
        """It is planned as this: due at another time than the event says, and living from then on."""
        self.note = note
        self.facts = planned_facts(note)

    def hold(self, reason: str) -> None:
        """The keeper has it, or is about to."""
        self.facts = held(self.facts)
        self.reason = reason

    @property
    def is_held(self) -> bool:
        """Whether the keeper has what of it is not planned here."""
        return is_held(self.facts)

    def planned(self) -> PlannedRow:
        row = self.offset_field, self.note_id, self.counts, self.other, self.reason, self.facts
        return tuple.__new__(PlannedRow, row)  # at a third of the price of calling the class: one per notification
