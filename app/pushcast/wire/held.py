"""Records between planner and keeper: the event's own bytes, and in headers what both know of it.

`push.keep.<lane>.v1`: what is to be held, written by a planner. `push.due.<lane>.v1`: what a keeper let go, read by a
planner as a second source.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Reason
from pushcast.wire import headers as h
from pushcast.wire.headers import Headers, first
from pushcast.wire.retries import DUE_AT, number

#: Kafka time of the event itself, milliseconds since the epoch, decimal: what is absent in it counts from then.
WRITTEN_AT: Final = "push-written-at"
#: On a keep record: the event's offset and id, for the planner's own tail.
EVENT: Final = "push-event"
#: On both: how many parts of it were planned before this one, decimal; absent: none.
PART: Final = "push-part"
#: On both: names of the devices that were planned, 8 bytes each (`plan.parts`); absent: none.
DONE: Final = "push-done"
#: On a due record: which timer it closes, `lane|keep offset`.
TIMER: Final = "push-timer"
#: On a due record: the reason why it ends instead of being sent.
CLOSES: Final = "push-closes"
_LAST_MS: Final = 2**53
#: Of one notification: at most one for each zone on earth.
MAX_PARTS: Final = 1_000
_ENDINGS: Final = frozenset({Reason.CANCELLED, Reason.DUPLICATE, Reason.TOO_MANY})


class Held(NamedTuple):
    """What the headers of a keep record say. Times are milliseconds since the epoch."""

    note_id: str
    due_at: int
    written_at: int
    part: int = 0
    done: bytes = b""


class Released(NamedTuple):
    """What the headers of a due record say. `closes`: why it ends; None: it is to be sent."""

    written_at: int
    closes: Reason | None
    part: int = 0
    done: bytes = b""
    due_at: int = 0


def held_headers(origin: Headers, offset: int, held: Held, trace: str | None) -> list[tuple[str, bytes | None]]:
    """Of a keep record; `offset`: the event's."""
    found: list[tuple[str, bytes | None]] = [
        *origin,
        (DUE_AT, b"%d" % held.due_at),
        (WRITTEN_AT, b"%d" % held.written_at),
        (EVENT, b"%d|%s" % (offset, held.note_id.encode())),
        *_parted(held.part, held.done),
    ]
    if trace:
        found.append((h.TRACEPARENT, trace.encode()))
    return found


def event_of(headers: Headers) -> tuple[int, str]:
    """(offset, notification id) of the event that a keep record holds. Raises InvalidInput."""
    offset, separator, note_id = (first(headers, EVENT) or b"").partition(b"|")
    if not separator or not offset.isdigit():
        raise InvalidInput(Reason.INVALID_FIELD, f"no header {EVENT}: no planner wrote this record", EVENT)
    return int(offset), note_id.decode("utf-8", "replace")


def held_of(headers: Headers) -> Held:
    """Raises InvalidInput."""
    due_at, written_at = number(headers, DUE_AT, _LAST_MS), number(headers, WRITTEN_AT, _LAST_MS)
    if due_at is None or written_at is None:
        raise InvalidInput(Reason.INVALID_FIELD, f"no header {DUE_AT} or {WRITTEN_AT}", DUE_AT)
    return Held(event_of(headers)[1], due_at, written_at, *parted_of(headers))


def released_headers(
    origin: Headers,
    timer: str,
    written_at: int,
    closes: str | None,
    trace: str | None,
    part: int = 0,
    done: bytes = b"",
    due_at: int = 0,
) -> list[tuple[str, bytes | None]]:
    """Of a due record."""
    found: list[tuple[str, bytes | None]] = [
        *origin,
        (TIMER, timer.encode()),
        (WRITTEN_AT, b"%d" % written_at),
        (DUE_AT, b"%d" % due_at),
        *_parted(part, done),
    ]
    if closes:
        found.append((CLOSES, closes.encode()))
    if trace:
        found.append((h.TRACEPARENT, trace.encode()))
    return found


def _parted(part: int, done: bytes) -> list[tuple[str, bytes | None]]:
    return [(PART, b"%d" % part), (DONE, done)] if part else []


def parted_of(headers: Headers) -> tuple[int, bytes]:
    """(part, done) of a record of either topic. Raises InvalidInput."""
    return number(headers, PART, MAX_PARTS) or 0, first(headers, DONE) or b""


def timer_of(headers: Headers) -> str:
    """Which timer a due record closes; empty for none."""
    return (first(headers, TIMER) or b"").decode("utf-8", "replace")


def released_of(headers: Headers) -> Released:
    """Raises InvalidInput."""
    written_at, closes = number(headers, WRITTEN_AT, _LAST_MS), first(headers, CLOSES)
    if written_at is None:
        raise InvalidInput(Reason.INVALID_FIELD, f"no header {WRITTEN_AT}: no keeper wrote this record", WRITTEN_AT)
    if closes is None:
        return Released(written_at, None, *parted_of(headers), number(headers, DUE_AT, _LAST_MS) or 0)
    for reason in _ENDINGS:
        if closes == reason.encode():
            return Released(written_at, reason, *parted_of(headers))
    raise InvalidInput(Reason.INVALID_FIELD, f"{CLOSES} is none of {', '.join(sorted(_ENDINGS))}", CLOSES)
