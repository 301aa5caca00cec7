"""Seals rows of devices that do not come by: one pass over each partition for each key that begins to seal, and one
more when the keyring is read anew after a pass that left rows behind which no key opened.

A registration seals its own row. So after a pass under a key no row is left under another one, but for those that a
registrar with an older file wrote meanwhile, whose partitions have their pass when that file is read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NamedTuple

import msgspec

from pushcast.model.device import DeviceRow
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import is_user_row, split_device_row_key
from pushcast.register.claims import registered
from pushcast.register.context import Context
from pushcast.register.tenure import RegisterTenure
from pushcast.register.view import UserView
from pushcast.register.writing import Writing
from pushcast.wire.answers.dead_letters import PlainRecord
from pushcast.wire.devices import row_fences
from pushcast.wire.devices.content_keys import ContentKeyInvalid, sealed_under
from pushcast.wire.newer import NewerSchema
from pushcast.wire.sealing.seals import KeyUnknown, Place, SealBroken

#: Rows of a partition that one look passes; looks are five seconds apart.
LOOK_ROWS: Final = 2_000
_CHUNK_ROWS: Final = 250
#: What rows that were sealed anew are named by, instead of a topic.
SOURCE: Final = "seal"


class _Pass(NamedTuple):
    """Over one partition. `at`: the row it has come to; None: all are passed."""

    sealing: str
    ring: object  # as it was when the first row was left, or later
    at: bytes | None


class Resealing:
    """All partitions of one registrar."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._passes: dict[int, _Pass] = {}  # by partition
        self._left: set[int] = set()  # partitions in whose pass something was left that did not open
        self._written = 0

    def forget(self, partition: int) -> None:
        """Another process goes on, from the beginning."""
        self._passes.pop(partition, None)
        self._left.discard(partition)

    async def look(self, tenure: RegisterTenure, room: Callable[[], Awaitable[None]], ours: Callable[[], bool]) -> None:
        """Passes the next rows of a partition. `room` waits until more may be written; `ours`: whether it still is."""
        sealing = self._context.tokens.sealing
        if sealing is None:
            return
        ring, known = self._context.tokens.ring, self._passes.get(tenure.number)
        if known is None or known.sealing != sealing or (known.ring is not ring and tenure.number in self._left):
            known = _Pass(sealing, ring, b"")
            self._left.discard(tenure.number)
        at = known.at
        for _ in range(LOOK_ROWS // _CHUNK_ROWS):
            if at is None:
                break
            await room()
            if not ours():
                return
            at = self._pass(tenure, at)
        if tenure.number not in self._left:
            known = known._replace(ring=ring)  # no key that is gone stays in memory for it
        self._passes[tenure.number] = known._replace(at=at)

    def _pass(self, tenure: RegisterTenure, after: bytes) -> bytes | None:
        """Never awaits: reading a row and writing it are one step. Returns the last key; None: there are no more."""
        context = self._context
        rows = context.table.rows_after(tenure.number, after, _CHUNK_ROWS)
        barrier = context.outbox.barrier()
        with Writing(context, tenure, barrier) as write:
            self._seal_anew(tenure, rows, write)
        write.behind.on_acked(lambda: None)  # a refusal ends the process: a row must not stay behind its claim
        return rows[-1][0] if len(rows) == _CHUNK_ROWS else None

    def _seal_anew(self, tenure: RegisterTenure, rows: Iterable[tuple[bytes, bytes]], write: Writing) -> None:
        context, view = self._context, UserView(self._context, tenure)
        for key, _ in rows:
            if key in row_fences.KEYS or is_user_row(key) or key.count(b"\0") != 2:
                continue
            try:
                before, _ = view.device(key.partition(b"\0")[0], key)
                after_row = None if before is None else self._sealed(tenure, key, before)
            except (NewerSchema, KeyUnknown, SealBroken, InvalidInput) as error:
                self._leave(tenure, error)
                continue
            if before is not None and after_row is not None:
                self._written += 1
                record = _named(tenure.number, self._written, key)
                write.device(record, key, after_row, "address")
                if after_row.token_hash != before.token_hash:
                    write.claims(record, registered(key, before, after_row))
                context.counters["resealed", "written"] += 1

    def _leave(self, tenure: RegisterTenure, error: Exception) -> None:
        self._context.counters["resealed", type(error).__name__] += 1
        if isinstance(error, KeyUnknown | SealBroken):
            self._left.add(tenure.number)

    def _sealed(self, tenure: RegisterTenure, key: bytes, row: DeviceRow) -> DeviceRow | None:
        """The row under the key that seals; None: it is, or has nothing to seal. Its times stay as they are. A content
        key that does not open stays as it is, and keeps no address under an old key."""
        tokens = self._context.tokens
        if row.is_gone or not row.address:
            return None
        of_content = row.content_key is not None and sealed_under(row.content_key) != tokens.sealing
        if row.key_id == tokens.sealing and not of_content:
            return None
        user, app, device = split_device_row_key(key)
        place = Place(app, row.platform, row.kind, user, device)
        if of_content and row.content_key is not None:
            try:
                row = msgspec.structs.replace(row, content_key=tokens.content_key_anew(row.content_key, place))
            except (KeyUnknown, SealBroken, ContentKeyInvalid) as error:
                self._leave(tenure, error)
                if row.key_id == tokens.sealing:
                    return None
        stored = tokens.stored(tokens.opened(row, place), place, row)
        return msgspec.structs.replace(
            row,
            address=stored.address,
            key_id=stored.key_id,
            token_hash=stored.token_hash,
            token_hash_before=stored.hash_before,
        )


def _named(partition: int, number: int, key: bytes) -> PlainRecord:
    """Names what is written, as a source record does: a key is written at most once under one name."""
    return PlainRecord(SOURCE, partition, number, -1, key.partition(b"\0")[0], None, [])
