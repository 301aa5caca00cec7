"""What is read of one copy of a table: rows by their users, rows one after the other, and what a copy keeps for itself.

Each read has an iterator of its own: none may be held while the loop goes on, because a revoke closes the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import cast

import rocksdict

from pushcast.handover.guard import INTERNAL, VOID_PREFIX
from pushcast.stream.rocks import nothing_behind, read_whole
from pushcast.wire.devices import row_fences

Row = tuple[bytes, bytes]


def rows_after(database: rocksdict.Rdict, key: bytes, limit: int) -> list[Row]:
    """The first `limit` rows whose key is above this one, by key, without fences and what a copy keeps for itself."""
    # Fences sort below every user, behind a NUL.
    from_key = max(key + b"\0", row_fences.FIRST_ROW)
    rows = cast(list[Row], list(islice(database.items(from_key=from_key), limit)))
    if len(rows) < limit:
        nothing_behind(database, rows[-1][0] if rows else from_key)
    while rows and rows[-1][0].startswith(INTERNAL):
        rows.pop()
    return rows


def multi_scan(database: rocksdict.Rdict, prefixes: Sequence[bytes]) -> list[list[Row]]:
    """Rows whose key starts with each prefix, by key; the answers are in the order of the prefixes."""
    found: list[list[Row]] = [[] for _ in prefixes]
    if not prefixes:
        return found
    iterator = database.iter()
    seek, key_of, value_of, following = iterator.seek, iterator.key, iterator.value, iterator.next
    last: bytes | None = None
    rows: list[Row] = []
    # Sorted, so that neighbours share blocks; a prefix that is asked for twice is sought once.
    order = sorted(range(len(prefixes)), key=prefixes.__getitem__)
    seek(max(prefixes[order[0]], row_fences.FIRST_ROW))
    key = key_of()  # None at the end of the table
    for index in order:
        prefix = prefixes[index]
        if prefix == last:
            found[index] = rows
            continue
        # What lies between the prefix before and the key that was reached is known: nothing. One that is in the prefix
        # before was passed with it.
        if (key is not None and key < prefix) or (last is not None and prefix.startswith(last)):
            seek(max(prefix, row_fences.FIRST_ROW))
            key = key_of()
        last, rows = prefix, found[index]
        if key is not None and key.startswith(prefix):
            while key is not None and key.startswith(prefix):
                rows.append((key, value_of()))
                following()
                key = key_of()
            while rows and rows[-1][0].startswith(INTERNAL):
                rows.pop()
        if key is None:
            read_whole(iterator)
    return found


def internal_rows(database: rocksdict.Rdict) -> list[Row]:
    """The fences, and what the guard of the copy has noted."""
    found = [(key, cast("bytes | None", database.get(key))) for key in sorted(row_fences.KEYS)]
    rows = [(key, bytes(value)) for key, value in found if value is not None]
    iterator = database.iter()
    iterator.seek(VOID_PREFIX)
    while (key := iterator.key()) is not None and key.startswith(VOID_PREFIX):
        rows.append((key, iterator.value()))
        iterator.next()
    if key is None:
        read_whole(iterator)
    return rows
