"""Planned records as REPORT reads them, by hand: what is alike in a column, or one byte each, is read in one go.

What is not as our writers write it goes to the schema's decoder, which tells what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from pushcast.wire.answers.receipts import PLATFORMS, Planned, PlannedFacts, decode_planned
from pushcast.wire.avro_bytes import long_at, text_at, time_at
from pushcast.wire.schemas import FRAME_BYTES, released_type
from pushcast.wire.sending.many_columns import uniform_longs

T = TypeVar("T")

_FRAME: Final = released_type("planned", 2).frame  # of what has no part of a broadcast, which is nearly all
_LONG: Final = 0x81  # of a size's first byte: below zero, or more bytes follow
_SMALL: Final = tuple((byte >> 1) ^ -(byte & 1) for byte in range(0x80))  # numbers of one byte


def read_planned(value: bytes) -> Planned:
    """Of either version, as `decode_planned`. Raises InvalidInput."""
    if value[:FRAME_BYTES] == _FRAME:
        try:
            return _read(value)
        except (IndexError, ValueError):
            pass  # the decoder says it better
    return decode_planned(value)


def _read(value: bytes) -> Planned:
    """Raises IndexError or ValueError for what it does not understand."""
    lane, at = text_at(value, FRAME_BYTES)
    run, at = long_at(value, at)
    source_offset, at = _offsets(value, at)
    notification_id, at = _texts(value, at)
    platforms: dict[str, list[int]] = {}
    for name in PLATFORMS:
        platforms[name], at = _numbers(value, at)
    other, at = _numbers(value, at)
    reason, at = _column(value, at, text_at)
    written_at, at = time_at(value, at)
    source, at = long_at(value, at)
    app, at = _column(value, at, text_at)
    klass, at = _column(value, at, text_at)
    created_at, at = _column(value, at, time_at)
    due_at, at = _column(value, at, time_at)
    expires_at, at = _column(value, at, time_at)
    dry_run, at = _column(value, at, _boolean_at)
    campaign, at = _column(value, at, text_at)
    held, at = _numbers(value, at)
    if at != len(value):
        raise ValueError("not a record of our writers")
    facts = _facts((app, klass, created_at, due_at, expires_at, dry_run, campaign, held))
    columns: tuple[list[Any], ...] = (notification_id, *platforms.values(), other, reason, facts)
    if not facts or any(len(column) != len(source_offset) for column in columns):
        raise ValueError("columns of different lengths, or without facts")
    return Planned(lane, run, source, source_offset, notification_id, platforms, other, reason, facts, written_at)


def _facts(columns: tuple[list[Any], ...]) -> list[PlannedFacts]:
    """Of the rows, in their columns. Neighbours that are alike share one. Raises ValueError for uneven columns."""
    count = len(columns[0])
    if count and all(len(column) == count == column.count(column[0]) for column in columns):
        return [PlannedFacts(*(column[0] for column in columns))] * count
    facts: list[PlannedFacts] = []
    row: tuple[Any, ...] | None = None
    for each in zip(*columns, strict=True):
        if each != row:
            row, fact = each, PlannedFacts(*each)
        facts.append(fact)
    return facts


def _offsets(value: bytes, at: int) -> tuple[list[int], int]:
    """A column of numbers that mostly take the same count of bytes."""
    count, start = long_at(value, at)
    found = uniform_longs(value, start, count) if count > 0 else None
    return _column(value, at, long_at) if found is None else (found[0], _end(value, found[1]))


def _column(value: bytes, at: int, item_at: Callable[[bytes, int], tuple[T, int]]) -> tuple[list[T], int]:
    """One block of items, and where the column ends."""
    count, at = long_at(value, at)
    if count <= 0:
        if count:
            raise ValueError("a block with its size")
        return [], at
    if count > len(value) - at:  # an item takes a byte at least; damaged, a count may be of any size
        raise ValueError("more items than bytes")
    item, end = item_at(value, at)
    if end > len(value):
        raise ValueError("it ends too early")
    same = value[at:end]
    if value.startswith(same * count, at):
        column, at = [item] * count, at + len(same) * count
    else:
        column = []
        for _ in range(count):
            item, at = item_at(value, at)
            column.append(item)
    return column, _end(value, at)


def _texts(value: bytes, at: int) -> tuple[list[str], int]:
    """A column of texts that differ, and are mostly shorter than 64 bytes."""
    count, at = long_at(value, at)
    if count < 0:
        raise ValueError("a block with its size")
    if not count:
        return [], at
    column = []
    for _ in range(count):
        size = value[at]
        if size & _LONG:
            text, at = text_at(value, at)
        else:
            end = at + 1 + (size >> 1)
            text, at = value[at + 1 : end].decode(), end
        column.append(text)
    return column, _end(value, at)


def _numbers(value: bytes, at: int) -> tuple[list[int], int]:
    """A column of numbers that are mostly small."""
    count, start = long_at(value, at)
    column = value[start : start + count]
    if count <= 0 or len(column) != count or not column.isascii():
        return _column(value, at, long_at)
    return [_SMALL[byte] for byte in column], _end(value, start + count)


def _boolean_at(value: bytes, at: int) -> tuple[bool, int]:
    if value[at] > 1:
        raise ValueError("no boolean")
    return value[at] == 1, at + 1


def _end(value: bytes, at: int) -> int:
    """Behind the end of the blocks."""
    if value[at]:
        raise ValueError("more blocks than one")
    return at + 1
