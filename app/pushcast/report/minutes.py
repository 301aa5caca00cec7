"""What became due in each minute, and how that ended: sums of classes, also of those whose notes are not kept. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from pushcast.report import rows
from pushcast.report.notes import add
from pushcast.report.rows import MINUTE_MS

Get = Callable[[bytes], bytes | None]


class MinutePlace(NamedTuple):
    """Which deliveries are summed up. `minute`: of their due time, since the epoch. Empty: not known, as of what was
    planned for all apps of a user, or by a broadcast."""

    minute: int
    app: str
    klass: str
    platform: str
    lane: str


class MinuteSums(msgspec.Struct, array_like=True):
    """Dictionaries hold no zeros, so that a minute of which everything was taken back is empty."""

    planned: int = 0
    ended: dict[str, int] = {}  # by outcome
    latency: dict[str, int] = {}  # of accepted ones, by number of the bucket
    # Fields are added at the end, where releases before look for none.
    open: int = 0  # of notifications: planned less ended; below zero where what was planned is in another row
    expires_at: int = 0  # when the last of them expires; milliseconds since the epoch

    def __bool__(self) -> bool:
        return bool(self.planned or self.ended or self.latency)


_NOTHING: Final = MinuteSums()

_ENCODER: Final = msgspec.msgpack.Encoder(order="deterministic")
_DECODER: Final = msgspec.msgpack.Decoder(MinuteSums)


class MinuteChanges:
    """What a batch adds to minutes, and takes out of them."""

    def __init__(self) -> None:
        self._sums: dict[MinutePlace, MinuteSums] = {}

    def of(self, due_at: int, app: str, klass: str, platform: str, lane: str) -> MinuteSums:
        """To be changed in place."""
        place = MinutePlace(due_at // MINUTE_MS, app, klass, platform, lane)
        found = self._sums.get(place)
        if found is None:
            found = self._sums[place] = MinuteSums()
        return found

    def over(self, get: Get) -> Iterable[tuple[bytes, bytes | None]]:
        """Rows to be written, made of those that are stored; None deletes. With a minute of which something is open
        goes a row that says when to look at it."""
        for place, change in self._sums.items():
            if change == _NOTHING:
                continue
            key = rows.minute_key(*place)
            stored = get(key)
            sums = MinuteSums() if stored is None else _DECODER.decode(stored)
            add_to(sums, change)
            yield key, None if sums == _NOTHING else _ENCODER.encode(sums)
            if sums.open > 0:
                yield rows.watched_key(sums.expires_at, place.minute), b""


def add_to(sums: MinuteSums, more: MinuteSums) -> None:
    """Adds up."""
    sums.planned += more.planned
    _add_all(sums.ended, more.ended)
    _add_all(sums.latency, more.latency)
    sums.open += more.open
    sums.expires_at = max(sums.expires_at, more.expires_at)


def row_of(key: bytes, value: bytes) -> tuple[MinutePlace, MinuteSums]:
    """Of a stored row."""
    app, klass, platform, lane = key[5:].decode().split("\0", 3)
    return MinutePlace(int.from_bytes(key[1:5]), app, klass, platform, lane), _DECODER.decode(value)


def open_by_class(found: Iterable[tuple[MinutePlace, MinuteSums]], expired_before_ms: int) -> dict[str, int | None]:
    """Of one minute: deliveries of each class that have not ended, where there are any. None: its last notification
    expires later. Apps of a class are added up: what is planned for all apps of a user ends under the apps' names."""
    classes: dict[str, MinuteSums] = {}
    for place, sums in found:
        add_to(classes.setdefault(place.klass, MinuteSums()), sums)
    return {
        klass: sums.open if sums.expires_at < expired_before_ms else None
        for klass, sums in classes.items()
        if sums.open > 0 and sums.expires_at
    }


def summed(found: Iterable[tuple[MinutePlace, MinuteSums]], step: int) -> dict[MinutePlace, MinuteSums]:
    """Added up over `step` minutes each: a place has the first of its minutes."""
    sums: dict[MinutePlace, MinuteSums] = {}
    for place, more in found:
        place = place._replace(minute=place.minute // step * step)  # noqa: PLW2901 - the same place, coarser
        add_to(sums.setdefault(place, MinuteSums()), more)
    return sums


def _add_all(counts: dict[str, int], more: Mapping[str, int]) -> None:
    for key, count in more.items():
        add(counts, key, count)
