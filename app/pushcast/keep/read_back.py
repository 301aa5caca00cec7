"""What users read before a keeper took a partition over: it is read once more, beside the work, for the last day.

What was held when it was read has ended in the table. This is for what comes later: a push for what its user has read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from pushcast.handover.reading import SpanReader
from pushcast.keep.reading import REMEMBER_MS, remember
from pushcast.keep.tenure import KeepTenure
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.stream.ports import CallLater, Fatal
from pushcast.stream.runner import Runner
from pushcast.wire import topics
from pushcast.wire.events.engagement import EngagementDecoder, Event
from pushcast.wire.keys import user_of
from pushcast.wire.schemas import SchemaSource

logger = logging.getLogger(__name__)

#: Records of a partition that are read once more: the newest.
MAX_RECORDS: Final = 200_000
AGAIN_SECONDS: Final = 30.0
#: Records between two turns of the loop for others.
SLICE_RECORDS: Final = 200


class EarlierRecord(NamedTuple):
    """`written_at`: milliseconds since the epoch."""

    key: bytes | None
    value: bytes | None
    written_at: int


class EarlierRecords(Protocol):
    """The log of a topic."""

    async def read(self, partition: int, since_ms: int, end: int) -> Sequence[EarlierRecord]:
        """Records of this time or later below an offset, at most `MAX_RECORDS`, the newest. Raises ConnectionError."""
        ...


class EarlierEngagement:
    """Of Kafka. It leaves out what is JSON and plainly is no `read`: most of the topic."""

    def __init__(self, reader: SpanReader) -> None:
        self._reader = reader

    async def read(self, partition: int, since_ms: int, end: int) -> Sequence[EarlierRecord]:
        """See `EarlierRecords`."""
        spot = topics.ENGAGEMENT, partition
        first = max((await self._reader.since([spot], since_ms))[spot], end - MAX_RECORDS)
        found: list[EarlierRecord] = []

        def take(message: Any) -> None:
            key, value = message.key(), message.value()
            if value is not None and (value[:1] != b"{" or b'"read"' in value):
                found.append(EarlierRecord(key, value, int(message.timestamp()[1])))

        await self._reader.read({spot: (first, end)}, take)
        return found


class ReadBack:
    """Of all partitions of one stage. It belongs to the event loop."""

    def __init__(
        self,
        earlier: EarlierRecords | None,
        clock: Clock,
        fatal: Fatal,
        call_later: CallLater | None = None,
        schemas: SchemaSource | None = None,
    ) -> None:
        """`earlier` None: nothing is read once more."""
        self._earlier = earlier
        self._clock = clock
        self._fatal = fatal
        self._call_later = call_later
        self._schemas = schemas
        self._decode = EngagementDecoder(schemas).decode

    def runner_of(self, tenure: KeepTenure) -> Runner:
        """Runs once it is woken, until it has read."""
        what = f"keep: what was read in partition {tenure.number}"
        return Runner(what, partial(self._wait, tenure), partial(self._work, tenure), self._fatal, self._call_later)

    def _wait(self, tenure: KeepTenure) -> float | None:
        if self._earlier is None or not tenure.read_back_to:
            return None
        return tenure.read_back_at - self._clock.monotonic_seconds()

    async def _work(self, tenure: KeepTenure) -> None:
        assert self._earlier is not None, "it does not run"
        try:
            await self._read(tenure, self._earlier)
        except OSError as error:  # Kafka, or the schema registry, is away
            logger.warning("keep: what was read in partition %d is not known yet: %s", tenure.number, error)
            tenure.read_back_at = self._clock.monotonic_seconds() + AGAIN_SECONDS
        else:
            tenure.read_back_to = 0

    async def _read(self, tenure: KeepTenure, earlier: EarlierRecords) -> None:
        """Remembers what was read; twice is once."""
        since_ms = self._clock.now_ms() - REMEMBER_MS
        records = await earlier.read(tenure.number, since_ms, tenure.read_back_to)
        for start in range(0, len(records), SLICE_RECORDS):
            part = records[start : start + SLICE_RECORDS]
            if self._schemas is not None:
                await self._schemas.prepare([record.value for record in part])
            for record in part:
                self._remember(tenure, record)
            await asyncio.sleep(0)

    def _remember(self, tenure: KeepTenure, record: EarlierRecord) -> None:
        try:
            engagement = self._decode(user_of(record.key), record.value, record.written_at)
        except InvalidInput:
            return  # it is a dead letter already
        if engagement.event is Event.READ:
            remember(tenure, engagement)
