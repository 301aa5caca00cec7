"""Contents of broadcasts that the keeper held: read of the orders that its records name, before these are planned."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from pushcast.config.settings import Settings
from pushcast.handover.reading import SpanReader
from pushcast.model.broadcast import Broadcast
from pushcast.model.errors import InvalidInput
from pushcast.model.notification import Notification, OfBroadcast
from pushcast.model.timing import Timing
from pushcast.model.words import Lane, Reason
from pushcast.wire import topics
from pushcast.wire.events.broadcasts import BroadcastDecoder
from pushcast.wire.events.class_rules import class_rules
from pushcast.wire.events.orders import decode_order
from pushcast.wire.waiting.held_broadcasts import HeldBroadcast, content_of, decode_held, is_held_broadcast

#: Reads the value of an order, by partition and offset; None: it is gone. Raises ConnectionError, and is asked again.
ReadOrder = Callable[[int, int], Awaitable[bytes | None]]


class HeldContent(NamedTuple):
    """What the keeper held, and of which broadcast."""

    held: HeldBroadcast
    broadcast: Broadcast


#: By the record's value; an error: it cannot be planned.
Contents = Mapping[bytes, HeldContent | InvalidInput]
NOTHING: Final[Contents] = {}
#: Contents that are remembered; one is up to 2 MiB.
MAX_KNOWN: Final = 16


class HeldContents:
    """Of one lane."""

    def __init__(self, settings: Settings, lane: Lane, read: ReadOrder) -> None:
        self._decoder = BroadcastDecoder(settings.apps, class_rules(settings.classes))
        self._topic = topics.walk(lane)
        self._read = read
        self._known: dict[tuple[int, int, bytes], Broadcast | InvalidInput] = {}

    def reload(self, settings: Settings) -> None:
        """What is read from now on goes by these classes."""
        self._decoder.change(class_rules(settings.classes))
        self._known.clear()

    async def of(self, partition: int, values: Iterable[bytes | None]) -> Contents:
        """Contents of all that broadcasts are among these records. Raises ConnectionError."""
        found: dict[bytes, HeldContent | InvalidInput] = {}
        for value in values:
            if value is not None and is_held_broadcast(value):
                found[value] = await self._part(partition, value)
        return found

    async def _part(self, partition: int, value: bytes) -> HeldContent | InvalidInput:
        try:
            held = decode_held(value)
        except InvalidInput as error:
            return error
        broadcast = await self._content(partition, held)
        return broadcast if isinstance(broadcast, InvalidInput) else HeldContent(held, broadcast)

    async def _content(self, partition: int, held: HeldBroadcast) -> Broadcast | InvalidInput:
        place = partition, held.walk_offset, held.content
        known = self._known.get(place)
        if known is None:
            known = self._decoded(partition, held, await self._read(partition, held.walk_offset))
            if len(self._known) >= MAX_KNOWN:
                self._known.pop(next(iter(self._known)))
            self._known[place] = known
        return known

    def _decoded(self, partition: int, held: HeldBroadcast, value: bytes | None) -> Broadcast | InvalidInput:
        where = f"{self._topic}[{partition}]@{held.walk_offset}"
        try:
            order = None if value is None else decode_order(value)
            if order is None or content_of(order.event) != held.content:
                raise InvalidInput(Reason.INVALID_FIELD, f"the order of {held.broadcast} is not at {where}", "content")
            return self._decoder.decode_frozen(order.event, order.recorded_at)
        except InvalidInput as error:
            return error


def note_of(user: str, value: bytes, contents: Contents) -> Notification:
    """What of a broadcast is for a user, as a notification. Raises InvalidInput."""
    part = contents[value]
    if isinstance(part, InvalidInput):
        raise part
    held, broadcast = part
    note, variants = broadcast.note, () if broadcast.split is None else broadcast.split.variants
    if held.variant:
        found = next((each.note for each in variants if each.name == held.variant), None)
        if found is None:
            raise InvalidInput(Reason.INVALID_FIELD, f"{held.broadcast} has no variant {held.variant!r}", "variant")
        note = found
    due_at = broadcast.due_at
    return msgspec.structs.replace(
        note,
        user=user,
        app=broadcast.app,
        due_at=note.created_at if due_at is None else due_at,
        # Its own time has come: what is held since then is no schedule.
        timing=None if due_at is None else Timing(due_at),
        content_key=note.content_key + f"\0broadcast\0{held.broadcast}\0{held.variant}".encode(),
        broadcast=OfBroadcast(held.variant or None, held.delivery_ids, held.place),
    )


def orders_of(reader: SpanReader, lane: Lane) -> ReadOrder:
    """Of Kafka."""

    async def read(partition: int, offset: int) -> bytes | None:
        found: list[bytes | None] = []

        def take(message: Any) -> None:
            value = message.value()
            found.append(value if isinstance(value, bytes) else None)

        await reader.read({(topics.walk(lane), partition): (offset, offset + 1)}, take)
        return found[0] if found else None

    return read
