"""Which rows a sweep ends, and how it goes through a partition. Pure: told the time, never asks for it.

A sweep looks at every row twice. First it counts: when more than `max_share` of the partition's devices are stale, a
clock has jumped or an app has stopped refreshing, and nothing is removed until an operator says so. Then it removes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from pushcast.model.device import DeviceRow
from pushcast.model.user import UserRow

DAY_MS: Final = 86_400_000
#: Markers of removed devices and forgotten users: as long as dead letters can be redriven.
MARKER_MS: Final = 14 * DAY_MS
#: Apps refresh every 14 days: a device that is between these ages has missed one.
OVERDUE_MS: Final = (15 * DAY_MS, 30 * DAY_MS)
#: In `stale_days`: of platforms that it does not name.
OTHERS: Final = "default"
STALE: Final = "stale"


class Fate(StrEnum):
    """Why a sweep ends a row."""

    STALE = "stale"  # the device has not been seen for too long
    MARKER = "marker"  # of a removed device; nothing can come late any more
    FORGOTTEN = "forgotten"  # the same of a user


class SweepRules(NamedTuple):
    """`stale_ms`: by platform, after how long without a sign of life a device is removed."""

    stale_ms: Mapping[str, int]
    max_share: float

    def fate(self, row: DeviceRow | UserRow, now_ms: int) -> Fate | None:
        """None: the row stays."""
        if isinstance(row, UserRow):
            at = row.forgotten_at
            return Fate.FORGOTTEN if at is not None and now_ms - at > MARKER_MS else None
        if row.is_gone:
            removed_at = row.registered_at if row.removed_at is None else row.removed_at
            return Fate.MARKER if now_ms - removed_at > MARKER_MS else None
        limit = self.stale_ms.get(row.platform, self.stale_ms[OTHERS])
        return Fate.STALE if now_ms - row.seen_at > limit else None


DEFAULT_RULES: Final = SweepRules({"fcm": 270 * DAY_MS, OTHERS: 300 * DAY_MS}, max_share=0.05)


@dataclass(slots=True)
class SweepTally:
    """What a pass has counted. `devices`: without those that are gone."""

    devices: int = 0
    stale: dict[str, int] = field(default_factory=dict)  # by platform
    markers: int = 0  # that nobody needs any more
    overdue: int = 0  # devices that missed a refresh

    def add(self, row: DeviceRow | UserRow, fate: Fate | None, now_ms: int) -> None:
        """Counts one row."""
        if isinstance(row, DeviceRow) and not row.is_gone:
            self.devices += 1
            self.overdue += OVERDUE_MS[0] <= now_ms - row.seen_at <= OVERDUE_MS[1]
            if fate is Fate.STALE:
                self.stale[row.platform] = self.stale.get(row.platform, 0) + 1
        elif fate is not None:
            self.markers += 1

    @property
    def stale_devices(self) -> int:
        return sum(self.stale.values())

    def brakes(self, max_share: float) -> bool:
        """Whether so many devices are stale that nothing may be removed without a word from an operator."""
        return self.stale_devices > max_share * self.devices


class Phase(StrEnum):
    """Where a sweep is."""

    RESTING = "resting"
    COUNTING = "counting"
    BRAKED = "braked"
    REMOVING = "removing"


class Sweep:
    """Of one partition. `due`: when to go on, in seconds of the monotonic clock."""

    def __init__(self, due: float) -> None:
        self.phase = Phase.RESTING
        self.due = due
        self.cursor = b""
        self.tally = SweepTally()  # of the pass that is under way, or of the last one

    def begin(self) -> None:
        """Counts from the first row on."""
        self.phase, self.cursor, self.tally = Phase.COUNTING, b"", SweepTally()

    def counted(self, max_share: float) -> bool:
        """Every row is counted. False: the brake holds."""
        if self.tally.brakes(max_share):
            self.phase = Phase.BRAKED
            return False
        self.remove()
        return True

    def remove(self) -> None:
        """Removes from the first row on; nothing to do where nothing was found."""
        found = self.tally.stale_devices or self.tally.markers
        self.phase, self.cursor = (Phase.REMOVING if found else Phase.RESTING), b""

    def rest(self) -> None:
        """The pass is over."""
        self.phase, self.cursor = Phase.RESTING, b""


def pass_of(now_ms: int) -> str:
    """The name of the passes of a day, in UTC: what an operator confirms holds for no other day."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).date().isoformat()
