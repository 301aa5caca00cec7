"""A notification event as producers write it, and the part of it that batches share."""

from __future__ import annotations

from typing import Literal

import msgspec

Priority = Literal["high", "normal"]
PushType = Literal["alert", "background", "voip", "complication", "fileprovider", "location", "liveactivity"]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How to send. Part of the batch key: notifications with other options never share a message."""

    collapse_id: str | None = None  # <= 64 bytes, APNs' limit
    thread_id: str | None = None
    sound: str | None = None
    badge: int | None = None
    priority: Priority = "high"
    push_type: PushType = "alert"
    dry_run: bool = False
    at_most_once: bool = False


class LocalText(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Text for one locale; an absent part falls back to the notification's own."""

    title: str | None = None
    body: str | None = None


class Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a device shows. Equal contents of one window travel as one message with many targets."""

    title: str | None = None
    body: str | None = None
    data: dict[str, str] = {}
    locales: dict[str, LocalText] = {}


class Notification(msgspec.Struct, frozen=True):
    """A valid notification for one user, with every default filled in. Times are milliseconds since the epoch."""

    id: str
    user: str
    app: str | None  # None: all apps of the user
    klass: str
    content: Content
    options: Options
    content_key: bytes  # equal exactly when content and options are equal
    created_at: int
    expires_at: int
    trace: str | None = None  # W3C traceparent
