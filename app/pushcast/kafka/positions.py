"""How far topics reach and groups have come, asked of the cluster: one request for many partitions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any, Final

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer

from pushcast.kafka.clients import open_consumer, open_peeker
from pushcast.kafka.group_questions import GroupQuestions, connecting
from pushcast.kafka.group_questions import Members as Members
from pushcast.kafka.log_offsets import LogOffsets
from pushcast.kafka.offsets import Spot as Spot
from pushcast.kafka.security import aiokafka_config

#: Of the consumers that are asked about logs: never joined, and never committed to.
GROUP: Final = "pushcast-positions"


def unfinished(
    starts: Mapping[Spot, int], ends: Mapping[Spot, int], committed: Mapping[Spot, int]
) -> dict[Spot, tuple[int, int]]:
    """Of each partition what its group has not finished; what retention took is over.

    From this offset, up to and without that one. Pure.
    """
    spans = {spot: (max(starts.get(spot, 0), committed.get(spot, 0)), end) for spot, end in ends.items()}
    return {spot: (first, end) for spot, (first, end) in spans.items() if first < end}


class Positions:
    """Questions to one cluster. Every method blocks, and raises KafkaException without an answer."""

    def __init__(self, groups: GroupQuestions, reader: Callable[[], Consumer], peeker: Callable[[], Consumer]) -> None:
        """Logs are asked about with consumers: `reader` opens one that sees what is committed, `peeker` one that sees
        open transactions, too."""
        self._groups = groups
        self._logs = LogOffsets(reader)
        self._written = LogOffsets(peeker)

    def starts(self, spots: Iterable[Spot]) -> dict[Spot, int]:
        """First offset that is there. Partitions that do not exist are left out."""
        return self._logs.offsets(dict.fromkeys(spots, OFFSET_BEGINNING))

    def ends(self, spots: Iterable[Spot]) -> dict[Spot, int]:
        """Where what is committed ends. Partitions that do not exist are left out."""
        return self._logs.offsets(dict.fromkeys(spots, OFFSET_END))

    def written(self, spots: Iterable[Spot]) -> dict[Spot, int]:
        """Next offset to be written, open transactions included. Partitions that do not exist are left out."""
        return self._written.offsets(dict.fromkeys(spots, OFFSET_END))

    def at(self, times_ms: Mapping[Spot, int]) -> dict[Spot, int]:
        """First offset of each partition's time or later. Partitions that have none are left out."""
        found = self._logs.offsets(times_ms)
        return {spot: offset for spot, offset in found.items() if offset >= 0}

    def committed(self, group: str, spots: Iterable[Spot]) -> dict[Spot, int]:
        """Where the group goes on, for partitions in which it has committed; it needs no member for that."""
        return self.committed_by({group: spots})[group]

    def committed_by(self, wanted: Mapping[str, Iterable[Spot]]) -> dict[str, dict[Spot, int]]:
        """`committed` of several groups, each asked for its own partitions."""
        found = self._groups.commits({group: list(spots) for group, spots in wanted.items()})
        return {group: {spot: at.offset for spot, at in its.items()} for group, its in found.items()}

    def metadata(self, group: str, spots: Iterable[Spot]) -> dict[Spot, str]:
        """What the group committed beside its offsets."""
        return {spot: at.metadata for spot, at in self._groups.commits({group: list(spots)})[group].items()}

    def members(self, groups: Collection[str]) -> dict[str, Members]:
        """State and members of each group; one that the cluster does not know is dead."""
        return self._groups.members(groups) if groups else {}


def open_positions(client: Mapping[str, Any]) -> Positions:
    """`client`: from `client_config`. Raises ConfigurationError for a certificate that cannot be used."""
    if client.get("log_level") == 0:  # a tool, which ends with one sentence
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    reader, peeker = partial(open_consumer, client, GROUP), partial(open_peeker, client, GROUP)
    return Positions(GroupQuestions(connecting(aiokafka_config(client))), reader, peeker)
