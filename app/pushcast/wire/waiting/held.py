"""Records between planner and keeper: the event's own bytes, and in headers what both know of it.

`push.keep.<lane>.v1`: what is to be held, written by a planner. `push.due.<lane>.v1`: what a keeper let go, read by a
planner as a second source.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pushcast.model.errors import InvalidInput
from pushcast.model.notification import MAX_BADGE
from pushcast.model.words import Reason
from pushcast.wire import headers as h
from pushcast.wire.events.timings import MAX_REVISION
from pushcast.wire.headers import Headers, by_name, first
from pushcast.wire.sending.retries import DUE_AT, decimal, number
from pushcast.wire.waiting.closings import CLOSINGS, Closing
from pushcast.wire.waiting.facts import FACTS

#: Kafka time of the event itself, milliseconds since the epoch, decimal: what is absent in it counts from then.
WRITTEN_AT: Final = "push-written-at"
#: On a keep record: the event's offset and id, for the planner's own tail.
EVENT: Final = "push-event"
#: On both: how many parts of it were planned before this one, decimal; absent: none.
PART: Final = "push-part"
#: On both: names of the devices that were planned, 8 bytes each (`plan.parts`); absent: none.
DONE: Final = "push-done"
#: On both: gates behind it, words with commas between (`passing`); absent: none.
PASSED: Final = "push-passed"
#: On a due record: which timer it closes, `lane|keep offset|row key`; of a digest's push `digests.closing_name`.
TIMER: Final = "push-timer"
#: On a due record: how it ends instead of being sent (`wire.waiting.closings`).
CLOSES: Final = "push-closes"
#: On a due record that ends as part of a digest: that digest's id.
LEFT_AS: Final = "push-left-as"
#: On a keep record: app of the notification, and what its release does to the user's badge there (`Timer.badge`).
APP: Final = "push-app"
#: On both; on a due record the number that the icon is to show.
BADGE: Final = "push-badge"
#: On a keep record: whose rate its release keeps to (`model.pacing`); absent: nobody's.
PACE: Final = "push-pace"
#: On a keep record, present: its due time depends on a zone. On a due record, present: zones were changed, and whether
#: it is due is to be found anew.
ZONED: Final = "push-zoned"
#: On a keep record: which revision of its id it is, decimal; absent: it replaces none.
REVISION: Final = "push-revision"
#: On a keep record, present: an event with its id was read before.
SEEN: Final = "push-seen"
#: On a keep record: it waits only where this app is in front of the user (`model.activity`); absent: in any case.
IF_ACTIVE: Final = "push-if-active"
#: On a keep record, present: it holds what of a broadcast waits for the user; which (`HeldBroadcast.place`).
BROADCAST: Final = "push-broadcast"
LAST_MS: Final = 2**53
#: Of one notification: at most one for each zone on earth.
MAX_PARTS: Final = 1_000


class Held(NamedTuple):
    """What the headers of a keep record say. Times are milliseconds since the epoch."""

    note_id: str
    due_at: int
    written_at: int
    part: int = 0
    done: bytes = b""
    passed: str = ""
    facts: bytes = b""
    app: str = ""
    badge: str = ""
    pace: str = ""
    zoned: bool = False  # the due time depends on a zone
    revision: int | None = None
    was_seen: bool = False
    if_active: str = ""  # it waits only where this app is in front
    broadcast: str = ""  # which part of a broadcast it is; empty: it is a notification


class Released(NamedTuple):
    """What the headers of a due record say. `closes`: how it ends; None: it is to be sent."""

    written_at: int
    closes: Closing | None
    part: int = 0
    done: bytes = b""
    due_at: int = 0
    passed: str = ""
    left_as: str = ""
    badge: int | None = None  # what the icon is to show, where the keeper counts it
    zoned: bool = False  # zones were changed: it may be due later now


def held_headers(origin: Headers, offset: int, held: Held, trace: str | None) -> list[tuple[str, bytes | None]]:
    """Of a keep record; `offset`: the event's."""
    found: list[tuple[str, bytes | None]] = [
        *origin,
        (DUE_AT, b"%d" % held.due_at),
        (WRITTEN_AT, b"%d" % held.written_at),
        (EVENT, b"%d|%s" % (offset, held.note_id.encode())),
        *_parted(held.part, held.done),
    ]
    if held.passed:
        found.append((PASSED, held.passed.encode()))
    if held.facts:
        found.append((FACTS, held.facts))
    if held.badge:
        found += (APP, held.app.encode()), (BADGE, held.badge.encode())
    if held.if_active:
        found.append((IF_ACTIVE, held.if_active.encode()))
    if held.pace:
        found.append((PACE, held.pace.encode()))
    if held.zoned:
        found.append((ZONED, b"1"))
    if held.broadcast:
        found.append((BROADCAST, held.broadcast.encode()))
    if held.revision is not None:
        found.append((REVISION, b"%d" % held.revision))
        if held.was_seen:
            found.append((SEEN, b"1"))
    if trace:
        found.append((h.TRACEPARENT, trace.encode()))
    return found


def event_of(headers: Headers) -> tuple[int, str]:
    """(offset, notification id) of the event that a keep record holds. Raises InvalidInput."""
    return _event(first(headers, EVENT))


def _event(value: bytes | None) -> tuple[int, str]:
    offset, separator, note_id = (value or b"").partition(b"|")
    if not separator or not offset.isdigit():
        raise InvalidInput(Reason.INVALID_FIELD, f"no header {EVENT}: no planner wrote this record", EVENT)
    return int(offset), note_id.decode("utf-8", "replace")


def held_of(headers: Headers) -> Held:
    """Raises InvalidInput."""
    said = by_name(headers)
    due_at, written_at = [decimal(said.get(name), name, LAST_MS) for name in (DUE_AT, WRITTEN_AT)]
    if due_at is None or written_at is None:
        raise InvalidInput(Reason.INVALID_FIELD, f"no header {DUE_AT} or {WRITTEN_AT}", DUE_AT)
    part, done = decimal(said.get(PART), PART, MAX_PARTS) or 0, said.get(DONE, b"")
    app, badge, pace, passed = [_decoded(said.get(name)) for name in (APP, BADGE, PACE, PASSED)]
    note_id, facts = _event(said.get(EVENT))[1], said.get(FACTS, b"")
    found = Held(note_id, due_at, written_at, part, done, passed, facts, app, badge, pace, ZONED in said)
    if IF_ACTIVE in said:
        found = found._replace(if_active=_decoded(said[IF_ACTIVE]))
    if BROADCAST in said:
        found = found._replace(broadcast=_decoded(said[BROADCAST]))
    if REVISION not in said:
        return found
    return found._replace(revision=decimal(said[REVISION], REVISION, MAX_REVISION), was_seen=SEEN in said)


def released_headers(
    origin: Headers, timer: str, released: Released, word: str, trace: str | None
) -> list[tuple[str, bytes | None]]:
    """Of a due record. `word`: how it ends instead of being sent (`wire.waiting.closings`); empty: it is sent."""
    found = plain_released_headers(origin, timer.encode(), released.written_at, released.due_at)
    found += _parted(released.part, released.done)
    if released.badge is not None:
        found.append((BADGE, b"%d" % released.badge))
    if released.zoned:
        found.append((ZONED, b"1"))
    for name, text in ((PASSED, released.passed), (CLOSES, word), (LEFT_AS, released.left_as), (h.TRACEPARENT, trace)):
        if text:
            found.append((name, text.encode()))
    return found


def plain_released_headers(
    origin: Headers, timer: bytes, written_at: int, due_at: int
) -> list[tuple[str, bytes | None]]:
    """Of a due record of a timer that has nothing else to say, and is sent."""
    return [*origin, (TIMER, timer), (WRITTEN_AT, b"%d" % written_at), (DUE_AT, b"%d" % due_at)]


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
    written_at, closes = number(headers, WRITTEN_AT, LAST_MS), first(headers, CLOSES)
    if written_at is None:
        raise InvalidInput(Reason.INVALID_FIELD, f"no header {WRITTEN_AT}: no keeper wrote this record", WRITTEN_AT)
    parted, due_at = parted_of(headers), number(headers, DUE_AT, LAST_MS) or 0
    passed, left_as = _text(headers, PASSED), _text(headers, LEFT_AS)
    if closes is None:
        own = number(headers, BADGE, MAX_BADGE), first(headers, ZONED) is not None
        return Released(written_at, None, *parted, due_at, passed, "", *own)
    closing = CLOSINGS.get(closes.decode("utf-8", "replace"))
    if closing is None:
        raise InvalidInput(Reason.INVALID_FIELD, f"{CLOSES} is none of {', '.join(sorted(CLOSINGS))}", CLOSES)
    return Released(written_at, closing, *parted, due_at, passed, left_as)


def passing(passed: str, gate: str) -> str:
    """Gates behind it, with one more."""
    return f"{passed},{gate}" if passed else str(gate)


def has_passed(passed: str, gate: str) -> bool:
    """Whether the keeper has let it through that gate."""
    return bool(passed) and gate in passed.split(",")


def _text(headers: Headers, name: str) -> str:
    return _decoded(first(headers, name))


def _decoded(value: bytes | None) -> str:
    return value.decode("utf-8", "replace") if value else ""
