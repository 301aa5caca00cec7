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

    def __bool__(self) -> bool:
        return bool(self.planned or self.ended or self.latency)


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
        """Rows to be written, made of those that are stored; None deletes."""
        for place, change in self._sums.items():
            if not change:
                continue
            key = rows.minute_key(*place)
            stored = get(key)
            sums = MinuteSums() if stored is None else _DECODER.decode(stored)
            add_to(sums, change)
            yield key, _ENCODER.encode(sums) if sums else None


def add_to(sums: MinuteSums, more: MinuteSums) -> None:
    """Adds up."""
    sums.planned += more.planned
    _add_all(sums.ended, more.ended)
    _add_all(sums.latency, more.latency)


def row_of(key: bytes, value: bytes) -> tuple[MinutePlace, MinuteSums]:
    """Of a stored row."""
    app, klass, platform, lane = key[5:].decode().split("\0")
    return MinutePlace(int.from_bytes(key[1:5]), app, klass, platform, lane), _DECODER.decode(value)


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
