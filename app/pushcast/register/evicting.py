"""What OWN's evictions change in the rows of one partition: devices that lost their token to a newer registration."""

from __future__ import annotations

from pushcast.model.ownership import Evict, Registration
from pushcast.register.claims import given_up
from pushcast.register.context import Context
from pushcast.register.kept import Kept
from pushcast.register.removals import TOKEN_MOVED, gone
from pushcast.register.view import UserView
from pushcast.register.writing import Writing
from pushcast.stream.batch import Record
from pushcast.wire.headers import appended_at


class Evicting:
    """All outputs under one barrier. It never awaits: reading a row and writing it are one step."""

    def __init__(self, context: Context, write: Writing, view: UserView) -> None:
        self._counters = context.counters
        self._view = view
        self._write = write

    def apply(self, record: Record, evict: Evict) -> None:
        """Removes the registration that lost, or an older one of the same device; never a newer one, nor one with
        another token. Raises NewerSchema."""
        user = record.key or b""
        row = self._view.device(user, evict.key)[0]
        if row is None or row.is_gone:
            self._counters["evictions", Kept.UNKNOWN] += 1
        elif evict.token.digest not in (row.token_hash, row.token_hash_before):
            self._counters["evictions", Kept.OTHER_TOKEN] += 1
        elif Registration(row.registered_at, evict.key) >= evict.winner:
            self._counters["evictions", Kept.REGISTERED_LATER] += 1
        else:
            # The row's time, not the winner's: the device may have registered another token in between.
            marker = gone(evict.key, row, row.registered_at, appended_at(record) or evict.winner.at, TOKEN_MOVED)
            self._write.gone(record, evict.key, marker, TOKEN_MOVED)
            self._write.restated(record, given_up(evict.key, row))  # the winner may be over, and then nobody has it
            self._counters["evictions", "removed"] += 1
            self._counters["removals", TOKEN_MOVED] += 1
