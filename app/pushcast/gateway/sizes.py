"""Whether a platform would refuse a notification's payload for its size: told at the door, by the stage's renderers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from pushcast.config.settings import Settings
from pushcast.gateway.problems import Problem
from pushcast.model.batch import Message, Targets
from pushcast.model.notification import Content, Notification, Options
from pushcast.model.sealing import MAX_CONTENT_KEY_ID, Sealing
from pushcast.model.words import Platform, Reason
from pushcast.providers.apns import message as apns
from pushcast.providers.expo import message as expo
from pushcast.providers.fcm import message as fcm
from pushcast.providers.fcm.size import MAX_PAYLOAD_BYTES as FCM_BYTES
from pushcast.providers.unsendable import Unsendable
from pushcast.providers.webpush import message as webpush
from pushcast.providers.webpush.encryption import MAX_PLAINTEXT_BYTES as WEBPUSH_BYTES
from pushcast.wire.devices.content_keys import PLATFORMS
from pushcast.wire.events.pings import sealed_options
from pushcast.wire.sending.sealed_contents import SECRETBOX_NONCE_BYTES, TAG_BYTES, plaintext_of, seen_of

#: Below it no platform's smallest limit (3,993 bytes, Web Push) can be passed: rendering writes no text twice.
ALWAYS_FITS_BYTES: Final = 1500
_RENDERERS: Final[Mapping[Platform, Callable[[Message], object]]] = {
    Platform.APNS: lambda message: apns.render(message, "topic"),
    Platform.FCM: fcm.render,
    Platform.EXPO: expo.render,
    Platform.WEBPUSH: webpush.render,
}


_LIMITS: Final[Mapping[Platform, int]] = {
    Platform.APNS: apns.MAX_PAYLOAD_BYTES,
    Platform.FCM: FCM_BYTES,
    Platform.EXPO: expo.MAX_PAYLOAD_BYTES,
    Platform.WEBPUSH: WEBPUSH_BYTES,
}


class Measured(NamedTuple):
    """What a platform would make of a notification: its size in bytes, about, or why it would refuse it."""

    platform: Platform
    size: int
    limit: int
    problem: str | None


class Sizes:
    """Knows the platforms of each app."""

    def __init__(self, settings: Settings) -> None:
        self._platforms = {name: tuple(app.platforms()) for name, app in settings.apps.items()}
        self._all = tuple(dict.fromkeys(each for platforms in self._platforms.values() for each in platforms))

    def check(self, note: Notification) -> None:
        """Raises Problem (payload_too_large) that names the platform and its limit, for any language variant."""
        if len(note.content_key) < ALWAYS_FITS_BYTES:
            return
        platforms = self._platforms_of(note)
        for variant in (None, *note.content.locales):
            content = note.content.of_variant(variant)
            for platform in platforms:
                try:
                    _RENDERERS[platform](_message(note, content, platform))
                except Unsendable as error:
                    if error.reason == Reason.PAYLOAD_TOO_LARGE:
                        where = "" if variant is None else f" (locales.{variant})"
                        raise Problem("payload_too_large", f"{platform}: {error}{where}") from None

    def measure(self, note: Notification) -> list[Measured]:
        """For each platform of the notification's app, without its language variants."""
        return [_measured(platform, _message(note, note.content, platform)) for platform in self._platforms_of(note)]

    def _platforms_of(self, note: Notification) -> tuple[Platform, ...]:
        return self._all if note.app is None else self._platforms.get(note.app, ())


def _measured(platform: Platform, message: Message) -> Measured:
    try:
        rendered = _RENDERERS[platform](message)
    except Unsendable as error:
        return Measured(platform, 0, _LIMITS[platform], str(error))
    parts = rendered if isinstance(rendered, tuple) else (rendered,)
    return Measured(platform, sum(len(part) for part in parts if isinstance(part, bytes)), _LIMITS[platform], None)


def _message(note: Notification, content: Content, platform: Platform) -> Message:
    options = note.options
    if note.sealing is not None and platform in PLATFORMS:
        content, options = _sealed(note, content, platform, note.sealing)
    ids, created, traces = [note.id], [note.created_at], [""]
    return Message(note.app or "", note.klass, content, options, b"", ids, created, traces, Targets())


def _sealed(note: Notification, content: Content, platform: Platform, sealing: Sealing) -> tuple[Content, Options]:
    """As large as it gets: of a device whose key has the longest id and the cipher that adds most."""
    size = len(plaintext_of(content, note.id, note.klass, note.created_at))
    shown = content.shown or note.options.heard
    box = bytes(SECRETBOX_NONCE_BYTES + TAG_BYTES + size)
    seen = seen_of(platform, sealing.title if shown else None, MAX_CONTENT_KEY_ID, box)
    return seen, sealed_options(note.klass, note.options, shown)
