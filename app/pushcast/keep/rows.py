"""The rows of one partition as they will be once all that is in flight is applied: reads and writes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from pushcast.keep.exact import STAGE
from pushcast.keep.tenure import KeepTenure, Row
from pushcast.keep.written import WrittenEntries
from pushcast.model.caps import Usage
from pushcast.model.own import OwnClass
from pushcast.stream.overlay import OverlayEntry
from pushcast.stream.ports import Barrier, Outbox, putting_many
from pushcast.stream.table import Table
from pushcast.wire import topics
from pushcast.wire.devices import row_fences
from pushcast.wire.headers import CE_ID, FENCE, Headers
from pushcast.wire.waiting.badge_rows import Badge, badges_prefix, encode_badge, is_badge, readable_badge
from pushcast.wire.waiting.digests import Head, encode_head, is_head, readable_head
from pushcast.wire.waiting.recallable import (
    Recallable,
    encode_recallable,
    is_recallable,
    readable_recallable,
    recallables_prefix,
)
from pushcast.wire.waiting.timers import (
    Timer,
    encode_timer,
    is_closed,
    is_timer,
    note_id_of,
    readable,
    timer_key,
    timers_prefix,
    user_key,
)
from pushcast.wire.waiting.usage import encode_usage, is_usage, readable_usage

#: Tag of a row that was written over a void one: no write of ours has it.
_HEALED = b"healed"
#: User key, key, value and entry in the index of a timer's row.
WrittenTimer = tuple[bytes, bytes, bytes, bytes]
_NONE: Final[dict[bytes, bytes]] = {}


class Rows:
    """Never awaits: reading a row and writing it are one step."""

    def __init__(self, table: Table, outbox: Outbox, written: WrittenEntries) -> None:
        """`written`: told of what `put_written` writes, and asked by the table."""
        self._written = written
        self._table = table
        self._outbox = outbox
        self._put_many = putting_many(outbox)

    @contextmanager
    def read_ahead(self, tenure: KeepTenure, users: Iterable[bytes]) -> Iterator[None]:
        """Within it timers of these users are read at one moment of the table, in one pass: await nothing. Users that
        are known to have many are left out."""
        counted = tenure.waiting
        wanted = [user for user in dict.fromkeys(users) if not counted or user not in counted]
        found = self._table.multi_scan(tenure.number, [timers_prefix(user) for user in wanted])
        # Mostly a user has none, and nobody writes into what was read.
        tenure.ahead = {user: dict(rows) if rows else _NONE for user, rows in zip(wanted, found, strict=True)}
        try:
            yield
        finally:
            tenure.ahead = {}

    def timer(self, tenure: KeepTenure, key: bytes) -> Timer | None:
        """`get` of what is a timer."""
        row = self.get(tenure, key)
        return row if isinstance(row, Timer) else None

    def head(self, tenure: KeepTenure, key: bytes) -> Head | None:
        """`get` of what is a digest."""
        row = self.get(tenure, key)
        return row if isinstance(row, Head) else None

    def badge(self, tenure: KeepTenure, key: bytes) -> Badge | None:
        """`get` of what is a badge."""
        row = self.get(tenure, key)
        return row if isinstance(row, Badge) else None

    def badges_of(self, tenure: KeepTenure, user: str) -> dict[bytes, Badge]:
        """A user's badges in all apps, by row key."""
        return {key: row for key, row in self._scan(tenure, user, badges_prefix(user)) if isinstance(row, Badge)}

    def usage(self, tenure: KeepTenure, key: bytes) -> Usage | None:
        """What a user has got, by the newest decision, written or not."""
        if (decided := tenure.decided.get(key)) is not None:
            return decided
        row = self.get(tenure, key)
        return row if isinstance(row, Usage) else None

    @staticmethod
    def decide(tenure: KeepTenure, key: bytes, row: Usage) -> None:
        """What a user has got is decided, and known here. `put_decided` writes it, or any `put` of the key."""
        tenure.decided[key] = row

    def put_decided(self, tenure: KeepTenure, barrier: Barrier, key: bytes) -> None:
        """Writes what was decided of a user, unless that is done."""
        if (row := tenure.decided.get(key)) is not None:
            self.put(tenure, barrier, key, row)

    def recallables_of(self, tenure: KeepTenure, user: str) -> dict[bytes, Recallable]:
        """What may be taken back from push services, by row key: in each app."""
        rows = self._scan(tenure, user, recallables_prefix(user))
        return {key: row for key, row in rows if isinstance(row, Recallable)}

    def in_flight(self, tenure: KeepTenure, key: bytes) -> bool:
        """Whether a write of it was not applied by the table yet."""
        return key in tenure.overlay.of_user(user_key(key))

    def gathering(self, tenure: KeepTenure, user: bytes, digest: str) -> bool:
        """Whether a write of a member of this digest was not applied by the table yet."""
        entries = tenure.overlay.of_user(user).values()
        return any(isinstance(entry.row, Timer) and entry.row.digest == digest for entry in entries)

    def has_none(self, tenure: KeepTenure, user: bytes) -> bool:
        """Whether a user whose timers were read ahead has none, and nothing else that is in flight."""
        return not tenure.ahead.get(user, True) and not tenure.overlay.of_user(user)

    def timers_of(self, tenure: KeepTenure, user: str) -> dict[bytes, Timer]:
        """All timers of a user, released ones too, by row key."""
        found = self._timers(tenure, user).items()
        return {key: row for key, value in found if isinstance(row := _row_of(key, value), Timer)}

    def waiting_of(self, tenure: KeepTenure, user: str) -> dict[bytes, Timer]:
        """Those that wait, by row key. Most rows of a user are only remembered: they are not decoded."""
        return _waiting(self._timers(tenure, user))

    def _timers(self, tenure: KeepTenure, user: str) -> dict[bytes, Row | bytes | None]:
        name = user.encode()
        return self._found(tenure, name, timers_prefix(name), tenure.ahead.get(name))

    def own_of(self, tenure: KeepTenure, user: str, kind: OwnClass) -> dict[bytes, Timer]:
        """Those that the keeper has made itself of this kind, released ones too, by row key."""
        rows = self._scan(tenure, user, timer_key(user, f"{kind}:"))
        return {key: row for key, row in rows if isinstance(row, Timer) and row.kind == kind}

    def named(self, tenure: KeepTenure, user: str, note_id: str) -> dict[bytes, Timer]:
        """All timers of one notification of a user, released ones too, by row key."""
        rows = self._scan(tenure, user, timer_key(user, note_id))
        return {key: row for key, row in rows if isinstance(row, Timer) and note_id_of(key) == note_id}

    def waiting(self, tenure: KeepTenure, user: str) -> int:
        """How many timers of a user wait."""
        name = user.encode()
        if name in tenure.waiting:
            return tenure.waiting.of(name)
        rows = self._timers(tenure, user)
        found = len(_waiting(rows))
        tenure.waiting.scanned(name, len(rows), found)
        return found

    def heads_of(self, tenure: KeepTenure, user: str, prefix: bytes) -> dict[bytes, Head]:
        """Digests of a user under a prefix, by row key."""
        return {key: row for key, row in self._scan(tenure, user, prefix) if isinstance(row, Head)}

    def put(self, tenure: KeepTenure, barrier: Barrier, key: bytes, row: Row | None) -> None:
        """Writes a row; None removes it."""
        tenure.decided.pop(key, None)
        user = user_key(key)
        if user in tenure.waiting and is_timer(key):
            after = row if isinstance(row, Timer) else None
            tenure.waiting.changed(user, self.timer(tenure, key), after)
        tag = self._noted(tenure, user, key, row)
        self._write(tenure, barrier, key, row, tag)

    def put_written(self, tenure: KeepTenure, barrier: Barrier, rows: Sequence[WrittenTimer]) -> None:
        """`put` of timers that are written already, in turn. Of no user in `tenure.waiting`."""
        first = tenure.writes + 1
        tenure.writes += len(rows)
        tags = [b"%d" % number for number in range(first, tenure.writes + 1)]
        self._written.note([row[1:] for row in rows])
        tenure.overlay.put_many(
            [(user, key, OverlayEntry(value, tag)) for (user, key, value, _), tag in zip(rows, tags, strict=True)]
        )
        origin = tenure.origin
        records: list[tuple[bytes, bytes, Headers]] = [
            (value, key, [(CE_ID, tag), *origin]) for (_, key, value, _), tag in zip(rows, tags, strict=True)
        ]
        self._put_many(barrier, topics.USER, tenure.number, records)

    @staticmethod
    def _noted(tenure: KeepTenure, user: bytes, key: bytes, row: Row | bytes | None) -> bytes:
        """The tag of this write, which the overlay knows from here on."""
        tenure.writes += 1
        tag = b"%d" % tenure.writes
        tenure.overlay.put(user, key, OverlayEntry(row, tag))
        return tag

    def overwrite(self, tenure: KeepTenure, barrier: Barrier, key: bytes) -> None:
        """Writes what is known of a key over a void row, which compaction would keep instead. Skips the overlay: a
        write of this key that is in flight carries the same already."""
        if key in row_fences.KEYS:
            epoch = self._table.fenced(tenure.number)
            value = row_fences.records(f"{STAGE}/{tenure.number}", epoch)[key]
            headers = [*tenure.origin, (FENCE, b"1")]
            self._outbox.put(barrier, topics.USER, tenure.number, value, key, headers)
        else:
            self._write(tenure, barrier, key, self.get(tenure, key), _HEALED)

    def get(self, tenure: KeepTenure, key: bytes) -> Row | None:
        """The newest write of a row, acknowledged or not."""
        user = user_key(key)
        entry = tenure.overlay.of_user(user).get(key)
        if entry is not None:
            return _row_of(key, entry.row)
        ahead = tenure.ahead.get(user)
        value = self._table.get(tenure.number, key) if ahead is None or not is_timer(key) else ahead.get(key)
        return None if value is None else _decoded(key, value)

    def _scan(self, tenure: KeepTenure, user: str, prefix: bytes) -> Iterable[tuple[bytes, Row | None]]:
        found = self._found(tenure, user.encode(), prefix)
        return [(key, _row_of(key, value)) for key, value in found.items()]

    def _found(
        self, tenure: KeepTenure, user: bytes, prefix: bytes, known: Mapping[bytes, bytes] | None = None
    ) -> dict[bytes, Row | bytes | None]:
        """What is under a prefix, by row key, as table and overlay have it: `_row_of` decodes it. None: it is being
        removed. `known`: the table's rows of this prefix, where they were read before."""
        rows = self._table.scan(tenure.number, prefix) if known is None else known
        found: dict[bytes, Row | bytes | None] = dict(rows)
        for key, entry in tenure.overlay.of_user(user).items():
            if key.startswith(prefix):
                found[key] = entry.row
        return found

    def _write(self, tenure: KeepTenure, barrier: Barrier, key: bytes, row: Row | None, tag: bytes) -> None:
        value = None if row is None else _encoded(row)
        self._outbox.put(barrier, topics.USER, tenure.number, value, key, [(CE_ID, tag), *tenure.origin])


def _row_of(key: bytes, row: Row | bytes | None) -> Row | None:
    """What the overlay has of a key: a row, or what is written of it."""
    return _decoded(key, row) if isinstance(row, bytes) else row


def _waiting(timers: Mapping[bytes, Row | bytes | None]) -> dict[bytes, Timer]:
    """Those of a user's timers that wait."""
    found = {key: value for key, value in timers.items() if not (isinstance(value, bytes) and is_closed(value))}
    rows = {key: _row_of(key, value) for key, value in found.items()}
    return {key: row for key, row in rows.items() if isinstance(row, Timer) and row.waits}


def _decoded(key: bytes, value: bytes) -> Row | None:
    if is_timer(key):
        return readable(value)
    if is_badge(key):
        return readable_badge(value)
    if is_usage(key):
        return readable_usage(value)
    if is_recallable(key):
        return readable_recallable(value)
    return readable_head(value) if is_head(key) else None


def _encoded(row: Row) -> bytes:
    if isinstance(row, Timer):
        return encode_timer(row)
    if isinstance(row, Recallable):
        return encode_recallable(row)
    if isinstance(row, Badge):
        return encode_badge(row)
    return encode_head(row) if isinstance(row, Head) else encode_usage(row)
