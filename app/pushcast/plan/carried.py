"""What only the keeper can do for a notification: count its badge, and keep it to a rate. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pushcast.config.rates import rates_of
from pushcast.config.settings import Settings
from pushcast.model.notification import ONE_MORE, Notification
from pushcast.model.pacing import Rated
from pushcast.model.words import Reason
from pushcast.wire.waiting.held import Held


class Carried:
    """Of one configuration. `live`: rates by the control topic."""

    def __init__(self, settings: Settings, live: Mapping[str, Rated] | None = None) -> None:
        self._counted = frozenset(name for name, app in settings.apps.items() if app.badges == "counted")
        self._if_active = {name for name, each in settings.classes.items() if each.unless_read_when == "active"}
        self._rates = rates_of(settings, live)
        self.classes, self.apps = self._rates.classes, self._rates.apps

    def waits_for(self, note: Notification) -> Reason | None:
        """Why it goes to the keeper although nothing holds it up; None: it does not. Cheap: most have neither."""
        has_rate = note.campaign is not None or note.klass in self.classes or note.app in self.apps
        if has_rate and self._rates.of(note.campaign, note.klass, note.app):
            return Reason.PACE
        if note.options.badge is not None and self._badge(note):
            return Reason.BADGE
        return None if note.revision is None else Reason.REVISION

    def marked(self, held: Held, note: Notification) -> Held:
        """With what the keeper has to do when it lets it go."""
        badge, pace = self._badge(note), self._rates.of(note.campaign, note.klass, note.app)
        if badge:
            held = held._replace(app=note.app or "", badge=badge)
        if note.klass in self._if_active and _only_waits(note, held):
            held = held._replace(if_active=note.app or "")
        if note.revision is not None:
            held = held._replace(revision=note.revision, was_seen=note.was_seen)
        return held._replace(pace=pace) if pace else held

    def _badge(self, note: Notification) -> str:
        """What it does to the user's number in its app; empty: nothing. A dry run does nothing, nor a broadcast, of
        which no more than a part comes by here."""
        badge = note.options.badge
        if badge is None or note.options.dry_run or note.app is None or note.broadcast is not None:
            return ""
        return ONE_MORE if badge == ONE_MORE else str(badge) if note.app in self._counted else ""


def _only_waits(note: Notification, held: Held) -> bool:
    """Whether nothing but the user who may read it elsewhere keeps it from leaving now."""
    timing = note.timing
    if held.part or timing is None or not timing.wait_ms or timing.spread_ms:
        return False
    return timing.deliver_at is None and timing.reading is None and held.due_at == note.due_at


def numbered(note: Notification, number: int | None) -> Notification:
    """With the number that the keeper counted. Without one, what counts up shows none."""
    if number is None and note.options.badge != ONE_MORE:
        return note
    options = msgspec.structs.replace(note.options, badge=number)
    key = note.content_key + b"\0badge" + (b"" if number is None else b"%d" % number)
    return msgspec.structs.replace(note, options=options, content_key=key, has_number=number is not None)
