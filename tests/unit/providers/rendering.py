"""The bytes that each platform gets for the first target of a message, before they are encrypted."""

from __future__ import annotations

from collections.abc import Callable

from pushcast.model.batch import Message
from pushcast.providers.apns.message import render as render_apns
from pushcast.providers.expo.message import render as render_expo
from pushcast.providers.identity import filled
from pushcast.providers.webpush.message import render as render_webpush
from unit.providers.messages import fcm_bodies


def _first(text: bytes, message: Message) -> bytes:
    return filled(text, message, [0], "notification")[0]


RENDERERS: dict[str, Callable[[Message], bytes]] = {
    "apns": lambda message: _first(render_apns(message, "com.example.news").body, message),
    "fcm": lambda message: fcm_bodies(message)[0],
    "expo": lambda message: _first(render_expo(message), message),
    "webpush": lambda message: _first(render_webpush(message).plaintext, message),
}
