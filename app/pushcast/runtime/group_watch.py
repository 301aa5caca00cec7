"""How far every group has come, asked by the settlers: a group that is down cannot tell its own lag."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Protocol

import structlog
from confluent_kafka import KafkaException

from pushcast.kafka.positions import Members, Spot, unfinished
from pushcast.kafka.reach import Unreachable, require_broker
from pushcast.model.clock import Clock, SystemClock
from pushcast.model.words import Lane
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample
from pushcast.wire import topics
from pushcast.wire.groups import Reading

log = structlog.get_logger()

#: Between two looks; a look asks three questions a group.
INTERVAL_SECONDS: Final = 30.0


class GroupPositions(Protocol):
    """What it needs of `Positions`."""

    def members(self, groups: Sequence[str]) -> dict[str, Members]: ...
    def starts(self, spots: Sequence[Spot]) -> dict[Spot, int]: ...
    def ends(self, spots: Sequence[Spot]) -> dict[Spot, int]: ...
    def at(self, times_ms: Mapping[Spot, int]) -> dict[Spot, int]: ...
    def committed_by(self, wanted: Mapping[str, Collection[Spot]]) -> dict[str, dict[Spot, int]]: ...


class GroupWatch:
    """Lag by (group, topic) and members by group, as of the last look; a source of metrics. Every settler has one and
    all find the same: add nothing up over processes."""

    def __init__(
        self,
        positions: GroupPositions,
        readings: Sequence[Reading],
        partitions: int,
        bootstrap_servers: str,
        *,
        within_seconds: int = 120,
        prompt: Collection[Lane] = tuple(Lane),
        clock: Clock | None = None,
    ) -> None:
        """`prompt`: lanes whose notifications are to be planned `within_seconds`."""
        self._positions = positions
        self._readings = readings
        self._partitions = partitions
        self._bootstrap_servers = bootstrap_servers
        self._within_ms = within_seconds * 1000
        self._prompt = list(prompt)
        self._clock = clock or SystemClock()
        self._unplanned: dict[Lane, int] = {}
        self._lag: dict[tuple[str, str], int] = {}
        self._members: dict[str, int] = {}

    async def run(self, interval_seconds: float = INTERVAL_SECONDS) -> None:
        """Until it is cancelled. While Kafka does not answer there are no figures: old ones would look new."""
        while True:
            try:
                await asyncio.to_thread(self._look_if_reachable)
            except (KafkaException, Unreachable) as error:
                self._lag, self._members, self._unplanned = {}, {}, {}
                log.debug("groups_not_looked_at", error=str(error))
            await asyncio.sleep(interval_seconds)

    def _look_if_reachable(self) -> None:
        # Questions about logs would wait for 15 s each.
        require_broker(self._bootstrap_servers)
        self.look()

    def look(self) -> None:
        """Blocks. Raises KafkaException without an answer."""
        spots = [(topic, number) for each in self._readings for topic in each.topics for number in self._numbers()]
        starts, ends = self._positions.starts(spots), self._positions.ends(spots)
        before_ms = self._clock.now_ms() - self._within_ms
        intakes = {topics.notification(lane): lane for lane in self._prompt}
        young = self._positions.at({spot: before_ms for spot in ends if spot[0] in intakes})
        unplanned = dict.fromkeys(self._prompt, 0)
        lag: dict[tuple[str, str], int] = {}
        read_by = {
            each.group: {spot: end for spot, end in ends.items() if spot[0] in each.topics} for each in self._readings
        }
        committed = self._positions.committed_by(read_by)
        for each in self._readings:
            its_ends = read_by[each.group]
            spans = unfinished(starts, its_ends, committed[each.group])
            lag |= {(each.group, topic): 0 for topic, _ in its_ends}
            for (topic, number), (start, end) in spans.items():
                lag[each.group, topic] += end - start
                if topic in intakes:
                    unplanned[intakes[topic]] += max(0, young.get((topic, number), end) - start)
        members = self._positions.members([each.group for each in self._readings])
        self._unplanned = unplanned
        self._lag, self._members = lag, {group: found.alive for group, found in members.items()}

    def samples(self) -> Iterable[Sample]:
        """For `Metrics.add_source`; on the loop."""
        for labels, records in self._lag.items():
            yield Sample(Name.GROUP_LAG, records, labels)
        for lane, records in self._unplanned.items():
            yield Sample(Name.SLO_UNPLANNED, records, (lane,))
        for group, alive in self._members.items():
            yield Sample(Name.GROUP_MEMBERS, alive, (group,))

    def _numbers(self) -> range:
        return range(self._partitions)
