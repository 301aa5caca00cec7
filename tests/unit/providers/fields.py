"""Every field of a notification's content, alone and all together, as producers write them."""

from __future__ import annotations

import json
from typing import Any

from pushcast.model.batch import Message
from pushcast.model.notification import Notification
from pushcast.wire.class_rules import ClassRule
from pushcast.wire.notifications import NotificationDecoder
from pushcast.wire.schemas import avro_type
from unit.providers.messages import NOW_MS, message

DECODER = NotificationDecoder(["news"], {"default": ClassRule(3_600_000)})

#: Options that stand in the Avro record `more`.
MORE = ("interruption_level", "relevance_score", "mutable_content", "channel_id", "analytics_label", "ttl_seconds")
OPTIONS: dict[str, Any] = {
    "thread_id": "cup",
    "sound": {"name": "goal.caf", "critical": True, "volume": 0.5},
    "badge": 3,
    "interruption_level": "time-sensitive",
    "relevance_score": 0.8,
    "mutable_content": True,
    "channel_id": "goals",
    "analytics_label": "goals",
}
FIELDS: dict[str, Any] = {
    "title": "Goal!",
    "subtitle": "Premier League",
    "body": "1:0",
    "data": {"match": "4711", "minute": 88, "score": [1, 0], "scorer": {"name": "Müller"}, "video": None, "home": True},
    "image": "https://example.com/goal.png",
    "link": "https://example.com/match/4711",
    "category": "MATCH",
    "actions": [{"id": "open", "title": "Open", "link": "https://example.com/open"}, {"id": "mute", "title": "Mute"}],
    "platforms": {
        "apns": {"aps": {"filter-criteria": "x", "thread-id": None}},
        "fcm": {"android": {"notification": {"color": "#ff0000"}}},
        "webpush": {"requireInteraction": True},
        "expo": {"_displayInForeground": True},
    },
}

CASES: dict[str, dict[str, Any]] = {
    **{name: {"title": "Goal!", name: value} for name, value in FIELDS.items()},
    **{name: {name: FIELDS[name]} for name in ("subtitle", "body", "data")},
    **{f"options.{name}": {"title": "Goal!", "options": {name: value}} for name, value in OPTIONS.items()},
    "badge alone": {"options": {"badge": 0}},
    "sound alone": {"options": {"sound": "bell.caf"}},
    "data-only on Android, an alert on iOS": {
        "title": "Goal!",
        "platforms": {
            "fcm": {
                "notification": None,
                "android": {"notification": None},
                "apns": {"payload": {"aps": {"alert": {"title": "Goal!"}}}},
            }
        },
    },
    "all": {**FIELDS, "options": OPTIONS},
}


def note_of(event: dict[str, Any]) -> Notification:
    """What a planner has of an event."""
    return DECODER.decode("u-0", json.dumps({"id": "n-1", "app": "news", **event}).encode(), NOW_MS)


def message_of(event: dict[str, Any], address: bytes = b"ab" * 32) -> Message:
    """What a sender has of an event."""
    note = note_of(event)
    made = message([address], content=note.content)
    made.options = note.options
    return made


def avro_of(event: dict[str, Any]) -> bytes:
    """The event as a producer of Avro writes it."""
    options = dict(event.get("options", {}))
    data = event.get("data", {})
    sound = options.pop("sound", None)
    more = {name: options.pop(name) for name in MORE if name in options}
    values = {name: value for name, value in data.items() if not isinstance(value, str)}
    datum = {
        **event,
        "id": "n-1",
        "app": "news",
        "data": {name: value for name, value in data.items() if isinstance(value, str)},
        "data_json": json.dumps(values) if values else None,
        "options": {**options, "sound": sound if isinstance(sound, str) else None},
        "sound_json": json.dumps(sound) if isinstance(sound, dict) else None,
        "more": more or None,
        "platforms": {name: json.dumps(patch) for name, patch in event.get("platforms", {}).items()},
    }
    return avro_type("notification").encode(datum)
