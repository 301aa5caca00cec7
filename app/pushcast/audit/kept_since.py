"""Since when topics are whole: without it nobody can tell what never was from what Kafka has removed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pushcast.handover.reading import Spot
from pushcast.wire.times import rfc3339


class FirstRecords:
    """Offset and time of the first record that each partition has. Give it records in their order."""

    def __init__(self) -> None:
        self._found: dict[Spot, tuple[int, int]] = {}

    def saw(self, spot: Spot, offset: int, at_ms: int) -> None:
        """A record; all but the first say nothing."""
        self._found.setdefault(spot, (offset, at_ms))

    def kept_since(self, ends: Mapping[Spot, int], now_ms: int, without: Collection[str] = ()) -> dict[str, int | None]:
        """From when on each topic is whole, of partitions that were read from their beginning to these ends.

        None: from its beginning. `without`: compacted topics, which lose records from anywhere: what is left says
        nothing about the rest.
        """
        kept: dict[str, int | None] = dict.fromkeys(topic for topic, _ in ends)
        for (topic, partition), end in ends.items():
            offset, at = self._found.get((topic, partition), (end, now_ms))  # all of it is gone
            if offset > 0 and topic not in without:
                kept[topic] = max(at, kept[topic] or 0)
        return kept


def shown_kept_since(kept: Mapping[str, int | None]) -> dict[str, str | None]:
    """For JSON; null: nothing was removed."""
    return {topic: None if at is None else rfc3339(at) for topic, at in kept.items()}
