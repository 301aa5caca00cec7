"""Every field of a notification's content, alone and all together, as producers write them."""

from __future__ import annotations

import json
from typing import Any, get_args

from pushcast.model.batch import Message
from pushcast.model.notification import Notification, PushType
from pushcast.wire.events.class_rules import ClassRule
from pushcast.wire.events.notifications import NotificationDecoder
from pushcast.wire.schemas import avro_type
from unit.providers.messages import NOW_MS, message

DECODER = NotificationDecoder(
    ["news"], {"default": ClassRule(3_600_000), "tracked": ClassRule(3_600_000, tracked=True)}
)

#: Options that stand in the Avro record `more`.
MORE = ("interruption_level", "relevance_score", "mutable_content", "channel_id", "analytics_label", "ttl_seconds")
OPTIONS: dict[str, Any] = {
    "collapse_id": "match-4711",
    "thread_id": "cup",
    "sound": {"name": "goal.caf", "critical": True, "volume": 0.5},
    "badge": 3,
    "priority": "normal",
    "interruption_level": "time-sensitive",
    "relevance_score": 0.8,
    "mutable_content": True,
    "channel_id": "goals",
    "analytics_label": "goals",
    "ttl_seconds": 600,
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
ACTIVITY = {"event": "update", "content_state": {"score": [1, 0]}, "timestamp": 1_800_000_000_000}

CASES: dict[str, dict[str, Any]] = {
    **{name: {"title": "Goal!", name: value} for name, value in FIELDS.items()},
    **{name: {name: FIELDS[name]} for name in ("subtitle", "body", "data")},
    **{f"options.{name}": {"title": "Goal!", "options": {name: value}} for name, value in OPTIONS.items()},
    **{f"push type {name}": {"data": {"k": "v"}, "options": {"push_type": name}} for name in get_args(PushType)[1:]},
    "push type liveactivity": {"options": {"push_type": "liveactivity", "live_activity": ACTIVITY}},
    "now or never": {"title": "Goal!", "options": {"ttl_seconds": 0}},
    "a link of the app": {"title": "Goal!", "link": "app://match/4711"},
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


def message_of(event: dict[str, Any], address: bytes = b"ab" * 32, *, form: str = "json") -> Message:
    """What a sender has of an event that its producer wrote in this form."""
    note = note_of(event) if form == "json" else DECODER.decode("u-0", avro_of(event), NOW_MS)
    made = message([address], content=note.content, expires_at=[note.expires_at])
    made.options = note.options
    return made


def avro_of(event: dict[str, Any]) -> bytes:
    """The event as a producer of Avro writes it."""
    options = dict(event.get("options", {}))
    data = event.get("data", {})
    sound = options.pop("sound", None)
    activity = options.pop("live_activity", None)
    if activity is not None:
        options["live_activity"] = {**activity, "content_state": json.dumps(activity["content_state"])}
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
