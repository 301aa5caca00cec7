"""When a broadcast with a time is due: the instants of all zones. Pure; times are milliseconds since the epoch."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping, Sequence
from datetime import timedelta, timezone, tzinfo
from functools import cache
from typing import Final

from pushcast.model.broadcast import Broadcast, Instant
from pushcast.model.notification import Notification
from pushcast.model.zones import zone_of

#: Zones that are the system's own or no places.
_NO_PLACES: Final = frozenset({"localtime", "Factory"})
#: Where a day begins first.
_FIRST_ZONE: Final = timezone(timedelta(hours=14))


def instants_of(note: Notification, default_zone: str) -> list[Instant]:
    """In their order; none when the time is over and what is over is to be dropped.

    All zones of the pinned tzdata are there, whether a device has them or not, so that every partition gets the same.
    `default_zone`: of devices that have none, or one that there is not.
    """
    timing = note.timing
    if timing is None:
        raise ValueError("the broadcast has no time")
    if not timing.is_local:
        due = timing.due(note.created_at)
        return [] if due is None else [Instant(due, _expires_at(note, due))]
    zones: dict[int, list[str]] = {}
    for name in _names():
        zone = zone_of(name)
        due = None if zone is None else timing.due_in(zone, note.created_at)
        if due is not None:
            zones.setdefault(due, []).append(name)
    default = zone_of(default_zone)
    due = None if default is None else timing.due_in(default, note.created_at)
    instants = sorted(zones)
    # As for a device: no zone in tzdata may have the time of a fixed offset.
    others = None if due is None else _next(instants, due)
    return [Instant(at, _expires_at(note, at), zones[at], place == others) for place, at in enumerate(instants, 1)]


def first_due(note: Notification) -> int:
    """When it goes to the first of its devices; created when nothing delays it, or when its time is over."""
    timing = note.timing
    if timing is None or not timing.is_local:
        return note.due_at
    return timing.due_in(_FIRST_ZONE, note.created_at) or note.created_at


@cache
def _names() -> tuple[str, ...]:
    return tuple(sorted(zoneinfo.available_timezones() - _NO_PLACES))


def _expires_at(note: Notification, due: int) -> int:
    """A time to live counts from each instant; an expiry that the event names is one for all."""
    return due + note.ttl_ms if note.ttl_ms else note.expires_at


class Zones:
    """Which devices an order of one instant takes."""

    def __init__(self, broadcast: Broadcast) -> None:
        """Of a broadcast with instants. Those without zones take every device."""
        self._broadcast = broadcast
        self._step = broadcast.step
        self._first_at = broadcast.instants[0].at
        self._places: dict[str | None, int] = {
            name: number for number, instant in enumerate(broadcast.instants, 1) for name in instant.zones or ()
        }
        self._others = next((number for number, each in enumerate(broadcast.instants, 1) if each.others), 0)
        self._all = broadcast.instants[self._step - 1].zones is None

    def takes(self, columns: Mapping[str, object]) -> bool:
        """`columns`: of a device's row. A device has one zone for one broadcast: the one of the first instant."""
        if self._all:
            return True
        changed_at = columns["zone_at"]
        name = columns["zone_before" if isinstance(changed_at, int) and changed_at > self._first_at else "time_zone"]
        return self._place(name if isinstance(name, str) else None) == self._step

    def _place(self, name: str | None) -> int:
        place = self._places.get(name)
        if place is None:
            zone = None if name is None else zone_of(name)
            place = self._places[name] = self._others if zone is None else self._place_in(zone)
        return place

    def _place_in(self, zone: tzinfo) -> int:
        """Of a fixed offset, which has no name in tzdata: when its time comes, or the next instant behind it."""
        timing, instants = self._broadcast.note.timing, self._broadcast.instants
        due = None if timing is None else timing.due_in(zone, self._broadcast.note.created_at)
        if due is None:
            return 0
        return _next([each.at for each in instants], due)


def _next(instants: Sequence[int], due: int) -> int:
    """Which of the instants that time is, or the next one behind it, from 1 on; behind all of them the last."""
    return next((number for number, at in enumerate(instants, 1) if at >= due), len(instants))
