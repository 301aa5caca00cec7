"""Reads partitions from a time on, and on each call what has come since: for a stage that looks at others' outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from pushcast.handover.passing_over import pass_over
from pushcast.handover.reading import SpanReader, Spot
from pushcast.handover.writers import Writers
from pushcast.kafka.headers import headers_of

#: How far clocks of producers and of the broker may differ.
SLACK_MS: Final = 60_000


class Following:
    """Some partitions. Records of writers that were fenced off are left out, and those that nobody can read."""

    def __init__(self, reader: SpanReader, spots: Iterable[Spot], since_ms: int, counters: Counter[str]) -> None:
        """`since_ms`: of records that matter; reading begins a minute earlier. `counters`: of `pass_over`."""
        self._reader = reader
        self._counters = counters
        self._spots = list(spots)
        self._since_ms = max(0, since_ms - SLACK_MS)
        self._positions: dict[Spot, int] = {}
        self._writers = {spot: Writers() for spot in self._spots}

    async def read(self, on_record: Callable[[Any], None]) -> None:
        """Every record with a value that counts, from where the last call ended up to the ends of now.

        `on_record` runs on another thread; what it raises of a record is the record's fault. Raises TailUnreadable and
        NewerSchema, and may be called again.
        """
        if not self._positions:
            self._positions = await self._reader.since(self._spots, self._since_ms)
        ends = await self._reader.ends(self._spots)
        positions, writers = self._positions, self._writers

        def fold(message: Any) -> None:
            spot = message.topic(), message.partition()
            counts = writers[spot].stands(headers_of(message), message.offset())
            if counts and message.value() is not None:
                try:
                    on_record(message)
                except Exception as error:  # whatever decoding raises: no record ends the process
                    pass_over(message, error, self._counters)
            positions[spot] = message.offset() + 1

        await self._reader.read({spot: (positions[spot], end) for spot, end in ends.items()}, fold)
        for spot, end in ends.items():
            positions[spot] = max(positions[spot], end)
