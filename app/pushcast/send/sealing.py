"""Contents of classes with `privacy: sealed`: each device gets its own, which the provider cannot read.

It happens at the hand-over. What waits, is parked or retried holds the content as the planner wrote it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final, NamedTuple

from pushcast.model.batch import KINDS, Message
from pushcast.model.sealing import Sealing
from pushcast.model.words import Platform
from pushcast.send.records import Piece
from pushcast.wire.devices.content_keys import PLATFORMS, ContentKeyInvalid, opened
from pushcast.wire.events.pings import ping_content, ping_options, sealed_options
from pushcast.wire.sealing.seals import KeyUnknown, Place, SealBroken, TokenKeys
from pushcast.wire.sending.sealed_contents import plaintext_of, sealed, seen_of

logger = logging.getLogger(__name__)
_NO_KEYS: Final = TokenKeys({}, None)


class Private(NamedTuple):
    """What the provider gets, and targets that it gets nothing for."""

    pieces: list[Piece]
    unknown: list[int]  # their content key is sealed under a key that this process does not hold
    without_key: list[int]  # the class leaves devices without a content key out
    invalid: list[int]  # their content key is none


class ContentSealing:
    """Of one platform. `keys`: as of `Opening`. `random`: so many bytes for a nonce."""

    def __init__(
        self,
        platform: Platform,
        keys: Callable[[], TokenKeys] | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._platform = platform
        self._keys = keys or (lambda: _NO_KEYS)
        self._random = random
        self._told = False

    def pieces(self, message: Message, indices: Sequence[int]) -> Private | None:
        """None: the message goes as it is. Web Push encrypts every content for its device already. About 10 µs for
        each target."""
        sealing = message.sealing
        if sealing is None or self._platform is Platform.WEBPUSH:
            return None
        shown = message.content.shown or message.options.heard
        plain_of = _Plaintexts(message)
        title, options = sealing.title if shown else None, sealed_options(message.klass, message.options, shown)
        keys = self._keys()
        content_keys = message.targets.content_key
        private = Private([], [], [], [])
        keyless: list[int] = []
        for index in indices:
            kept = content_keys[index] if content_keys is not None and self._platform in PLATFORMS else None
            if kept is None:
                keyless.append(index)
                continue
            try:
                key = opened(kept, self._place(message, index), keys.open)
            except KeyUnknown:
                private.unknown.append(index)
                continue
            except (ContentKeyInvalid, SealBroken) as error:
                self._tell(message.app, error)
                private.invalid.append(index)
                continue
            box = sealed(plain_of[message.targets.notification[index]], key, self._random)
            content = seen_of(self._platform, title, key.id, box)
            private.pieces.append(Piece(replace(message, content=content, options=options), [index]))
        if not keyless:
            return private
        if sealing.fallback == "skip":
            private.without_key.extend(keyless)
        elif sealing.fallback == "plain":
            private.pieces.append(Piece(message, keyless))
        else:
            private.pieces.extend(_pings(message, sealing, keyless, shown))
        return private

    def _place(self, message: Message, index: int) -> Place:
        targets = message.targets
        kind = KINDS[targets.kind[index]]
        return Place(message.app, self._platform, kind, targets.user[index], targets.device[index])

    def _tell(self, app: str, error: Exception) -> None:
        """The first one."""
        if not self._told:
            self._told = True
            logger.error("app %s: %s: the delivery is refused, and its device is kept", app, error)


class _Plaintexts(dict[int, bytes]):
    """By the index of the notification: made once, however many devices get it."""

    def __init__(self, message: Message) -> None:
        self._message = message

    def __missing__(self, index: int) -> bytes:
        message = self._message
        text = self[index] = plaintext_of(
            message.content, message.notification_ids[index], message.klass, message.created_at[index]
        )
        return text


def _pings(message: Message, sealing: Sealing, indices: list[int], shown: bool) -> Iterable[Piece]:
    """One message for each notification: its id is in it."""
    options = ping_options(message.klass, message.options, shown)
    notification = message.targets.notification
    for number, group in groupby(sorted(indices, key=notification.__getitem__), notification.__getitem__):
        content = ping_content(message.notification_ids[number], message.klass, sealing.title, shown)
        yield Piece(replace(message, content=content, options=options), list(group))
