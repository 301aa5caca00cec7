"""What one reporter answers other processes: of the partitions that it has, as msgpack. Blocks for a few gets."""

from __future__ import annotations

import heapq
from collections.abc import Collection
from typing import Final

import msgspec

from pushcast.report.engaged import Told
from pushcast.report.examples import MAX_LOOKED, Example, examples_of, takes
from pushcast.report.follow import Follower
from pushcast.report.minutes import MinutePlace, MinuteSums, summed
from pushcast.report.notes import KINDS, Note
from pushcast.report.rows import DAY_MS, Delivery
from pushcast.report.store import PartitionStore
from pushcast.wire import topics
from pushcast.wire.control.examples import MAX_EXAMPLES, ExampleFilter

MAX_LISTED: Final = 500


class NoteAnswer(msgspec.Struct, array_like=True):
    """`partitions`: those that were asked here and have caught up. `notes`: sums of each partition that has any.
    `as_of`: until when everything that was written is in them, in milliseconds since the epoch; 0: not known."""

    partitions: list[int]
    notes: list[Note]
    as_of: int = 0


class MinuteAnswer(msgspec.Struct, array_like=True):
    """`partitions`: as of notes. `sums`: of all of them together."""

    partitions: list[int]
    sums: list[tuple[MinutePlace, MinuteSums]]


class ExampleAnswer(msgspec.Struct, array_like=True):
    """`partitions`: as of notes. `looked_at`: rows, of all of them."""

    partitions: list[int]
    examples: list[Example]
    looked_at: int
    more: bool


class UserHistory(msgspec.Struct, array_like=True):
    """Deliveries of a user, newest first: (created_at, delivery id, row)."""

    partition: int
    found: bool  # False: the partition is not here
    deliveries: list[tuple[int, bytes, Delivery]]
    told: list[Told] = []  # what apps told of each
    whole: bool = True  # False: the partition has not caught up
    as_of: int = 0  # as of notes
    kept_since: int = 0  # rows of deliveries that were created before may have been there; 0: not known


_ENCODER: Final = msgspec.msgpack.Encoder(order="deterministic")
SAID: Final = msgspec.msgpack.Decoder(NoteAnswer)
MINUTES: Final = msgspec.msgpack.Decoder(MinuteAnswer)
PASSED: Final = msgspec.msgpack.Decoder(dict[str, int])
HISTORY: Final = msgspec.msgpack.Decoder(UserHistory)
EXAMPLES: Final = msgspec.msgpack.Decoder(ExampleAnswer)


class ReportQuestions:
    """Reads the stores of a follower."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower

    def notes(self, partitions: Collection[int], ids: list[str]) -> bytes:
        """Sums of these notifications and broadcasts, of each of the partitions that is here."""
        names = [(kind, note_id) for note_id in ids for kind in KINDS]
        with self._follower.lock:
            stores = self._stores(partitions)
            found = [store.note(*name) for store in stores.values() for name in names]
            notes = [note for note in found if note is not None]
        return _ENCODER.encode(NoteAnswer(self._whole(stores), notes, self._as_of(stores)))

    def listed(
        self,
        partitions: Collection[int],
        from_minute: int,
        to_minute: int,
        after: tuple[int, bytes] | None,
        limit: int,
    ) -> bytes:
        """The newest notes behind the place `after`, at most `limit` of each of the partitions that is here."""
        limit = min(limit, MAX_LISTED)
        with self._follower.lock:
            stores = self._stores(partitions)
            found = [note for store in stores.values() for note in store.listed(from_minute, to_minute, after, limit)]
        return _ENCODER.encode(NoteAnswer(self._whole(stores), found, self._as_of(stores)))

    def history(
        self, partition: int, user: str, wanted: ExampleFilter, after: tuple[int, bytes] | None, limit: int
    ) -> bytes:
        """The newest deliveries of a user that are wanted, behind the place `after`."""
        from_ms, to_ms = wanted.from_ms, wanted.to_ms
        with self._follower.lock:
            store = self._follower.stores.get(partition)
            if store is None:
                return _ENCODER.encode(UserHistory(partition, False, []))
            if after is not None:
                to_ms = min(to_ms, after[0])
            from_ms = max(from_ms, store.forgotten_until(user) + 1)
            wanted = msgspec.structs.replace(wanted, from_ms=from_ms, to_ms=to_ms)
            found = (
                (row.created_at, delivery_id, row)
                for delivery_id, row in store.deliveries(user, from_ms, to_ms + DAY_MS)
                if takes(wanted, row) and (after is None or (row.created_at, delivery_id) < after)
            )
            newest = heapq.nlargest(min(limit, MAX_LISTED), found, key=lambda each: each[:2])
            told = [store.told(user, delivery_id, created_at) for created_at, delivery_id, _ in newest]
            first_day = store.first_day_ms()
        whole, as_of = self._follower.whole(partition), self._as_of([partition])
        first_day = as_of // DAY_MS * DAY_MS if first_day is None else first_day
        return _ENCODER.encode(UserHistory(partition, True, newest, told, whole, as_of, first_day))

    def minutes(self, partitions: Collection[int], from_minute: int, to_minute: int, step: int) -> bytes:
        """What became due in these minutes and how it ended, added up over `step` minutes each."""
        with self._follower.lock:
            stores = self._stores(partitions)
            found = [row for store in stores.values() for row in store.minutes(from_minute, to_minute)]
        return _ENCODER.encode(MinuteAnswer(self._whole(stores), list(summed(found, step).items())))

    def examples(self, partitions: Collection[int], wanted: ExampleFilter, limit: int) -> bytes:
        """Deliveries that ended in one way: at most so many, and of each partition as many rows are looked at."""
        limit, found, looked_at, more = min(limit, MAX_EXAMPLES), list[Example](), 0, False
        with self._follower.lock:
            stores = self._stores(partitions)
            for number, store in enumerate(stores.values()):
                share = (MAX_LOOKED - looked_at) // (len(stores) - number)
                said = examples_of(store.scan, store.forgotten_until, wanted, limit - len(found), share)
                found += said.found
                looked_at, more = looked_at + said.looked_at, more or said.more
        return _ENCODER.encode(ExampleAnswer(self._whole(stores), found, looked_at, more))

    def passed(self, partition: int) -> bytes:
        """Up to which offset each intake of a partition is planned, as the books say; empty where it is not here."""
        with self._follower.lock:
            store = self._follower.stores.get(partition)
            return _ENCODER.encode({} if store is None else store.meta(topics.PLANNED).passed)

    def _whole(self, stores: Collection[int]) -> list[int]:
        return sorted(each for each in stores if self._follower.whole(each))

    def _as_of(self, stores: Collection[int]) -> int:
        return min((as_of for each in stores if (as_of := self._follower.as_of(each)) is not None), default=0)

    def _stores(self, partitions: Collection[int]) -> dict[int, PartitionStore]:
        return {each: store for each, store in self._follower.stores.items() if each in partitions}
