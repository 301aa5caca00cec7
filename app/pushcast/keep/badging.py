"""Glue of badges: what a release, a read or a cancel does to the number on an icon, and the push that puts it right.

A number is decided before its push is released: the row of the badge and the timer with its number are in Kafka first,
so that whoever takes the partition over sends the same number, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from pushcast.keep import badges
from pushcast.keep.due import DueRecord, DueRecords, Put
from pushcast.keep.removals import HOUR_MS
from pushcast.keep.rows import Rows
from pushcast.keep.rules import released
from pushcast.keep.tenure import KeepTenure
from pushcast.model.caps import Ended, SlotPlanned
from pushcast.model.clock import Clock
from pushcast.model.errors import InvalidInput
from pushcast.model.own import OWN_TTL_SECONDS, OwnClass
from pushcast.model.words import Lane
from pushcast.stream.edge import Count
from pushcast.stream.ports import Barrier
from pushcast.wire.events.cancels import Cancel
from pushcast.wire.events.engagement import Engagement, Event
from pushcast.wire.events.threads import ThreadReader
from pushcast.wire.waiting.badge_rows import Badge, app_of, badge_key
from pushcast.wire.waiting.held import Released, released_headers
from pushcast.wire.waiting.thread_places import NO_THREAD, thread_place
from pushcast.wire.waiting.timers import Timer, note_id_of, part_key, user_key

_DECIDED: Final = "="
#: Why a number has changed, where no record of the partition says so.
_BY_A_CAMPAIGN: Final = "r0"


class BadgeRules(NamedTuple):
    """`wait_ms`: for another push that takes the number along. `per_hour`: pushes for the badge alone that a device
    gets of an app in any hour: all devices of a user get each."""

    wait_ms: int
    per_hour: int


#: Of a configuration that says nothing of it.
USUAL: Final = BadgeRules(wait_ms=30_000, per_hour=2)


def number_of(timer: Timer) -> int | None:
    """What the icon shows with the push of a timer; None: it is not the keeper's affair, or not decided yet."""
    return int(timer.badge[1:]) if timer.badge.startswith(_DECIDED) else None


class Badging:
    """Of all partitions of one stage. Never awaits: what is read and what is written are one step."""

    def __init__(
        self, rows: Rows, due: DueRecords, clock: Clock, count: Count, *, rules: BadgeRules, threads: ThreadReader
    ) -> None:
        self._threads = threads
        self._rows = rows
        self._due = due
        self._clock = clock
        self._rules = rules
        self._count = count

    def is_counted(self, tenure: KeepTenure, key: bytes, timer: Timer, before: Put | None = None) -> bool:
        """Whether a timer may be released: the number of its push is decided. Otherwise that is done first, and before
        that what it is told to write."""
        if not timer.badge or timer.closes or number_of(timer) is not None:
            return True
        user, note_id = user_key(key).decode(), note_id_of(key)
        if self._waits_for_another(tenure, key, user, timer.app):
            return False
        before_it = self._of(tenure, user, timer.app)
        badge = badges.sent(badges.changed(before_it, note_id, timer.badge, self._place(timer)))
        decided = _with_number(timer, badge)

        def put(barrier: Barrier) -> None:
            if before is not None:
                before(barrier)
            self._rows.put(tenure, barrier, badge_key(user, timer.app), badge)
            self._rows.put(tenure, barrier, key, decided)

        self._due.write(tenure, key, put)
        self._count("badges", "counted", 1)
        return False

    def put_right(self, tenure: KeepTenure, key: bytes, timer: Timer) -> None:
        """The push for a badge alone is due: it leaves unless another one has taken the number along."""
        user, badge = user_key(key).decode(), self._of(tenure, user_key(key).decode(), timer.app)
        number = number_of(timer)
        if number is None and not badges.differs(badge):
            self._due.write(tenure, key, lambda barrier: self._rows.put(tenure, barrier, key, None))
            self._count("badges", "settled", 1)
        elif number is None and self._waits_for_another(tenure, key, user, timer.app):
            return
        elif number is None:
            decided = _with_number(timer, badge)
            self._due.write(tenure, key, lambda barrier: self._rows.put(tenure, barrier, key, decided))
        else:
            now_ms = self._clock.now_ms()
            name = f"{timer.name}|{key.decode()}"
            headers = released_headers(
                tenure.origin, name, Released(timer.written_at, None, due_at=timer.due_at), "", None
            )
            event = orjson.dumps(_event(note_id_of(key), timer.app, number, now_ms))
            close = partial(self._shown, tenure, key, timer, user, now_ms)
            self._due.close(tenure, key, DueRecord(timer.lane, event, headers), close)
            self._count("badges", "put_right", 1)

    def _waits_for_another(self, tenure: KeepTenure, key: bytes, user: str, app: str) -> bool:
        """Whether another push has its number and has not left: this one comes behind it, or the device would show the
        older number in the end. The end of that one clears `blocked`."""
        for other, row in self._rows.waiting_of(tenure, user).items():
            if other != key and row.app == app and number_of(row) is not None:
                tenure.blocked.add(key)
                return True
        return False

    def _shown(self, tenure: KeepTenure, key: bytes, timer: Timer, user: str, now_ms: int, barrier: Barrier) -> None:
        self._rows.put(tenure, barrier, key, released(timer, now_ms))
        self.recovered(tenure, barrier, timer, user)

    def recovered(self, tenure: KeepTenure, barrier: Barrier, timer: Timer, user: str) -> None:
        """Notes what was sent, for a timer whose push a predecessor released without living to note it."""
        number = number_of(timer)
        if timer.kind == OwnClass.BADGE and number is not None:
            key = badge_key(user, timer.app)
            badge = self._rows.badge(tenure, key)
            if badge is not None:
                self._rows.put(tenure, barrier, key, msgspec.structs.replace(badge, sent=number))

    def engaged(self, tenure: KeepTenure, barrier: Barrier, engagement: Engagement, offset: int, now_ms: int) -> None:
        """What apps tell: something was read or opened, or the app shows a number itself."""
        if engagement.event is Event.BADGE:
            key = badge_key(engagement.user, engagement.app or "")
            badge = self._rows.badge(tenure, key) or Badge()
            if badge.engaged <= offset:
                reset = badges.reset(badge, engagement.count or 0)
                self._rows.put(tenure, barrier, key, msgspec.structs.replace(reset, engaged=offset + 1))
        elif engagement.event in (Event.READ, Event.OPENED):
            for key, badge in self._badges(tenure, engagement.user, engagement.app, begun=True):
                if badge.engaged <= offset:
                    less = _read(badge, engagement.ids, engagement.thread, engagement.up_to)
                    less = msgspec.structs.replace(less, engaged=offset + 1)
                    self._change(tenure, barrier, key, badge, less, f"e{offset}", now_ms)

    def cancelled(self, tenure: KeepTenure, barrier: Barrier, cancel: Cancel, offset: int, now_ms: int) -> None:
        """What is called off or taken back counts no more."""
        for key, badge in self._badges(tenure, cancel.user, cancel.app):
            if badge.cancelled <= offset:
                less = _read(badge, cancel.ids, cancel.thread, cancel.at)
                less = msgspec.structs.replace(less, cancelled=offset + 1)
                self._change(tenure, barrier, key, badge, less, f"c{offset}", now_ms)

    def removed(
        self, tenure: KeepTenure, barrier: Barrier, user: str, app: str, ids: Sequence[str], now_ms: int
    ) -> None:
        """What is taken off devices with its campaign counts no more. Told again it changes nothing."""
        key = badge_key(user, app)
        badge = self._rows.badge(tenure, key)
        less = None if badge is None else badges.read(badge, ids)
        if badge is not None and less is not None and less != badge:
            self._change(tenure, barrier, key, badge, less, _BY_A_CAMPAIGN, now_ms)

    def told(
        self, tenure: KeepTenure, barrier: Barrier, user: str, app: str, word: SlotPlanned | Ended, offset: int
    ) -> None:
        """What became of a notification that may count. `offset`: of the record that says so."""
        key = badge_key(user, app)
        badge = self._rows.badge(tenure, key)
        if badge is None:
            return
        after = badges.told(badge, word)
        if after is not badge:
            self._change(tenure, barrier, key, badge, after, f"o{offset}", self._clock.now_ms())
            if after.number < badge.number:
                self._count("badges", "failed", 1)

    def _place(self, timer: Timer) -> bytes:
        """Of its thread. What cannot be read is in none: its planner could read it."""
        try:
            found = self._threads.read(timer.event)
        except InvalidInput:
            found = None
        if found is None:
            return NO_THREAD
        return thread_place(found.thread, timer.written_at if found.created_at is None else found.created_at)

    def _change(
        self,
        tenure: KeepTenure,
        barrier: Barrier,
        key: bytes,
        badge: Badge,
        less: Badge,
        because: str,
        now_ms: int,
    ) -> None:
        """The timer goes first: a badge that says that it was changed is not looked at again."""
        if badges.differs(less) and less.number != badge.number:
            self._open(tenure, barrier, user_key(key).decode(), app_of(key), because, now_ms)
        self._rows.put(tenure, barrier, key, less)

    def _open(self, tenure: KeepTenure, barrier: Barrier, user: str, app: str, because: str, now_ms: int) -> None:
        own = self._rows.own_of(tenure, user, OwnClass.BADGE)
        mine = {key: row for key, row in own.items() if row.app == app}
        if any(row.waits and number_of(row) is None and key not in tenure.firing for key, row in mine.items()):
            return
        # Those that still wait are just leaving.
        done = sorted(row.due_at if row.closed_at is None else row.closed_at for row in mine.values())
        due_at = now_ms + self._rules.wait_ms
        if len(done) >= self._rules.per_hour:
            due_at = max(due_at, done[-self._rules.per_hour] + HOUR_MS)
        name = blake2b(f"{app}\0{because}\0{now_ms}".encode(), digest_size=12).hexdigest()
        key = part_key(user, f"{OwnClass.BADGE}:{name}", 0)
        timer = Timer(str(Lane.NORMAL), int(because[1:]), due_at, now_ms, kind=OwnClass.BADGE.value, app=app)
        self._rows.put(tenure, barrier, key, timer)
        self._count("opened", str(Lane.NORMAL), 1)

    def _of(self, tenure: KeepTenure, user: str, app: str) -> Badge:
        return self._rows.badge(tenure, badge_key(user, app)) or Badge()

    def _badges(
        self, tenure: KeepTenure, user: str, app: str | None, *, begun: bool = False
    ) -> Iterable[tuple[bytes, Badge]]:
        """A user's in one app, or in all. `begun`: also where the first one that counts still waits."""
        found = self._rows.badges_of(tenure, user)
        if begun:
            for timer in self._rows.waiting_of(tenure, user).values():
                if timer.badge:
                    found.setdefault(badge_key(user, timer.app), Badge())
        return [(key, badge) for key, badge in found.items() if app in (None, app_of(key))]


def _read(badge: Badge, ids: Iterable[str], thread: str | None, up_to: int | None) -> Badge:
    less = badges.read(badge, ids)
    return less if thread is None or up_to is None else badges.read_thread(less, thread, up_to)


def _with_number(timer: Timer, badge: Badge) -> Timer:
    return msgspec.structs.replace(timer, badge=f"{_DECIDED}{badge.number}")


def _event(note_id: str, app: str, number: int, now_ms: int) -> dict[str, Any]:
    """A notification that shows nothing but a number: on Apple devices the icon's, elsewhere the app's affair."""
    return {
        "id": note_id,
        "app": app,
        "class": OwnClass.BADGE.value,
        "data": {"event": OwnClass.BADGE.value, "badge": number},
        "options": {"badge": number, "priority": "normal", "collapse_id": OwnClass.BADGE.value},
        "created_at": now_ms,
        "expires_at": now_ms + OWN_TTL_SECONDS * 1000,
    }
