"""When a notification is due. Pure; times are milliseconds since the epoch."""

from __future__ import annotations

from datetime import tzinfo
from hashlib import blake2b
from typing import Final, Literal

import msgspec

from pushcast.model.zones import WallTime, due_at, local_time, next_day

IfPast = Literal["send", "next_day", "drop"]
#: As `deliver_local_at`: the time of the day at which a device was seen last.
LAST_ACTIVE: Final = "last_active"
_ZONES_OF_PEOPLE: Final = frozenset({"device", "user"})


class Timing(msgspec.Struct, frozen=True):
    """What an event says of its time; at most one of `deliver_at` and `reading`.

    `zone`: of the reading, for everybody; None: the zone of each device, or of the user (`of_user`).
    """

    deliver_at: int | None = None
    reading: WallTime | None = None
    zone: tzinfo | None = None
    of_user: bool = False
    if_past: IfPast = "send"
    spread_ms: int = 0
    says_spread: bool = False  # whether the event did, 0 included
    wait_ms: int = 0  # later than that by so much, and only if it was not read meanwhile
    last_active: bool = False  # the reading is that at which each device was seen last (`at_last_seen`)

    @property
    def is_local(self) -> bool:
        """Whether the due time differs from device to device."""
        return self.reading is not None and self.zone is None

    def at_last_seen(self, seen_at: int, zone: tzinfo) -> Timing:
        """The same with the time of the day at which a device was seen last, where it is."""
        return msgspec.structs.replace(self, reading=WallTime(None, local_time(seen_at, zone)), last_active=False)

    def due_in(self, zone: tzinfo, created_at: int) -> int | None:
        """When the reading comes in a zone; None: it is over, and nothing is to be sent."""
        if self.reading is None:
            return self.deliver_at
        due = due_at(self.reading, zone, created_at)
        if due > created_at or self.if_past == "send":
            return due
        return None if self.if_past == "drop" else next_day(self.reading, zone, created_at)

    def due(self, created_at: int) -> int | None:
        """The same for what is due everywhere at once: created when nothing delays it."""
        if self.reading is not None and self.zone is not None:
            return self.due_in(self.zone, created_at)
        return created_at if self.deliver_at is None else self.deliver_at


def spread_of(user: str, name: str, spread_ms: int) -> int:
    """How much later within a spread: even over users, and the same after any restart. `name`: campaign or id."""
    if not spread_ms:
        return 0
    drawn = blake2b(f"{user}\0{name}".encode(), digest_size=8, person=b"spread").digest()
    return int.from_bytes(drawn, "big") % spread_ms


def is_of_people(zone: str) -> bool:
    """Whether `time_zone` names no zone but whose zone counts."""
    return zone in _ZONES_OF_PEOPLE
