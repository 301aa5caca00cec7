"""What a provider is told of the time that a delivery has left. Pure; times are milliseconds since the epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pushcast.model.batch import Message
from pushcast.model.words import Platform

#: 28 days, the longest that FCM keeps a message; a Web Push service may keep it for less.
MAX_TTL_SECONDS: Final = 2_419_200
#: What a signed 32-bit number of seconds can say, the year 2038: APNs and Expo do not say that they take more.
MAX_EPOCH_SECONDS: Final = 2**31 - 1
#: In place of an expiry: the provider tries once and keeps nothing.
NOW_OR_NEVER: Final = 0


def expiries(message: Message) -> Sequence[int]:
    """Each target's expiry, or NOW_OR_NEVER."""
    expires_at = message.targets.expires_at
    if not message.has_now_or_never():
        return expires_at
    return [NOW_OR_NEVER if message.is_now_or_never(index) else at for index, at in enumerate(expires_at)]


def expiry_of(message: Message, target: int) -> int:
    """One target's expiry, or NOW_OR_NEVER."""
    return NOW_OR_NEVER if message.is_now_or_never(target) else message.targets.expires_at[target]


def ttl_seconds(expires_at: int, now_ms: int) -> int:
    """What is left, in whole seconds rounded up: 0 when nothing is, at most MAX_TTL_SECONDS."""
    return min(max(-((now_ms - expires_at) // 1000), 0), MAX_TTL_SECONDS)


def last_expiry(platform: Platform, now_ms: int) -> int:
    """The latest expiry that the platform can be told; a later one is cut to it."""
    if platform in {Platform.FCM, Platform.WEBPUSH}:
        return now_ms + MAX_TTL_SECONDS * 1000
    return MAX_EPOCH_SECONDS * 1000


def epoch_seconds(expires_at: int) -> int:
    """The expiry as seconds since the epoch, rounded up; 0 only for NOW_OR_NEVER."""
    return min(-(-expires_at // 1000), MAX_EPOCH_SECONDS)
