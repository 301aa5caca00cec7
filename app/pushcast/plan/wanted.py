"""Which notifications are judged by more than their class and expiry, and on which devices their users want them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pushcast.config.quiet import app_times
from pushcast.config.settings import Settings
from pushcast.model.notification import Notification
from pushcast.model.own import OwnClass
from pushcast.model.preferences import Wishes
from pushcast.model.quiet import Quiet
from pushcast.model.words import Reason
from pushcast.wire.devices.row_reader import Device

_USER_APP: Final = ""


class Wanted:
    """By one configuration. `asked`: classes of which every notification is to be asked for here; of the others only
    those of users with preferences."""

    def __init__(self, settings: Settings) -> None:
        classes = settings.classes
        times = app_times(settings.apps)
        quiet = any(each.quiet_hours for each in times.values())
        #: Apps of which no user has quiet hours without having said so.
        self.apps_without_hours = frozenset(name for name, each in times.items() if not each.quiet_hours)
        self._mandatory = {name for name, each in classes.items() if each.mandatory} | set(OwnClass)
        self._opt_in = {name for name, each in classes.items() if each.opt_in}
        self._quiet = {name for name, each in classes.items() if quiet and each.in_quiet_hours is not Quiet.IGNORE}
        self._read_gate = {name for name, each in classes.items() if each.read_gate}
        self.asked = frozenset(self._opt_in | self._quiet | self._read_gate)
        #: Those of them that nothing but quiet hours holds up.
        self.quiet_alone = frozenset(self._quiet - self._opt_in - self._read_gate)

    def differs(self, note: Notification) -> bool:
        """Whether devices of a user without preferences may get it at different times."""
        return note.klass in self._quiet or (note.timing is not None and note.timing.is_local)

    def asks_reader(self, note: Notification) -> bool:
        """Whether its class wants to know if it was read, which the keeper does."""
        return note.klass in self._read_gate

    def of(
        self, note: Notification, devices: Sequence[Device], wishes: Wishes, now_ms: int
    ) -> tuple[Sequence[Device], Reason | None]:
        """The devices that the user wants it on; and why it is unwanted altogether, if it is."""
        if note.app is not None:
            return devices, self._unwanted(note, note.app, wishes, now_ms)
        reasons = {app: self._unwanted(note, app, wishes, now_ms) for app in {device.app for device in devices}}
        if not any(reasons.values()):
            return devices, None if devices else self._unwanted(note, _USER_APP, wishes, now_ms)
        left = [device for device in devices if reasons[device.app] is None]
        return left, None if left else next(filter(None, (reasons[device.app] for device in devices)))

    def _unwanted(self, note: Notification, app: str, wishes: Wishes, now_ms: int) -> Reason | None:
        return wishes.unwanted(
            app,
            note.klass,
            note.options.thread_id,
            now_ms,
            mandatory=note.klass in self._mandatory,
            opt_in=note.klass in self._opt_in,
        )
