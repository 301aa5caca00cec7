"""Tells that deliveries wait where no sender reads: a planner cannot see that nobody takes what it writes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import structlog
from confluent_kafka import KafkaException

from pushcast.kafka.positions import Members, Spot, unfinished
from pushcast.model.words import Lane, Platform
from pushcast.wire import groups, topics

log = structlog.get_logger()

#: A `run all` starts its senders within seconds.
INTERVAL_SECONDS: Final = 60.0


class SenderPositions(Protocol):
    """What it needs of `Positions`."""

    def members(self, groups: Sequence[str]) -> dict[str, Members]: ...
    def starts(self, spots: Sequence[Spot]) -> dict[Spot, int]: ...
    def ends(self, spots: Sequence[Spot]) -> dict[Spot, int]: ...
    def committed(self, group: str, spots: Sequence[Spot]) -> dict[Spot, int]: ...


class SenderWatch:
    """Asks on a thread. Says so once for each (platform, lane), and again after it had senders in between."""

    def __init__(self, positions: SenderPositions, lanes: Sequence[Lane], partitions: int) -> None:
        self._positions = positions
        self._partitions = partitions
        self._groups = {groups.send(platform, lane): (platform, lane) for platform in Platform for lane in lanes}
        self._told: set[str] = set()

    async def run(self, interval_seconds: float = INTERVAL_SECONDS) -> None:
        """Until it is cancelled. A cluster that does not answer is asked again."""
        while True:
            await asyncio.sleep(interval_seconds)
            try:
                await asyncio.to_thread(self.look)
            except KafkaException as error:
                log.debug("senders_not_looked_for", error=str(error))

    def look(self) -> None:
        """Raises KafkaException without an answer."""
        members = self._positions.members(list(self._groups))
        self._told -= {group for group, found in members.items() if found.alive}
        for group, (platform, lane) in self._groups.items():
            if members[group].alive or group in self._told:
                continue
            topic = topics.send(platform, lane)
            spots = [(topic, partition) for partition in range(self._partitions)]
            starts, ends = self._positions.starts(spots), self._positions.ends(spots)
            spans = unfinished(starts, ends, self._positions.committed(group, spots))
            if waiting := sum(end - start for start, end in spans.values()):
                self._told.add(group)
                log.warning("no_sender", platform=str(platform), lane=str(lane), topic=topic, waiting_records=waiting)
