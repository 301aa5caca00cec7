"""How long providers ask to be left alone after an answer, as their verdict tables have it."""

from __future__ import annotations

from typing import Final, NamedTuple

from pushcast.model.words import Platform
from pushcast.providers.apns import verdicts as apns
from pushcast.providers.expo import verdicts as expo
from pushcast.providers.fcm import verdicts as fcm
from pushcast.providers.verdict import Row
from pushcast.providers.webpush import verdicts as webpush

_ROWS: Final[dict[Platform, tuple[Row, ...]]] = {
    Platform.APNS: (*apns.ROWS, *apns.OTHER_ROWS),
    Platform.FCM: fcm.ROWS,
    Platform.WEBPUSH: webpush.ROWS,
    Platform.EXPO: expo.ROWS,
}


class ProviderWait(NamedTuple):
    """After this answer."""

    answer: str
    seconds: float


def longest_wait(platform: Platform) -> ProviderWait:
    """The longest that this platform's table asks for; of no seconds when it asks for none."""
    asked = [ProviderWait(row.answer, row.retry_after_seconds or 0.0) for row in _ROWS.get(platform, ())]
    return max(asked, key=lambda wait: wait.seconds, default=ProviderWait("", 0.0))
