"""What a user wants of a notification: opt-outs by class and thread, for all apps or for one, and mutes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from pushcast.model.user import QuietHours, UserRow
from pushcast.model.words import Reason

ON: Final = "on"
OFF: Final = "off"
_NOTHING: Final = UserRow()


class Wishes(NamedTuple):
    """A user's own rows: for all apps, and by app."""

    everywhere: UserRow = _NOTHING
    by_app: Mapping[str, UserRow] = MappingProxyType({})

    def unwanted(
        self, app: str, klass: str, thread: str | None, now_ms: int, *, mandatory: bool = False, opt_in: bool = False
    ) -> Reason | None:
        """Why the user does not want it in this app; None: it is wanted. `app` empty: asks of all apps together.

        The app's word on a class counts before the user's for all apps. `mandatory`: nobody can opt out of the class.
        `opt_in`: it is off unless the user has said on.
        """
        if mandatory:
            return None
        own, everywhere = self.by_app.get(app, _NOTHING), self.everywhere
        word = own.classes.get(klass) or everywhere.classes.get(klass)
        if word == OFF:
            return Reason.OPTED_OUT
        if thread is not None and (own.threads.get(thread) or everywhere.threads.get(thread)) == OFF:
            return Reason.OPTED_OUT
        if self.muted_until(app) > now_ms:
            return Reason.MUTED
        return Reason.OPTED_OUT if opt_in and word != ON else None

    def muted_until(self, app: str) -> int:
        """Until when nothing is wanted in this app, milliseconds since the epoch; 0: it was never muted."""
        return max(self.by_app.get(app, _NOTHING).muted_until or 0, self.everywhere.muted_until or 0)

    def threads_off(self) -> dict[str, list[str]]:
        """Threads that are off, by app, for those that have a word of their own on threads; under an empty name in all
        other apps."""
        everywhere = self.everywhere.threads
        found = {"": everywhere} | {app: everywhere | row.threads for app, row in self.by_app.items() if row.threads}
        return {app: [thread for thread, word in words.items() if word == OFF] for app, words in found.items()}

    def quiet_hours(self, app: str) -> tuple[QuietHours, ...]:
        """The app's before those for all apps; empty: the user has none."""
        return self.by_app.get(app, _NOTHING).quiet_hours or self.everywhere.quiet_hours

    def time_zone(self, app: str) -> str | None:
        """The same for the zone."""
        return self.by_app.get(app, _NOTHING).time_zone or self.everywhere.time_zone


NO_WISHES: Final = Wishes()
