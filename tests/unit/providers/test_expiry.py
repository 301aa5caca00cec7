"""What each platform is told of the time that is left, and of what is now or never."""

from __future__ import annotations

import pytest

from pushcast.model.words import Platform
from pushcast.providers.apns.columns import _expirations
from pushcast.providers.expiry import (
    MAX_EPOCH_SECONDS,
    MAX_TTL_SECONDS,
    NOW_OR_NEVER,
    epoch_seconds,
    expiries,
    last_expiry,
    ttl_seconds,
)
from pushcast.providers.expo.message import Recipient, request_body
from unit.providers.messages import NOW_MS, fcm_bodies, message

TOKENS = [b"aa" * 32, b"bb" * 32]


@pytest.mark.parametrize(
    ("left_ms", "seconds"),
    [
        (61_500, 62),
        (61_000, 61),
        (300, 1),
        (1, 1),
        (0, 0),
        (-1, 0),
        (-5_000, 0),
        (MAX_TTL_SECONDS * 1000 + 1, MAX_TTL_SECONDS),
        (10**15, MAX_TTL_SECONDS),
    ],
)
def test_what_is_left_is_rounded_up_and_neither_negative_nor_above_28_days(left_ms: int, seconds: int) -> None:
    assert ttl_seconds(NOW_MS + left_ms, NOW_MS) == seconds


@pytest.mark.parametrize(
    ("expires_at", "seconds"),
    [(1, 1), (1_000, 1), (1_001, 2), (NOW_OR_NEVER, 0), (10**15, MAX_EPOCH_SECONDS)],
)
def test_an_expiry_in_seconds_fits_32_bits_and_is_0_only_for_now_or_never(expires_at: int, seconds: int) -> None:
    assert epoch_seconds(expires_at) == seconds


@pytest.mark.parametrize("platform", Platform)
def test_the_latest_expiry_of_a_platform_is_not_cut_and_a_later_one_is(platform: Platform) -> None:
    last = last_expiry(platform, NOW_MS)
    if platform in {Platform.FCM, Platform.WEBPUSH}:
        assert ttl_seconds(last, NOW_MS) == ttl_seconds(last + 1000, NOW_MS) == MAX_TTL_SECONDS
    else:
        assert epoch_seconds(last) == epoch_seconds(last + 1000) == MAX_EPOCH_SECONDS


def test_only_what_expires_when_it_was_created_is_now_or_never() -> None:
    mixed = message(TOKENS, expires_at=[NOW_MS, NOW_MS + 1])
    assert list(expiries(mixed)) == [NOW_OR_NEVER, NOW_MS + 1]
    plain = message(TOKENS)
    assert expiries(plain) is plain.targets.expires_at


def test_now_or_never_is_a_ttl_of_0_on_every_platform() -> None:
    """Reproduction 5.18: now or never."""
    now = message(TOKENS, expires_at=[NOW_MS, NOW_MS])
    assert _expirations(expiries(now), [0, 1]) == [b"0", b"0"]
    times = fcm_bodies(now, NOW_MS - 5_000)[0]  # our clock is behind the producer's
    assert (b'"ttl":"0s"' in times, b'"apns-expiration":"0"' in times, b'"TTL":"0"' in times) == (True, True, True)
    assert request_body([Recipient(b"A", b'{"title":"x"}', epoch_seconds(NOW_OR_NEVER))]) == (
        b'[{"to":["A"],"ttl":0,"title":"x"}]'
    )


def test_300_ms_are_a_second_for_fcm_and_the_next_second_for_apns() -> None:
    short = message(TOKENS, expires_at=[NOW_MS + 300] * 2)
    assert b'"ttl":"1s"' in fcm_bodies(short)[0]
    assert _expirations(expiries(short), [0]) == [b"%d" % (NOW_MS // 1000 + 1)]
