"""What health and metrics show of one App. Imports no Faust: commands read it, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from pushcast.stream.stage import PartitionState


@dataclass(frozen=True, slots=True)
class AppState:
    """Figures of an App at one moment."""

    name: str
    assigned: bool  # the group has given it its share (which may be nothing)
    recovered: bool  # tables are up to date and streams run
    partitions: list[PartitionState]
    last_heartbeat_at: float  # CLOCK_BOOTTIME seconds, 0 before the first
    problems: Sequence[str] = ()  # why the App cannot work, one sentence each
    earlier: Mapping[str, int] = field(default_factory=dict)  # records in a schema of an earlier release, by topic
    jumped: Mapping[str, int] = field(default_factory=dict)  # offsets that retention took unhandled, by topic
    held_seconds: Mapping[str, float] = field(default_factory=dict)  # `topic[partition]` before an open transaction

    @property
    def lag_records(self) -> int | None:
        """Sum over the partitions; None while any is unknown."""
        lags = [state.lag_records for state in self.partitions]
        return None if None in lags else sum(cast("list[int]", lags))

    @property
    def lag_known(self) -> bool:
        """Whether the broker has told the end of the log of every owned partition."""
        return self.lag_records is not None

    @property
    def oldest_unfinished_at_ms(self) -> int | None:
        """Kafka timestamp of the oldest record that is fetched and not done."""
        return min((at for state in self.partitions if (at := state.oldest_unfinished_at_ms) is not None), default=None)
