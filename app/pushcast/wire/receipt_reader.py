"""Receipts as REPORT reads them: the columns that it keeps, by hand: the schema's decoder takes twice as long.

What is not as our writers write it goes to the schema's decoder, which tells what is wrong with it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pushcast.model.words import Source
from pushcast.wire.avro_bytes import long_at, optional_at, text_at, time_at
from pushcast.wire.receipts import decode_receipt
from pushcast.wire.schemas import FRAME_BYTES, avro_type

_FRAME: Final = avro_type("receipt").frame
#: From replay_of on, without any of the columns that may be null.
_PLAIN_ENDS: Final = frozenset(bytes((0, source << 1, 0, 0, 0, 0)) for source in Source)
_MAX_SECTIONS: Final = 64
_optional: Final = optional_at(text_at)
_optional_long: Final = optional_at(time_at)


class ReadReceipt(NamedTuple):
    """The end of a delivery. Times are milliseconds since the epoch."""

    delivery_id: str  # hexadecimal
    notification_id: str
    user: str
    app: str | None
    device: str | None
    platform: str | None
    lane: str
    klass: str
    outcome: str
    reason: str | None
    provider_status: int | None
    attempts: int
    dry_run: bool
    run: int
    created_at: int
    ended_at: int
    source: int
    due_at: int | None


#: Platform, lane, class, outcome and reason: few differ, and their bytes end where they end.
_Section = tuple[str | None, str, str, str, str | None]
_sections: dict[bytes, _Section] = {}


def read_receipt(value: bytes) -> ReadReceipt:
    """Of any version of the schema. Raises InvalidInput."""
    if value[:FRAME_BYTES] == _FRAME:
        try:
            return _read(value)
        except (IndexError, ValueError):
            pass  # the decoder says it better
    datum = decode_receipt(value)
    datum["klass"] = datum.pop("class")
    return ReadReceipt(*(datum[name] for name in ReadReceipt._fields))


def _read(value: bytes) -> ReadReceipt:
    """Raises IndexError or ValueError for what it does not understand."""
    delivery, at = text_at(value, FRAME_BYTES)
    note_id, at = text_at(value, at)
    user, at = text_at(value, at)
    app, at = _optional(value, at)
    device, at = _optional(value, at)
    (platform, lane, klass, outcome, reason), at = _section(value, at)
    at = _skipped(value, at)  # provider_id
    status, at = _optional_long(value, at)
    attempts, at = long_at(value, at)
    dry_run = value[at]
    run, at = long_at(value, at + 1)
    for _ in ("source_partition", "source_offset"):
        while value[at] > 0x7F:
            at += 1
        at += 1
    created_at, at = time_at(value, at)
    ended_at, at = time_at(value, at)
    if value[at:] in _PLAIN_ENDS:
        source, due_at = value[at + 1] >> 1, None
    else:
        at = _skipped(value, at)  # replay_of
        source, at = long_at(value, at)
        due_at, at = _optional_long(value, at)
        for _ in ("campaign", "variant", "app_version"):
            at = _skipped(value, at)
        if at != len(value):
            raise ValueError("not a receipt of our writers")
    if dry_run > 1:
        raise ValueError("no boolean")
    return ReadReceipt(
        delivery, note_id, user, app, device, platform, lane, klass, outcome, reason, status, attempts, dry_run == 1,
        run, created_at, ended_at, source, due_at,
    )  # fmt: skip


def _section(value: bytes, at: int) -> tuple[_Section, int]:
    for known, section in _sections.items():
        if value.startswith(known, at):
            return section, at + len(known)
    platform, end = _optional(value, at)
    lane, end = text_at(value, end)
    klass, end = text_at(value, end)
    outcome, end = text_at(value, end)
    reason, end = _optional(value, end)
    section = platform, lane, klass, outcome, reason
    if end > len(value):
        raise ValueError("it ends too early")
    if len(_sections) >= _MAX_SECTIONS:
        _sections.clear()
    _sections[value[at:end]] = section
    return section, end


def _skipped(value: bytes, at: int) -> int:
    """Behind an optional text, which is checked as the others are."""
    return at + 1 if not value[at] else _optional(value, at)[1]
