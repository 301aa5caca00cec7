"""How long what waits lives: as the planner will read it when it is let go."""

from __future__ import annotations

from collections.abc import Callable

from pushcast.config.settings import Settings
from pushcast.model.drain import Lifetime
from pushcast.model.errors import InvalidInput
from pushcast.wire.events.class_rules import OWN_RULES, class_rules
from pushcast.wire.events.notifications import NotificationDecoder
from pushcast.wire.events.timings import FURTHEST_AHEAD_MS
from pushcast.wire.schemas import SchemaSource
from pushcast.wire.waiting.held_broadcasts import is_held_broadcast
from pushcast.wire.waiting.timers import Timer


def lifetimes(settings: Settings, schemas: SchemaSource | None = None) -> Callable[[str, Timer], Lifetime | None]:
    """Of a user's timer. None where it is not known: a broadcast's content is elsewhere, and a local time is another
    one for each device."""
    rules = {**class_rules(settings.classes), **OWN_RULES}
    decode = NotificationDecoder(settings.apps, rules, schemas, max_ahead_ms=FURTHEST_AHEAD_MS, of_keeper=True).decode

    def lifetime(user: str, timer: Timer) -> Lifetime | None:
        if is_held_broadcast(timer.event):
            return None
        try:
            note = decode(user, timer.event, timer.written_at)
        except InvalidInput:  # it is a dead letter when it is due
            return None
        is_local = note.timing is not None and note.timing.is_local
        return None if is_local else Lifetime(note.app, note.expires_at)

    return lifetime
