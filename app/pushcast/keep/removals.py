"""Which shown notifications are taken back, and when: one push for all that was asked for lately. Pure.

A removal is a notification of class `remove` that KEEP writes itself. It waits as a timer, so that cancels that come
meanwhile join it, and it is released, planned and accounted for as any other. Where Apple's devices have had as many as
Apple lets through, theirs waits, and one for the other devices does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from pushcast.model.own import OWN_TTL_SECONDS, OwnClass
from pushcast.model.recalls import SEQ, RemovalScope, only_of, recalled_of, recalling, scope_of, scoped_id
from pushcast.model.words import Lane, Reason
from pushcast.wire.waiting.recallable import Push
from pushcast.wire.waiting.timers import Timer

#: Ids of one push; the newest count.
MAX_IDS: Final = 200
#: Of their JSON: with what else it has, a removal stays below APNs' 4,096 bytes.
MAX_ID_BYTES: Final = 3_000
MAX_THREADS: Final = 20
#: Pushes that are deleted at their services, or replaced; the newest.
MAX_RECALLED: Final = 32
HOUR_MS: Final = 3_600_000
#: How a timer closes whose notification devices may show: by itself, or in a digest.
_REACHED: Final = ("", Reason.DIGESTED)
_ID_HASH_BYTES: Final = 12
_HALVES: Final = (RemovalScope.APPLE, RemovalScope.OTHERS)


class RemovalRules(NamedTuple):
    """`wait_ms`: for more to join. `per_hour`: pushes that a device of Apple's gets in any hour, as Apple's budget
    asks. All devices of a user and app get each: what is counted of these is what each of them has had, or more."""

    wait_ms: int
    per_hour: int


#: Of a configuration that says nothing of it.
USUAL: Final = RemovalRules(wait_ms=30_000, per_hour=2)


class RemovalAsked(NamedTuple):
    """What one cancel, or a user who read something, asks to take back. `offset`: the cancel's, or below 0; `at_ms`: of
    the record."""

    app: str | None
    ids: tuple[str, ...]
    thread: str | None
    offset: int
    at_ms: int
    recall: tuple[Push, ...] = ()  # what push services may still have of it
    only: frozenset[bytes] | None = None  # the devices that may show it, by `ids.device_name`; None: all of the user's


def removal_id(asked: RemovalAsked, scope: RemovalScope = RemovalScope.ALL) -> str:
    """Its notification id: the same whenever that cancel is read again."""
    name = f"{asked.app or ''}\0{asked.offset}\0{asked.at_ms}".encode()
    return scoped_id(OwnClass.REMOVE, scope, blake2b(name, digest_size=_ID_HASH_BYTES).hexdigest())


def has_left(rows: Iterable[Timer]) -> bool:
    """Whether any of a notification may be on a device. `rows`: its timers; without one KEEP never held it."""
    known = list(rows)
    return not known or any(not row.waits and row.closes in _REACHED for row in known)


def taken(removals: Mapping[str, Timer], offset: int) -> set[RemovalScope]:
    """For which devices this cancel is in a removal already: it is being read again. `removals`: by notification id."""
    scopes = {scope_of(note_id) for note_id, row in removals.items() if row.keep_offset >= offset}
    return {each for each in _HALVES if any(scope.covers(each) for scope in scopes)}


class OtherRemoval(NamedTuple):
    """Another one of the user. `at_ms`: when it left, or is to leave. `app` empty: for all apps."""

    app: str
    scope: RemovalScope
    at_ms: int


def apple_waits_until(app: str | None, others: Iterable[OtherRemoval], per_hour: int) -> int:
    """From when on Apple's devices of an app may get one more; of all apps together, when the app is None."""
    mine = [each for each in others if each.scope.covers(RemovalScope.APPLE)]
    until = 0
    # One for all apps is one in each of them.
    for name in {each.app for each in mine} | {""} if app is None else {app}:
        times = sorted(each.at_ms for each in mine if each.app in (name, ""))
        if len(times) >= per_hour:
            until = max(until, times[-per_hour] + HOUR_MS)
    return until


def opened(asked: RemovalAsked, due_at: int, scope: RemovalScope = RemovalScope.ALL) -> Timer:
    """A new removal."""
    app = asked.app or ""
    timer = Timer(str(Lane.NORMAL), asked.offset, due_at, asked.at_ms, kind=OwnClass.REMOVE.value, app=app, event=b"{}")
    return merged(timer, asked, removal_id(asked, scope))


def merged(timer: Timer, asked: RemovalAsked, note_id: str) -> Timer:
    """A removal that waits, with one more cancel: what came last stands last, and the newest stay."""
    event = orjson.loads(timer.event)
    data = event.get("data", {})
    ids = _newest([*data.get("ids", ()), *asked.ids], MAX_IDS, MAX_ID_BYTES)
    recall = [*recalled_of(event.get("platforms", {})), *(_said_of(push) for push in asked.recall)][-MAX_RECALLED:]
    threads = _newest(
        [*data.get("threads", ()), *([] if asked.thread is None else [asked.thread])], MAX_THREADS, MAX_ID_BYTES // 4
    )
    return msgspec.structs.replace(
        timer,
        keep_offset=max(timer.keep_offset, asked.offset),
        written_at=asked.at_ms,
        event=orjson.dumps(
            _event(timer, note_id, asked.at_ms, ids, threads) | recalling(recall, _reached(event, asked.only))
        ),
    )


def reaching(timer: Timer, notification: str, device: bytes, push: Push | None = None) -> Timer | None:
    """A removal that waits and names a notification, for one more device, and for a push that is told of so late; None:
    it is for both already."""
    event = orjson.loads(timer.event)
    if notification not in event.get("data", {}).get("ids", ()):
        return None
    platforms = event.get("platforms", {})
    only, recall = only_of(platforms), recalled_of(platforms)
    late = [] if push is None or (said := _said_of(push)) in recall else [said]
    if not late and (only is None or device in only):
        return None
    said_of_all = recalling([*recall, *late][-MAX_RECALLED:], None if only is None else only | {device})
    return msgspec.structs.replace(timer, event=orjson.dumps(event | said_of_all))


def _reached(event: dict[str, Any], only: frozenset[bytes] | None) -> frozenset[bytes] | None:
    """The devices of a removal with one more cancel."""
    if not event:
        return only
    before = only_of(event.get("platforms", {}))
    return None if before is None or only is None else before | only


def _event(timer: Timer, note_id: str, at_ms: int, ids: list[str], threads: list[str]) -> dict[str, Any]:
    data: dict[str, Any] = {"event": OwnClass.REMOVE.value, "ids": ids, SEQ: at_ms}
    if threads:
        data["threads"] = threads
    return {
        "id": note_id,
        "app": timer.app or None,
        "class": OwnClass.REMOVE.value,
        "data": data,
        "options": {"push_type": "background", "priority": "normal", "collapse_id": OwnClass.REMOVE.value},
        "created_at": at_ms,
        "expires_at": max(timer.due_at, at_ms) + OWN_TTL_SECONDS * 1000,
    }


def _said_of(push: Push) -> dict[str, str]:
    """As `recalls.recalling` takes it."""
    parts = {"device": push.device, "message": push.message, "tag": push.tag}
    return {name: part for name, part in parts.items() if part}


def _newest(names: list[str], most: int, most_bytes: int) -> list[str]:
    """The last ones, each once, that fit; in their order."""
    found: list[str] = []
    size = 0
    for name in dict.fromkeys(reversed(names)):
        size += len(orjson.dumps(name)) + 1
        if len(found) == most or size > most_bytes:
            break
        found.append(name)
    return found[::-1]
