"""An index of a table's rows in its local copy: entries beside the rows, in one write with them, rebuilt with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, cast

import rocksdict

from pushcast.handover.guard import INTERNAL
from pushcast.stream.rocks import nothing_behind
from pushcast.stream.table import Derive
from pushcast.wire.devices import row_fences

#: In the copy alone, like all that is internal: entries of the index.
INDEX: Final = INTERNAL + b"pushcast-index\0"


class TableIndex:
    """Of all copies of one table.

    Entries with the same first byte are a group. Where a group begins is remembered: RocksDB walks over every deleted
    key on its way, and a queue is deleted from its beginning on.
    """

    def __init__(self, derive: Derive) -> None:
        self._derive = derive
        self._begins: dict[int, dict[bytes, bytes]] = {}  # by partition and group: none of its entries is below that

    def entries(self, partition: int, rows: Iterable[tuple[bytes, bytes | None]]) -> list[bytes]:
        """Keys, without values, that are to be written with these rows. Entries of what a row was before stay."""
        first, end = row_fences.FIRST_ROW, row_fences.END_OF_ROWS
        derived = self._derive([(key, value) for key, value in rows if value is not None and first <= key < end])
        begins = self._begins.setdefault(partition, {})
        if begins:
            for entry in derived:
                begin = begins.get(entry[:1])
                if begin is not None and entry < begin:
                    begins[entry[:1]] = entry
        return [INDEX + entry for entry in derived]

    def read(self, partition: int, database: rocksdict.Rdict, first: bytes, before: bytes, limit: int) -> list[bytes]:
        """Entries from `first` on, below `before`, ascending."""
        begins, group = self._begins.setdefault(partition, {}), first[:1]
        is_whole = first == group
        start = max(first, begins.get(group, first)) if is_whole else first
        if start >= before:
            return []
        found = _read(database, start, before, limit)
        if is_whole:
            begins[group] = min(found[0] if found else before, bytes((group[0] + 1,)))
        return found

    def forget(self, database: rocksdict.Rdict, entries: Iterable[bytes]) -> None:
        """Takes entries out that say nothing any more."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        for entry in entries:
            batch.delete(INDEX + entry)
        database.write(batch)

    def clear(self, partition: int | None = None) -> None:
        """The copy of a partition, or of all of them, may be another one from here on."""
        if partition is None:
            self._begins.clear()
        else:
            self._begins.pop(partition, None)


def _read(database: rocksdict.Rdict, start: bytes, before: bytes, limit: int) -> list[bytes]:
    # The bound keeps RocksDB from walking on over all that was deleted at the beginning of the next queue: behind a
    # minute of a million timers that took tens of milliseconds for each look at an empty one.
    options = rocksdict.ReadOptions()
    options.set_iterate_upper_bound(INDEX + before)
    keys = cast("Iterator[bytes]", database.keys(from_key=INDEX + start, read_opt=options))
    found = list(islice(keys, limit))
    if len(found) < limit:
        nothing_behind(database, found[-1] if found else INDEX + start, options)
    skipped = len(INDEX)
    return [key[skipped:] for key in found]
