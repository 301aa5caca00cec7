"""What all changes of one registrar share: the table, where to write, what to count."""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from pushcast.register.names import Topics
from pushcast.register.ports import Counters, Doubts
from pushcast.register.tokens import PLAIN, Tokens
from pushcast.stream.ports import Outbox, putting_many
from pushcast.stream.table import Table
from pushcast.wire import headers
from pushcast.wire.devices.row_writer import RowWriter

#: On a row or tombstone, and on a record of the hold topic: the step in a suspension's life, and why.
STEP: Final = "push-step"
REASON: Final = "push-reason"
SOURCE: Final = "/pushcast/register"

Headers = list[tuple[str, bytes | None]]


class Context:
    """One per stage."""

    def __init__(
        self,
        table: Table,
        outbox: Outbox,
        counters: Counters,
        doubts: Doubts,
        names: Topics,
        partitions: int,
        schema_generation: int = 2,
        tokens: Tokens = PLAIN,
        max_per_user: int | None = None,
        mirrored: Set[str] = frozenset(),
    ) -> None:
        """`max_per_user`: devices that a user may have in an app; None: no limit. `mirrored`: apps whose topics FCM is
        told of."""
        self.table = table
        self.tokens = tokens
        self.doubts = doubts
        self.outbox = outbox
        self.put_many = putting_many(outbox)
        self.counters = counters
        self.names = names
        self.partitions = partitions
        self.max_per_user = max_per_user
        self.mirrored = mirrored
        self.encode = RowWriter(schema_generation).encode
        self._event_headers = _without_id(headers.event("device_row", "", SOURCE))
        self.claim_headers = _without_id(headers.event("token_claim", "", SOURCE))
        self._hold_headers = _without_id(headers.event("token_invalid", "", SOURCE))

    def row_headers(self, origin: headers.Headers) -> Headers:
        """What every row of one partition and claim carries. The origin first: the guard looks for it in each row."""
        return [*origin, *self._event_headers]

    def hold_headers(self, tag: bytes, step: str, reason: str) -> Headers:
        """What a record of the hold topic carries: `tag` names the record that caused it."""
        return [(headers.CE_ID, tag), *self._hold_headers, (STEP, step.encode()), (REASON, reason.encode())]


def _without_id(event: headers.Headers) -> Headers:
    return [header for header in event if header[0] != headers.CE_ID]
