"""Where a user is, and what quiet hours ask of a notification there: by the configuration, and by what is known of the
user's devices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, tzinfo
from functools import partial

from pushcast.config.quiet import app_times
from pushcast.config.settings import Settings
from pushcast.model.calm import CalmTimes
from pushcast.model.gates import Override
from pushcast.model.notification import Notification
from pushcast.model.preferences import NO_WISHES, Wishes
from pushcast.model.quiet import Quiet, QuietRule
from pushcast.model.quiet_notes import judged_by
from pushcast.plan.parts import Around
from pushcast.stream.edge import Count
from pushcast.stream.table import Row
from pushcast.wire.devices.device_zones import Home, home_of, place_of, zone_of_user
from pushcast.wire.devices.row_reader import Device


class LocalTimes:
    """Of one configuration. It keeps nothing of users."""

    def __init__(self, settings: Settings, count: Count) -> None:
        times = app_times(settings.apps)
        self._zones = {name: each.zone for name, each in times.items()}
        self._rule = QuietRule(times, round(settings.keep.quiet_release_spread_seconds * 1000))
        self._calm = CalmTimes(self._rule)
        self._quiet = {name: each.in_quiet_hours for name, each in settings.classes.items()}
        self._mandatory = frozenset(name for name, each in settings.classes.items() if each.mandatory)
        self._count = count
        self._now_or_never_ms = round(settings.send.now_or_never_seconds * 1000)

    def in_calm(
        self, note: Notification, devices: Sequence[Device], rows: Sequence[Row], now_ms: int
    ) -> Notification | None:
        """The notification as all of a user's devices get it now; None: each of them has to be looked at, because of
        quiet hours or of zones that differ. For users without preferences, when it is due at one time everywhere."""
        quiet, terms, assumed = self.quiet_of(note), None, 0
        if quiet is Quiet.IGNORE:
            return note
        for at, device in enumerate(devices):
            its_own = None
            if self._rule.windows(NO_WISHES, device.app):
                zone, known = place_of(device, partial(home_of, rows), NO_WISHES, self.zone_of_app(device.app))
                assumed += not known
                span = self._calm.span(device.app, zone, quiet, now_ms)
                if span is None:
                    return None
                its_own = span.terms
            if at and its_own is not terms:
                return None
            terms = its_own
        if assumed:
            self._count("zones_assumed", "", assumed)
        return judged_by(note, terms)

    def around(self, note: Notification, home: Home, wishes: Wishes) -> Around:
        """What decides beside the notification itself."""
        may_mute = note.klass not in self._mandatory
        quiet, ms = self.quiet_of(note), self._now_or_never_ms
        return Around(wishes, home, self.zone_of_app, self._rule, quiet, may_mute, ms)

    def quiet_of(self, note: Notification) -> Quiet:
        """What becomes of it in quiet hours."""
        quiet = Quiet.IGNORE if Override.QUIET_HOURS in note.override else self._quiet.get(note.klass, Quiet.IGNORE)
        # Nothing of a broadcast is gathered.
        return Quiet.HOLD if quiet is Quiet.DIGEST and note.broadcast is not None else quiet

    def zone_of(self, note: Notification, home: Home, wishes: Wishes) -> tzinfo:
        """Where the user is."""
        app = note.app or ""
        return zone_of_user(app, home, wishes, self.zone_of_app(app))

    def zone_of_app(self, app: str) -> tzinfo:
        """Of its devices when nobody knows where they are."""
        return self._zones.get(app, UTC)
