"""Due records that cannot be planned: their class is configured no more, or their zone is in tzdata no more. Pure.

What was held has an account, so it ends with a receipt beside its dead letter. Of its event the receipt has what can be
read; nothing of it is checked.
"""

from __future__ import annotations

from typing import Any

from pushcast.model.errors import InvalidInput
from pushcast.model.ids import MAX_ID_BYTES
from pushcast.model.notification import Content, Notification, OfBroadcast, Options
from pushcast.model.timing import Timing
from pushcast.stream.batch import Record
from pushcast.wire.events.intake_events import readable_event
from pushcast.wire.keys import user_of
from pushcast.wire.times import to_ms
from pushcast.wire.waiting.held import Released, timer_of
from pushcast.wire.waiting.held_broadcasts import decode_held, is_held_broadcast
from pushcast.wire.waiting.timers import note_id_of


def note_of_refused(record: Record, released: Released) -> Notification | None:
    """What stands in for the notification in its receipt and planned row; None: whose it was cannot be told."""
    try:
        user = user_of(record.key)
        if is_held_broadcast(record.value):
            held = decode_held(record.value or b"")
            part = OfBroadcast(held.variant or None, held.delivery_ids, held.place)
            return _note(held.broadcast, user, {}, released, part)
    except InvalidInput:
        return None
    event = readable_event("notification", record.value) or {}
    note_id = _text(event, "id") or note_id_of(timer_of(record.headers).encode())
    return _note(note_id, user, event, released, None) if note_id else None


def _note(
    note_id: str, user: str, event: dict[str, Any], released: Released, broadcast: OfBroadcast | None
) -> Notification:
    options = event.get("options")
    dry_run = isinstance(options, dict) and options.get("dry_run") is True
    created_at = _time(event.get("created_at"), released.written_at)
    return Notification(
        note_id,
        user,
        _text(event, "app"),
        _text(event, "class") or "",
        Content(),
        Options(dry_run=dry_run),
        b"",
        created_at,
        _time(event.get("expires_at"), created_at),
        due_at=released.due_at or created_at,
        timing=Timing(released.due_at) if released.due_at else None,
        campaign=_text(event, "campaign"),
        broadcast=broadcast,
    )


def _text(event: dict[str, Any], name: str) -> str | None:
    """None for what is no word that records and rows may hold."""
    value = event.get(name)
    return value if isinstance(value, str) and 0 < len(value.encode("utf-8", "replace")) <= MAX_ID_BYTES else None


def _time(value: Any, default: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return default
    try:
        return to_ms(value, "", default)
    except InvalidInput:
        return default
