"""The rows of one partition as they will be once all that is in flight is applied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from pushcast.model.device import DeviceRow
from pushcast.model.errors import InvalidInput
from pushcast.model.ids import is_user_row, user_row_key
from pushcast.model.user import UserRow
from pushcast.register.context import Context
from pushcast.register.tenure import RegisterTenure, Row
from pushcast.wire.devices.devices import decode_row
from pushcast.wire.devices.user_rows import decode_user_row
from pushcast.wire.newer import waited_for


class UserStanding(NamedTuple):
    """What a registration asks of its user at once. `device`: the row, when there is one that can be read. `rows`: of
    the user, not fewer than there are: one that is stored and in flight counts twice."""

    device: DeviceRow | None
    forgotten_at: int | None
    rows: int


_NOBODY: Final = UserStanding(None, None, 0)


class UserView:
    """Reads the table once for each user. So it is good for one stretch without an await: nothing is applied then."""

    def __init__(self, context: Context, tenure: RegisterTenure) -> None:
        self._context = context
        self._partition = tenure.number
        self._overlay = tenure.overlay
        self._stored: dict[bytes, dict[bytes, bytes]] = {}

    def expect(self, users: Iterable[bytes]) -> None:
        """Reads the rows of these users (record keys) at once, which is cheaper than one by one."""
        wanted = [user for user in dict.fromkeys(users) if user not in self._stored]
        found = self._context.table.multi_scan(self._partition, [user + b"\0" for user in wanted])
        for user, rows in zip(wanted, found, strict=True):
            self._stored[user] = dict(rows)

    def keys(self, user: bytes) -> set[bytes]:
        """Keys of all rows of a user: devices, gone ones among them, and the user's own rows."""
        keys = set(self._of(user))
        for key, entry in self._overlay.of_user(user).items():
            if entry.row is None:
                keys.discard(key)
            else:
                keys.add(key)
        return keys

    def standing(self, user: bytes, key: bytes) -> UserStanding:
        """Of the device with this row key. Raises NewerSchema."""
        stored, in_flight = self._stored.get(user), self._overlay.of_user(user)
        if stored is None:
            stored = self._of(user)
        rows = len(stored) + len(in_flight)
        if not rows:
            return _NOBODY
        device = self.device(user, key)[0] if key in in_flight or key in stored else None
        mine = user + b"\0\0"
        return UserStanding(device, self.forgotten_at(user) if mine in in_flight or mine in stored else None, rows)

    def device(self, user: bytes, key: bytes) -> tuple[DeviceRow | None, bool]:
        """The row, and False when there is one that nobody can read: it counts as absent, may be replaced or removed,
        and is never a reason to refuse an event. Raises NewerSchema for one that a later release wrote."""
        row, readable = self._row(user, key)
        return row if isinstance(row, DeviceRow) else None, readable

    def user_row(self, user: bytes, app: str = "") -> UserRow | None:
        """The user's own row, for all apps or for one. Raises NewerSchema."""
        row, _ = self._row(user, user_row_key(user.decode(), app))
        return row if isinstance(row, UserRow) else None

    def forgotten_at(self, user: bytes) -> int | None:
        """When the user was forgotten, milliseconds since the epoch: no event up to then counts any more."""
        row, _ = self._row(user, user + b"\0\0")
        return row.forgotten_at if isinstance(row, UserRow) else None

    def row(self, user: bytes, key: bytes) -> Row | None:
        """Whatever row is there; None for one that nobody can read. Raises NewerSchema."""
        return self._row(user, key)[0]

    def readable(self, user: bytes) -> Iterator[tuple[bytes, Row]]:
        """All rows of a user with their keys, but those that this release cannot read, which are neither counted nor
        waited for."""
        in_flight = self._overlay.of_user(user)
        for key in self.keys(user):
            entry = in_flight.get(key)
            if entry is not None:
                if entry.row is not None:
                    yield key, entry.row
                continue
            value = self._of(user)[key]
            try:
                yield key, decode_user_row(value) if is_user_row(key) else decode_row(value)
            except InvalidInput:
                continue

    def _row(self, user: bytes, key: bytes) -> tuple[Row | None, bool]:
        entry = self._overlay.of_user(user).get(key)
        if entry is not None:
            return entry.row, True
        value = self._of(user).get(key)
        if value is None:
            return None, True
        try:
            return (decode_user_row(value) if is_user_row(key) else decode_row(value)), True
        except InvalidInput as error:
            waited_for(error, f"a row of {self._context.names.device}")
            self._context.counters["unreadable_rows", error.reason] += 1
            return None, False

    def _of(self, user: bytes) -> dict[bytes, bytes]:
        stored = self._stored.get(user)
        if stored is None:
            self.expect((user,))
            stored = self._stored[user]
        return stored
