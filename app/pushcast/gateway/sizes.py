"""Whether a platform would refuse a notification's payload for its size: told at the door, by the stage's renderers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from pushcast.config.settings import Settings
from pushcast.gateway.problems import Problem
from pushcast.model.batch import Message, Targets
from pushcast.model.notification import Content, Notification
from pushcast.model.words import Platform, Reason
from pushcast.providers.apns.message import render as render_apns
from pushcast.providers.expo.message import render as render_expo
from pushcast.providers.fcm.message import render as render_fcm
from pushcast.providers.unsendable import Unsendable
from pushcast.providers.webpush.message import render as render_webpush

#: Below it no platform's smallest limit (3,993 bytes, Web Push) can be passed: rendering writes no text twice.
ALWAYS_FITS_BYTES: Final = 1500
_RENDERERS: Final[Mapping[Platform, Callable[[Message], object]]] = {
    Platform.APNS: lambda message: render_apns(message, "topic"),
    Platform.FCM: render_fcm,
    Platform.EXPO: render_expo,
    Platform.WEBPUSH: render_webpush,
}


class Sizes:
    """Knows the platforms of each app."""

    def __init__(self, settings: Settings) -> None:
        self._platforms = {name: tuple(app.platforms()) for name, app in settings.apps.items()}
        self._all = tuple(dict.fromkeys(each for platforms in self._platforms.values() for each in platforms))

    def check(self, note: Notification) -> None:
        """Raises Problem (payload_too_large) that names the platform and its limit, for any language variant."""
        if len(note.content_key) < ALWAYS_FITS_BYTES:
            return
        platforms = self._all if note.app is None else self._platforms.get(note.app, ())
        for variant in (None, *note.content.locales):
            message = _message(note, note.content.of_variant(variant))
            for platform in platforms:
                try:
                    _RENDERERS[platform](message)
                except Unsendable as error:
                    if error.reason == Reason.PAYLOAD_TOO_LARGE:
                        where = "" if variant is None else f" (locales.{variant})"
                        raise Problem("payload_too_large", f"{platform}: {error}{where}") from None


def _message(note: Notification, content: Content) -> Message:
    ids, created, traces = [note.id], [note.created_at], [""]
    return Message(note.app or "", note.klass, content, note.options, b"", ids, created, traces, Targets())
