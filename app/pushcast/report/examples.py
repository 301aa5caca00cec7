"""Single deliveries that ended in one way: examples of what a sum of a report stands for. Pure.

Nothing is kept for them. The rows of the days are looked through, newest day first, up to a bound: whoever asks is told
how many were looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from pushcast.model.words import Outcome
from pushcast.report import rows
from pushcast.report.rows import DAY_MS, Delivery
from pushcast.wire.control.examples import ExampleFilter

#: Rows that one reporter looks at for one question: about a tenth of a second.
MAX_LOOKED: Final = 50_000
_ID_BYTES: Final = 16

#: (start, prefix) to rows in the order of their keys.
Scan = Callable[[bytes, bytes], Iterable[tuple[bytes, bytes]]]
#: (user, delivery id, row).
Example = tuple[str, bytes, Delivery]


def takes(wanted: ExampleFilter, row: Delivery) -> bool:
    """Whether a delivery is one of those."""
    return (
        wanted.from_ms <= row.created_at <= wanted.to_ms
        and (not wanted.notes or row.notification in wanted.notes)
        and (wanted.apps is None or row.app in wanted.apps)
        and wanted.platform in (None, row.platform)
        and wanted.outcome in (None, row.outcome)
        and wanted.reason in (None, row.reason)
        and (wanted.slower_than_ms is None or _is_slow(row, wanted.slower_than_ms))
    )


def _is_slow(row: Delivery, least_ms: int) -> bool:
    return row.outcome == Outcome.ACCEPTED and row.ended_at - row.due_at >= least_ms


class Examples(msgspec.Struct, array_like=True):
    """What was found. `more`: there may be others, behind what was looked at."""

    found: list[Example]
    looked_at: int
    more: bool


def examples_of(
    scan: Scan, forgotten_until: Callable[[str], int], wanted: ExampleFilter, limit: int, most: int = MAX_LOOKED
) -> Examples:
    """At most `limit`, among the first `most` rows of those days. Users who are forgotten are nobody's example."""
    needle, said = wanted.needle(), Examples([], 0, False)
    for day_ms in range(wanted.to_ms // DAY_MS * DAY_MS, wanted.from_ms // DAY_MS * DAY_MS - 1, -DAY_MS):
        for user, delivery_id, value in _of_day(scan, day_ms):
            if said.looked_at >= most or len(said.found) >= limit:
                said.more = True
                return said
            said.looked_at += 1
            if needle not in value or not user:
                continue
            row = rows.delivery_of(value)
            if takes(wanted, row) and forgotten_until(text := user.decode()) < row.created_at:
                said.found.append((text, delivery_id, row))
    return said


def _of_day(scan: Scan, day_ms: int) -> Iterator[tuple[bytes, bytes, bytes]]:
    prefix = rows.DELIVERY + rows.day_of(day_ms)
    for key, value in scan(prefix, prefix):
        yield key[len(prefix) : -_ID_BYTES - 1], key[-_ID_BYTES:], value
