"""Later revisions of what waits: the new one takes the place of the old one, which ends as superseded."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from pushcast.keep import rules
from pushcast.keep.joining import Joining, is_leaving
from pushcast.keep.rows import Rows
from pushcast.keep.tenure import KeepTenure
from pushcast.stream.ports import Barrier
from pushcast.wire.waiting.held import Held
from pushcast.wire.waiting.timers import Timer, timer_key


class Replaced(NamedTuple):
    """A row that a revision takes the place of."""

    key: bytes
    former: Timer


class Revising:
    """Never awaits: what is read and what is written are one step."""

    def __init__(self, rows: Rows, joining: Joining) -> None:
        self._rows = rows
        self._joining = joining

    def is_known(self, tenure: KeepTenure, barrier: Barrier, user: str, held: Held, timer: Timer) -> bool:
        """Whether the record of a revision was taken before. A kill may have come between the two rows that it wrote:
        the second one is written then."""
        named = self._rows.named(tenure, user, held.note_id)
        mine = next((row for row in named.values() if row.name == timer.name), None)
        if mine is None:
            return False
        if mine.replaced and all(row.name != mine.replaced for row in named.values()):
            self.supersede(tenure, barrier, user, held.note_id, _former(mine))
        return True

    def opened(self, tenure: KeepTenure, user: str, held: Held, timer: Timer) -> tuple[Timer, Replaced | None]:
        """The row, and the place that it takes of an earlier one. Without an earlier one that waits it comes too late,
        unless nothing of that id was ever there."""
        named = self._rows.named(tenure, user, held.note_id)
        for key, row in named.items():
            if self._may_replace(tenure, user, key, row, timer):
                return msgspec.structs.replace(timer, part=row.part, replaced=row.name), Replaced(key, row)
        return (rules.duplicate(timer) if named or held.was_seen else timer), None

    def _may_replace(self, tenure: KeepTenure, user: str, key: bytes, row: Timer, timer: Timer) -> bool:
        if not rules.is_open(row) or timer.revision <= row.revision:
            return False
        return not is_leaving(tenure, key) and not self._joining.leaves(tenure, user, row)

    def supersede(self, tenure: KeepTenure, barrier: Barrier, user: str, note_id: str, row: Timer) -> None:
        """Ends what was replaced, once the row of the revision is put: the other way round both would wait."""
        self._rows.put(tenure, barrier, timer_key(user, note_id, row.name), rules.superseded(row))


def _former(timer: Timer) -> Timer:
    """What a timer stands in the place of, as far as its end must know."""
    lane, _, offset = timer.replaced.partition("|")
    return msgspec.structs.replace(timer, lane=lane, keep_offset=int(offset), replaced="", closed_at=None)
