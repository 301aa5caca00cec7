"""Two processes with one static id on two hosts: each tells where it is, and the younger one ends.

Kafka gives a group's static id to whoever joined last, so without this both would take the partitions from each other
for as long as they run. On one host the lock of the folder keeps the second one out (`transport.folders`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Final, Protocol

from confluent_kafka import Message

from pushcast.handover.reading import Span, Spot, TailUnreadable
from pushcast.model.errors import ConfigurationError, InvalidInput
from pushcast.stream.errors import RecordRefused
from pushcast.stream.ports import Fatal, PositionedOutbox
from pushcast.wire import topics
from pushcast.wire.control import where
from pushcast.wire.control.where import Where

logger = logging.getLogger(__name__)

#: What cannot be found out by then is left until the id is lost again.
ANSWER_SECONDS: Final = 10.0
_SPOT: Final[Spot] = (topics.WHERE, 0)


class SlotTakenElsewhere(ConfigurationError):
    """An older process works with this group and slot. It ends this one, with the exit code of a refused start."""

    exit_code = 2

    def __init__(self, group: str, slot: str, other: Where) -> None:
        super().__init__(
            f"the slot {slot} of {group} is that of the process with pid {other.pid} on host {other.host}, which has "
            "run for longer: a group and slot (--slot) is for one process. Stop that one, or give this one another slot"
        )


class Reader(Protocol):
    """`handover.reading.SpanReader`."""

    async def ends(self, spots: Iterable[Spot]) -> dict[Spot, int]: ...
    async def read(self, spans: Mapping[Spot, Span], on_record: Callable[[Message], None]) -> None: ...


class Presence:
    """Of one process with a slot. On the event loop of its outbox."""

    def __init__(
        self,
        me: Where,
        slot: str,
        groups: Collection[str],
        *,
        outbox: PositionedOutbox,
        reader: Reader,
        interval_seconds: float,
        fatal: Fatal,
    ) -> None:
        """`interval_seconds`: how often it tells that it is alive; the session timeout."""
        self._me = me
        self._slot = slot
        self._groups = groups
        self._outbox = outbox
        self._reader = reader
        self._interval_seconds = interval_seconds
        self._fatal = fatal
        self._refused = False
        self._ends: deque[int] = deque(maxlen=where.LIVE_REFRESHES)  # of the topic, before each of the last rounds

    async def run(self) -> None:
        """Tells where this process is, until it is cancelled."""
        while True:
            told_to = self._outbox.acked_end(*_SPOT)
            if told_to is not None:
                self._ends.append(told_to)
            await self._tell(self._groups)
            await asyncio.sleep(self._interval_seconds)

    async def lost(self, group: str) -> None:
        """This process has lost the group's static id and is about to take it again. Ends it when an older one has it.

        An older one has lost it, too, and tells that it is alive before it joins again: so this one sees it at the
        latest when it loses the id for the second time.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._tell([group])
                other = where.older_owner(self._me, await self._log_of(group))
        except (TimeoutError, TailUnreadable) as error:
            logger.warning("who else has slot %s of %s is not known: %r", self._slot, group, error)
            return
        if other is not None:
            self._fatal(f"group {group}", SlotTakenElsewhere(group, self._slot, other))
        logger.info("the static id of slot %s in %s was lost and is taken again", self._slot, group)

    async def _tell(self, groups: Collection[str]) -> None:
        await self._outbox.room()
        barrier = self._outbox.barrier()
        value = where.encode(self._me)
        for group in groups:
            self._outbox.put(barrier, topics.WHERE, 0, value, where.key_of(group, self._slot))
        try:
            await barrier.wait()
        except RecordRefused as error:
            if not self._refused:
                logger.warning("another process with slot %s would not be found: %s", self._slot, error)
            self._refused = True
        else:
            self._refused = False

    async def _log_of(self, group: str) -> list[Where]:
        key, found = where.key_of(group, self._slot), list[Where]()

        def see(message: Message) -> None:
            if message.key() == key and (value := message.value()) is not None:
                with suppress(InvalidInput):  # written by somebody else: it says nothing about a process
                    found.append(where.decode(value))

        ends = await self._reader.ends([_SPOT])
        await self._reader.read({_SPOT: (self._ends[0] if self._ends else 0, ends[_SPOT])}, see)
        return found
