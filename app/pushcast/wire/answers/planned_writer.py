"""Planned records from parts that are encoded already. The bytes are those of `receipts.encode_planned`
(tests/laws/test_batch_writer.py)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from pushcast.model.notification import Notification
from pushcast.model.words import Source
from pushcast.wire.answers.receipts import PLATFORMS
from pushcast.wire.avro_bytes import END, FALSE, TRUE, array_of, bytes_of, long_of
from pushcast.wire.schemas import NEWEST_GENERATION, avro_type, released_type, written_type
from pushcast.wire.sending.message_head import app_and_class

_NEWEST_FRAME = avro_type("planned").frame
_FRAME = released_type("planned", 2).frame
_PLAIN_FRAME = written_type("planned", 1).frame
_FLAGS = (FALSE, TRUE)
_FIRST_RUN: Final = long_of(0)


class EncodedFacts(NamedTuple):
    """`receipts.PlannedFacts`, each as Avro has it."""

    app: bytes
    klass: bytes
    created_at: bytes
    due_at: bytes
    expires_at: bytes
    dry_run: bytes
    campaign: bytes
    held: bytes
    broadcast: bytes


_tuple = tuple.__new__
_NO_TEXT: Final = long_of(0)
_NOT_HELD: Final = long_of(0)
_HELD: Final = long_of(1)


def planned_facts(note: Notification) -> EncodedFacts:
    """Of a notification that nobody holds."""
    if note.timing is None and note.campaign is None and note.broadcast is None:
        return _usual_facts(note.app or "", note.klass, note.created_at, note.expires_at, note.options.dry_run)
    created_at = long_of(note.created_at)
    app, klass = app_and_class(note.app or "", note.klass)
    flag = _FLAGS[note.options.dry_run]
    due_at = created_at if note.timing is None else long_of(note.due_at)
    campaign = _NO_TEXT if note.campaign is None else bytes_of(note.campaign.encode())
    of_broadcast = _FLAGS[note.broadcast is not None]
    facts = (app, klass, created_at, due_at, long_of(note.expires_at), flag, campaign, _NOT_HELD, of_broadcast)
    return _tuple(EncodedFacts, facts)  # at a third of the price of calling the class: one per notification


@lru_cache(maxsize=4096)
def _usual_facts(app: str, klass: str, created_at: int, expires_at: int, dry_run: bool) -> EncodedFacts:
    """Of one that nothing delays, of no campaign and no broadcast. Those of one content, or one moment, share them."""
    created = long_of(created_at)
    names = app_and_class(app, klass)
    ends = long_of(expires_at), _FLAGS[dry_run], _NO_TEXT, _NOT_HELD, FALSE
    return _tuple(EncodedFacts, (*names, created, created, *ends))


def held(facts: EncodedFacts) -> EncodedFacts:
    """The same of one that the keeper holds."""
    return facts._replace(held=_HELD)


def is_held(facts: EncodedFacts) -> bool:
    """Whether they say so."""
    return facts.held == _HELD


class PlannedRow(NamedTuple):
    """What became of one notification."""

    source_offset: bytes  # encoded
    notification_id: bytes  # encoded
    counts: Sequence[int]  # deliveries by platform, in the order of `Platform`
    other: int  # receipts that the planner itself wrote
    reason: str
    facts: EncodedFacts


def planned_of(
    lane: str,
    rows: Sequence[PlannedRow],
    at_ms: int,
    generation: int = NEWEST_GENERATION,
    source: int = Source.NOTIFICATION,
) -> bytes:
    """Framed Avro for `push.planned.v1`, first run. `rows` is not empty. `generation`: `schemas.write`."""
    offsets, ids, counts, others, reasons, facts = zip(*rows, strict=True)
    parts = [bytes_of(lane.encode()), _FIRST_RUN, array_of(offsets), array_of(ids)]
    parts += [_numbers(column) for column in zip(*counts, strict=True)]
    parts.append(_numbers(others))
    parts.append(array_of([bytes_of(reason.encode()) for reason in reasons]) if any(reasons) else _zeros(len(reasons)))
    parts.append(long_of(at_ms))
    if generation < NEWEST_GENERATION and not source and all(each.held == _NOT_HELD for each in facts):
        return _PLAIN_FRAME + b"".join(parts)
    parts.append(long_of(source))
    count = long_of(len(facts))
    *columns, broadcasts = zip(*facts, strict=True)
    newest = TRUE in broadcasts
    for column in (*columns, broadcasts) if newest else columns:
        parts += (count, b"".join(column), END)
    return (_NEWEST_FRAME if newest else _FRAME) + b"".join(parts)


def _numbers(numbers: Sequence[int]) -> bytes:
    """Of numbers that are not negative."""
    most = max(numbers)
    if not most:
        return _zeros(len(numbers))
    if most < 64:  # each is one byte, its double
        return long_of(len(numbers)) + bytes([number << 1 for number in numbers]) + END
    return array_of([long_of(number) for number in numbers])


def _zeros(count: int) -> bytes:
    """An array of zeros, or of empty strings: they look alike."""
    return long_of(count) + bytes(count) + END


assert len(PLATFORMS) == 4, "planned.avsc has a column for each platform"
