"""The timers of one partition as they will be once all that is in flight is applied: reads and writes them."""

from __future__ import annotations

from pushcast.keep.exact import STAGE
from pushcast.keep.tenure import KeepTenure
from pushcast.stream.overlay import Entry
from pushcast.stream.ports import Barrier, Outbox
from pushcast.stream.table import Table
from pushcast.wire import row_fences, topics
from pushcast.wire.headers import CE_ID, FENCE
from pushcast.wire.timers import Timer, encode_timer, readable, timers_prefix, user_key

#: Tag of a row that was written over a void one: no write of ours has it.
_HEALED = b"healed"


class Rows:
    """Never awaits: reading a row and writing it are one step."""

    def __init__(self, table: Table, outbox: Outbox) -> None:
        self._table = table
        self._outbox = outbox

    def get(self, tenure: KeepTenure, key: bytes) -> Timer | None:
        """The newest write of a timer, acknowledged or not."""
        entry = tenure.overlay.of_user(user_key(key)).get(key)
        if entry is not None:
            return entry.row
        value = self._table.get(tenure.number, key)
        return None if value is None else readable(value)

    def in_flight(self, tenure: KeepTenure, key: bytes) -> bool:
        """Whether a write of it was not applied by the table yet."""
        return key in tenure.overlay.of_user(user_key(key))

    def of_user(self, tenure: KeepTenure, user: str) -> dict[bytes, Timer]:
        """All timers of a user, released ones too, by row key."""
        found: dict[bytes, Timer | None] = {
            key: readable(value) for key, value in self._table.scan(tenure.number, timers_prefix(user))
        }
        for key, entry in tenure.overlay.of_user(user.encode()).items():
            found[key] = entry.row
        return {key: timer for key, timer in found.items() if timer is not None}

    def put(self, tenure: KeepTenure, barrier: Barrier, key: bytes, timer: Timer | None) -> None:
        """Writes a row; None removes it."""
        tenure.writes += 1
        tag = b"%d" % tenure.writes
        tenure.overlay.put(user_key(key), key, Entry(timer, tag))
        self._write(tenure, barrier, key, timer, tag)

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

    def _write(self, tenure: KeepTenure, barrier: Barrier, key: bytes, timer: Timer | None, tag: bytes) -> None:
        value = None if timer is None else encode_timer(timer)
        self._outbox.put(barrier, topics.USER, tenure.number, value, key, [(CE_ID, tag), *tenure.origin])
