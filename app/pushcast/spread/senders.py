"""Which platforms of a lane have no senders: what was planned for them ends when somebody starts some, not before."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping

from pushcast.handover.reading import SpanReader
from pushcast.model.clock import Clock
from pushcast.model.words import Lane, Platform
from pushcast.stream.lane_senders import GONE_SECONDS, LaneSenders
from pushcast.wire import topics

logger = logging.getLogger(__name__)


class Absences:
    """All lanes. A platform has no senders when something waits for them, and they have not moved while they were
    asked for a minute. Senders of a provider that is away take what waits, and put it aside: they move."""

    def __init__(self, senders: Mapping[str, LaneSenders], reader: SpanReader, partitions: int, clock: Clock) -> None:
        """`senders`: by lane."""
        self._senders = dict(senders)
        self._reader = reader
        self._partitions = range(partitions)
        self._clock = clock
        self._stood: dict[tuple[str, str], tuple[float, list[int]]] = {}  # by lane and platform: since when, and where

    async def of(self, lane: str, platforms: Collection[str]) -> frozenset[str]:
        """Those of these platforms that have no senders; none while where they stand is not known, because other
        broadcasts must not wait for that. Raises TailUnreadable, and may be called again."""
        try:
            found = await self._senders[lane].committed(list(self._partitions))
        except ConnectionError as error:
            logger.warning("spread: where the senders of %s stand is not known: %s", lane, error)
            return frozenset()
        spots = {platform: self._spots(platform, lane) for platform in platforms}
        ends = await self._reader.ends([spot for each in spots.values() for spot in each])
        return frozenset(
            platform
            for platform in platforms
            if self._is_gone(
                (lane, platform),
                [found.get(each, {}).get(platform, 0) for each in self._partitions],
                (ends[spot] for spot in spots[platform]),
            )
        )

    def _spots(self, platform: str, lane: str) -> list[tuple[str, int]]:
        topic = topics.send(Platform(platform), Lane(lane))
        return [(topic, each) for each in self._partitions]

    def _is_gone(self, whose: tuple[str, str], taken: list[int], ends: Iterable[int]) -> bool:
        now = self._clock.monotonic_seconds()
        since, stood = self._stood.get(whose, (now, taken))
        if stood != taken or all(offset >= end for offset, end in zip(taken, ends, strict=True)):
            since = now
        self._stood[whose] = since, taken
        return now - since >= GONE_SECONDS
