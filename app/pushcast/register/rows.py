"""What events change in the rows of one partition: reads, decides, writes."""

from __future__ import annotations

from typing import Final

from pushcast.model.device import REGISTRATIONS, DeviceChange, DeviceRow, DeviceState, Operation
from pushcast.model.ids import device_row_key, is_user_row, split_device_row_key, user_row_key
from pushcast.model.ownership import Token
from pushcast.model.preferences import Wishes
from pushcast.model.user import UserRow
from pushcast.register import zones
from pushcast.register.cap import MAX_MARKERS, OVER_CAP, over_cap, overtaken, spare_markers
from pushcast.register.claims import given_up, held, registered, too_late
from pushcast.register.context import Context
from pushcast.register.decide import activated, following, preferred, removal, upsert
from pushcast.register.kept import Kept
from pushcast.register.removals import TOKEN_MOVED, UNREGISTERED, USER_FORGOTTEN, forgotten, gone
from pushcast.register.view import UserView
from pushcast.register.writing import Writing
from pushcast.stream.batch import Record
from pushcast.wire.headers import appended_at
from pushcast.wire.waiting.notices import Notice, NoticeKind, thread_name

#: Why a marker is no more although its 14 days are not over.
TOO_MANY_MARKERS: Final = "too_many_markers"
#: Clocks of phones differ from ours by that much, and nobody need look.
FUTURE_MS: Final = 300_000


class Changes:
    """Applies the events of apps, all outputs under one barrier.

    It never awaits: reading a row and writing it are one step.
    """

    def __init__(self, context: Context, write: Writing, view: UserView) -> None:
        self._tokens = context.tokens
        self._max_per_user = context.max_per_user
        self._counters = context.counters
        self._view = view
        self._write = write

    def apply(self, record: Record, event: DeviceChange, at: int) -> None:
        """Decides what the event changes and produces it. Raises InvalidInput, then without output; NewerSchema.

        `at`: when it happened, as far as it is believed.
        """
        if event.at > at + FUTURE_MS:
            self._counters["at_in_future", ""] += 1
        if event.op in REGISTRATIONS:  # nearly all are
            self._register(record, event, at)
            return
        match event.op:
            case Operation.FORGET_USER:
                self._forget(record, event.user, at)
            case Operation.UNREGISTER:
                self._unregister(record, event, at)
            case Operation.TOPICS:
                self._follow(record, event, at)
            case Operation.PREFER:
                self._prefer(record, event, at)
            case Operation.ACTIVATE:
                self._activate(record, event)

    def _register(self, record: Record, event: DeviceChange, at: int) -> None:
        user, key = record.key or b"", device_row_key(event.user, event.app, event.device)
        before, forgotten_at, rows = self._view.standing(user, key)
        is_new = before is None or before.is_gone
        after: DeviceRow | Kept = Kept.OUTDATED
        # Of an event from before its user was forgotten nothing comes; a row that is there was registered later.
        if not is_new or forgotten_at is None or at > forgotten_at:
            after = upsert(event, at, before, self._tokens, recorded_at=appended_at(record))
        if after is Kept.OUTDATED:
            self._write.claims(record, too_late(key, before, self._token(event), at))
        elif after is Kept.UNCHANGED:
            # The row's claim again: a kill may have come between the row and its claim.
            self._write.claims(record, [claim for claim in (held(key, before),) if claim is not None])
            if before is not None and before.zone_at is not None:
                self._tell_zones_changed(record, at)
            elif before is not None and before.first_at == appended_at(record):
                self._tell_of_another(record, user, at)
        if isinstance(after, Kept):
            self._counters["registrations", after] += 1
        elif is_new and self._may_be_full(rows) and not self._make_room(record, user, key, after):
            self._write.claims(record, too_late(key, before, self._token(event), at))
            self._counters["registrations", OVER_CAP] += 1
        else:
            self._write.device(record, key, after, "topics")
            if is_new:
                self._write.held(record, key, after)
            else:
                self._write.claims(record, registered(key, before, after))
            if before is not None and before.time_zone != after.time_zone:
                self._tell_zones_changed(record, at)
            elif rows and (before is None or before.state != DeviceState.ACTIVE):
                self._tell_of_another(record, user, at)
            self._counters["registrations", "written"] += 1

    def _tell_zones_changed(self, record: Record, at: int) -> None:
        """NoticeKind again for a record that is handled again: a kill may have come between the row and this."""
        self._write.notice(record, Notice(NoticeKind.ZONES_CHANGED, at))

    def _tell_of_another(self, record: Record, user: bytes, at: int) -> None:
        """One device more gets pushes. What waits for the local time of another one may have come to its own."""
        if zones.differ(row for _, row in self._view.readable(user)):
            self._tell_zones_changed(record, at)

    def _may_be_full(self, rows: int) -> bool:
        """`rows`: of the user in all apps, at most."""
        return self._max_per_user is not None and rows >= self._max_per_user

    def _make_room(self, record: Record, user: bytes, key: bytes, new: DeviceRow) -> bool:
        """Removes the oldest devices of the user in the app where there would be too many. False: `new` is the oldest,
        and leaves but a marker."""
        keys = self._view.keys(user)
        prefix = key[: key.rindex(b"\0") + 1]
        there = [other for other in keys if other.startswith(prefix) and not is_user_row(other)]
        if self._max_per_user is None or len(there) < self._max_per_user:
            return True
        rows = {other: row for other in there if (row := self._view.device(user, other)[0]) is not None}
        for other in overtaken(rows, key, new):
            # OWN would evict it, too, but not before it may have come back with another token, beyond the cap.
            self._leave_marker(record, other, rows.pop(other), TOKEN_MOVED)
            self._counters["removals", TOKEN_MOVED] += 1
        going = over_cap(rows, key, new, self._max_per_user)
        for other in going:
            row = new if other == key else rows[other]
            self._leave_marker(record, other, row, OVER_CAP)
            if other != key:
                self._write.claims(record, given_up(other, row))
                self._counters["removals", OVER_CAP] += 1
        return key not in going

    def _bound_markers(self, record: Record, user: bytes, new: bytes) -> None:
        """Before one more is written."""
        prefix = new[: new.rindex(b"\0") + 1]
        keys = self._view.keys(user)
        if len(keys) < MAX_MARKERS:
            return
        there = [key for key in keys if key.startswith(prefix) and key != new and not is_user_row(key)]
        rows = {key: row for key in there if (row := self._view.device(user, key)[0]) is not None}
        for key in spare_markers(rows, MAX_MARKERS - 1):
            self._write.nothing(record, key, TOO_MANY_MARKERS)
            self._counters["markers_dropped", ""] += 1

    def _leave_marker(self, record: Record, key: bytes, row: DeviceRow, reason: str) -> None:
        """With the row's own time: no event of the device itself says that it is gone."""
        self._bound_markers(record, key.partition(b"\0")[0], key)
        marker = gone(key, row, row.registered_at, appended_at(record) or row.registered_at, reason)
        self._write.gone(record, key, marker, reason)

    def _token(self, event: DeviceChange) -> Token:
        assert event.address is not None  # a registration has a token
        assert event.platform is not None
        return Token(event.app, event.platform.value, self._tokens.names(event.address)[0])

    def _is_forgotten(self, user: bytes, before: DeviceRow | None, at: int) -> bool:
        """Whether an event comes from before its user was forgotten. A row that is there was registered later."""
        if before is not None and not before.is_gone:
            return False
        forgotten_at = self._view.forgotten_at(user)
        return forgotten_at is not None and at <= forgotten_at

    def _follow(self, record: Record, event: DeviceChange, at: int) -> None:
        user, key = event.user.encode(), device_row_key(event.user, event.app, event.device)
        before = self._view.device(user, key)[0]
        after = following(event, at, before)
        if isinstance(after, Kept):
            self._write.restated(record, [held(key, before)])
            self._counters["topic_changes", after] += 1
            return
        self._write.device(record, key, after, "add")
        self._write.restated(record, [held(key, after)])
        self._counters["topic_changes", "written"] += 1

    def _activate(self, record: Record, event: DeviceChange) -> None:
        user, key = event.user.encode(), device_row_key(event.user, event.app, event.device)
        before, at = self._view.device(user, key)[0], appended_at(record) or event.at
        after = activated(before)
        if isinstance(after, Kept):
            self._write.restated(record, [held(key, before)])
            if after is Kept.UNCHANGED:
                self._tell_of_another(record, user, at)
            self._counters["activations", after] += 1
            return
        self._write.device(record, key, after, "device")
        self._tell_of_another(record, user, at)
        self._write.restated(record, [held(key, after)])
        self._counters["activations", "written"] += 1

    def _prefer(self, record: Record, event: DeviceChange, at: int) -> None:
        user = event.user.encode()
        forgotten_at = self._view.forgotten_at(user)
        before = self._view.user_row(user, event.app)
        after: UserRow | Kept = Kept.OUTDATED
        if event.preferences is not None and (forgotten_at is None or at > forgotten_at):
            after = preferred(event.preferences, at, before)
        zone_before = None if before is None else before.time_zone
        zone_after = zone_before if isinstance(after, Kept) else after.time_zone
        if zone_after != zone_before or after is Kept.UNCHANGED:
            self._tell_zones_changed(record, at)
        if not isinstance(after, Kept):
            self._write.user(record, user_row_key(event.user, event.app), after)
        if (after is Kept.UNCHANGED and before is not None and before.threads) or (
            not isinstance(after, Kept) and after.threads != ({} if before is None else before.threads)
        ):
            self._tell_threads_switched(record, user, at)
        self._counters["preferences", after if isinstance(after, Kept) else "written"] += 1

    def _tell_threads_switched(self, record: Record, user: bytes, at: int) -> None:
        """What gathers in a digest leaves it with others: its planner cannot judge it by its own thread then."""
        own = {split_device_row_key(key)[1]: row for key, row in self._view.readable(user) if isinstance(row, UserRow)}
        off = Wishes(own.pop("", UserRow()), own).threads_off()
        names = {app: frozenset(map(thread_name, threads)) for app, threads in off.items()}
        self._write.notice(record, Notice(NoticeKind.THREADS_SWITCHED, at, names))

    def _unregister(self, record: Record, event: DeviceChange, at: int) -> None:
        user = event.user.encode()
        if event.address is None:
            keys = [device_row_key(event.user, event.app, event.device)]
        else:
            keys = self._with_token(user, event, event.address)
        results = [self._remove(record, user, key, at, event.platform or "") for key in keys]
        self._counters["unregistrations", min(results, default=None) or Kept.UNKNOWN] += 1

    def _with_token(self, user: bytes, event: DeviceChange, address: bytes) -> list[bytes]:
        """Keys of the user's devices of this app and platform that have the token."""
        names = self._tokens.names(address)
        found = []
        for key in sorted(self._view.keys(user)):
            row = None if is_user_row(key) else self._view.device(user, key)[0]
            if row is not None and (row.app, row.platform) == (event.app, event.platform) and row.token_hash in names:
                found.append(key)
        return found

    def _remove(self, record: Record, user: bytes, key: bytes, at: int, platform: str) -> str:
        """Leaves a marker also where there is no row: the registration that this ends may still come."""
        row, readable = self._view.device(user, key)
        kept = removal(at, row) if readable else None
        if kept in (None, Kept.UNKNOWN) and not self._is_forgotten(user, row, at):
            self._bound_markers(record, user, key)
            marker = gone(key, row, at, appended_at(record) or at, UNREGISTERED, platform)
            self._write.gone(record, key, marker, UNREGISTERED)
            self._write.claims(record, given_up(key, row))
        return kept or "removed"

    def _forget(self, record: Record, user: str, at: int) -> None:
        """Nothing of the user stays but when that was, so that a late event brings nothing back."""
        owner, mine = user.encode(), user_row_key(user)
        self._write.notice(record, Notice(NoticeKind.FORGOTTEN, at))
        after = forgotten(self._view.user_row(owner), at)
        if after is not None:
            self._write.user(record, mine, after)
        removed = [self._erase(record, owner, key, at) for key in sorted(self._view.keys(owner) - {mine})]
        self._counters["users_forgotten", "removed" if any(removed) else "unknown"] += 1

    def _erase(self, record: Record, user: bytes, key: bytes, at: int) -> bool:
        """Whether a device was removed. What happened to a row after `at` stays."""
        if is_user_row(key):
            preferences = self._view.user_row(user, key.split(b"\0")[1].decode())
            if preferences is None or (preferences.at or 0) <= at:
                self._write.nothing(record, key, USER_FORGOTTEN)
            return False
        row, readable = self._view.device(user, key)
        if readable and row is not None and row.registered_at > at:
            return False
        self._write.nothing(record, key, USER_FORGOTTEN)
        self._write.claims(record, given_up(key, row))
        return not (row is not None and row.is_gone)
