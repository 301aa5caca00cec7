"""Receipts as REPORT reads them: the columns that it keeps, by hand: the schema's decoder takes three times as long.

What is not as our writers write it goes to the schema's decoder, which tells what is wrong with it.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason, Source
from pushcast.wire.answers.receipts import decode_receipt
from pushcast.wire.avro_bytes import long_at, optional_at, optional_long_of, text_at, time_at
from pushcast.wire.schemas import FRAME_BYTES, avro_type

FRAME: Final = avro_type("receipt").frame
_DIGITS: Final = 32  # of a delivery id
DIGITS_AT: Final = FRAME_BYTES + 1
NOTE_AT: Final = DIGITS_AT + _DIGITS
#: From replay_of on, without any of the columns that may be null.
PLAIN_ENDS: Final = {bytes((0, source << 1, 0, 0, 0, 0)): int(source) for source in Source}
_MAX_SECTIONS: Final = 256
_MAX_LABELS: Final = 256
_LONG: Final = 0x81  # of a number's first byte: below zero, or more bytes follow
_ONE_BYTE: Final = 0x7F
_SET: Final = 2  # of a union with null: not null
#: What HTTP answers, as bytes: a time's reader would look for the high bytes that times share.
STATUSES: Final = {optional_long_of(status): status for status in range(100, 600)}
_STATUS_BYTES: Final = 3
_optional: Final = optional_at(text_at)
_optional_long: Final = optional_at(time_at)


class Section(NamedTuple):
    """Five columns beside each other. Few differ, and their bytes end where they end."""

    platform: str | None
    lane: str
    klass: str
    outcome: str
    reason: str | None


class ReadReceipt(msgspec.Struct, gc=False):
    """The end of a delivery. Times are milliseconds since the epoch."""

    delivery: bytes  # its id
    notification_id: str
    user: bytes  # UTF-8, as keys have it
    app: str | None
    device: str | None
    section: Section
    provider_status: int | None
    attempts: int
    dry_run: bool
    run: int
    created_at: int
    ended_at: int
    source: int
    due_at: int  # when it was created, where the receipt does not say
    variant: str | None = None  # of a split


sections: dict[bytes, Section] = {}


class ReadLabel(NamedTuple):
    """What REPORT keeps of the columns from replay_of on. `due_at` 0: when it was created."""

    source: int
    due_at: int
    variant: str | None


class _Labels(dict[bytes, ReadLabel]):
    """By those columns. Receipts of one campaign and one version of the app share them. Raises IndexError or ValueError
    for what is not as our writers write it."""

    def __missing__(self, end: bytes) -> ReadLabel:
        label = _label_of(end)
        if len(self) >= _MAX_LABELS:
            self.clear()
        self[end] = label
        return label


def _label_of(end: bytes) -> ReadLabel:
    source, at = long_at(end, _skipped(end, 0))  # behind replay_of
    due_at, at = _optional_long(end, at)
    variant, at = _optional(end, _skipped(end, at))  # behind campaign
    at = _skipped(end, at)  # app_version
    if at != len(end):
        raise ValueError("not a receipt of our writers")
    return ReadLabel(source, due_at or 0, variant)


labels: Final = _Labels()


def read_receipt(value: bytes) -> ReadReceipt:
    """Of any version of the schema. Raises InvalidInput."""
    if value[:FRAME_BYTES] == FRAME:
        try:
            return _read(value)[0]
        except (IndexError, ValueError):
            pass  # the decoder says it better
    return _decoded(decode_receipt(value))


def read_placed(value: bytes) -> tuple[ReadReceipt, tuple[int, int]]:
    """`read_receipt`, and partition and offset of the record that the delivery was planned for. Raises InvalidInput."""
    if value[:FRAME_BYTES] == FRAME:
        try:
            receipt, at = _read(value)
            partition, at = long_at(value, at)
            return receipt, (partition, long_at(value, at)[0])
        except (IndexError, ValueError):
            pass  # as above
    datum = decode_receipt(value)
    return _decoded(datum), (datum["source_partition"], datum["source_offset"])


def _decoded(datum: Mapping[str, Any]) -> ReadReceipt:
    digits = datum["delivery_id"]
    try:
        delivery = unhexlify(digits)
    except ValueError:
        delivery = b""
    if len(digits) != _DIGITS or not delivery:
        raise InvalidInput(Reason.INVALID_FIELD, f"delivery_id is not {_DIGITS} hexadecimal digits", "delivery_id")
    section = Section(*(datum[name] for name in ("platform", "lane", "class", "outcome", "reason")))
    return ReadReceipt(
        delivery, datum["notification_id"], datum["user"].encode(), datum["app"], datum["device"], section,
        datum["provider_status"], datum["attempts"], datum["dry_run"], datum["run"], datum["created_at"],
        datum["ended_at"], datum["source"], datum["due_at"] or datum["created_at"], datum["variant"],
    )  # fmt: skip


def _read(value: bytes) -> tuple[ReadReceipt, int]:
    """And where `source_partition` begins. Raises IndexError or ValueError for what it does not understand."""
    # A text of less than 64 bytes has its size in one byte, and a small number is one byte: both are read here, because
    # calls for each column would take as long as all the rest.
    if value[FRAME_BYTES] != _DIGITS << 1:
        raise ValueError("no delivery id of ours")
    delivery = unhexlify(value[DIGITS_AT:NOTE_AT])
    size = value[NOTE_AT]
    at, end = (NOTE_AT + 1, NOTE_AT + 1 + (size >> 1)) if not size & _LONG else _span(value, NOTE_AT)
    note_id = value[at:end].decode()
    size = value[end]
    at, end = (end + 1, end + 1 + (size >> 1)) if not size & _LONG else _span(value, end)
    user = value[at:end]
    if not user.isascii():
        user.decode()  # only a check
    app: str | None
    device: str | None
    if value[end] == _SET and not (size := value[end + 1]) & _LONG:
        app = value[end + 2 : (at := end + 2 + (size >> 1))].decode()
    else:
        app, at = _optional(value, end)
    if value[at] == _SET and not (size := value[at + 1]) & _LONG:
        device = value[at + 2 : (end := at + 2 + (size >> 1))].decode()
        at = end
    else:
        device, at = _optional(value, at)
    section, at = section_at(value, at)
    if value[at]:  # provider_id
        end = at + 2 + (value[at + 1] >> 1)
        is_short = value[at] == _SET and not value[at + 1] & _LONG and value[at:end].isascii()
        at = end if is_short else _skipped(value, at)
    else:
        at += 1
    status = STATUSES.get(value[at : at + _STATUS_BYTES])
    if status is None:
        status, at = _optional_long(value, at)
    else:
        at += _STATUS_BYTES
    attempts, at = (value[at] >> 1, at + 1) if not value[at] & _LONG else long_at(value, at)
    dry_run = value[at]
    if dry_run > 1:
        raise ValueError("no boolean")
    run, at = (value[at + 1] >> 1, at + 2) if not value[at + 1] & _LONG else long_at(value, at + 1)
    place_at = at
    while value[at] > _ONE_BYTE:  # source_partition
        at += 1
    at += 1
    while value[at] > _ONE_BYTE:  # source_offset
        at += 1
    created_at, at = time_at(value, at + 1)
    ended_at, at = time_at(value, at)
    source, due_at, variant = labels[value[at:]]
    receipt = ReadReceipt(
        delivery, note_id, user, app, device, section, status, attempts, dry_run == 1, run, created_at, ended_at,
        source, due_at or created_at, variant,
    )  # fmt: skip
    return receipt, place_at


def _span(value: bytes, at: int) -> tuple[int, int]:
    """Where a text begins and ends whose size has more bytes than one."""
    size, at = long_at(value, at)
    if size < 0:
        raise ValueError("a size is below zero")
    return at, at + size


def section_at(value: bytes, start: int) -> tuple[Section, int]:
    """The five columns that start there, and where they end. Raises IndexError or ValueError for what is none."""
    # Where it ends if all of its texts are short; the parser below decides whether that is so.
    at = start + (2 + (value[start + 1] >> 1) if value[start] else 1)
    at += 1 + (value[at] >> 1)
    at += 1 + (value[at] >> 1)
    at += 1 + (value[at] >> 1)
    at += 2 + (value[at + 1] >> 1) if value[at] else 1
    known = sections.get(value[start:at])
    if known is not None:
        return known, at
    platform, end = _optional(value, start)
    lane, end = text_at(value, end)
    klass, end = text_at(value, end)
    outcome, end = text_at(value, end)
    reason, end = _optional(value, end)
    section = Section(platform, lane, klass, outcome, reason)
    if end > len(value):
        raise ValueError("it ends too early")
    if end == at:
        if len(sections) >= _MAX_SECTIONS:
            sections.clear()
        sections[value[start:at]] = section
    return section, end


def _skipped(value: bytes, at: int) -> int:
    """Behind an optional text, which is checked as the others are."""
    return at + 1 if not value[at] else _optional(value, at)[1]
