"""Verdicts by the first hexadecimal digits of a device token, so that a test needs no rules."""

from __future__ import annotations

from typing import Final

from pushcast.http2 import frames as f
from pushcast.simulators.effects import Effect

# A 410 of this token says that it was invalid long ago, so a device that registered since then must be kept.
OLD_TIMESTAMP_MS: Final = 1_500_000_000_000

_EXACT: Final[dict[bytes, Effect]] = {
    b"dead0410": Effect("status", 410, "Unregistered"),
    b"dead0411": Effect("status", 410, "Unregistered", timestamp_ms=OLD_TIMESTAMP_MS),
    b"dead0412": Effect("status", 410, "ExpiredToken"),
    b"bad00400": Effect("status", 400, "BadDeviceToken"),
    b"bad00401": Effect("status", 400, "DeviceTokenNotForTopic"),
    b"e0000429": Effect("status", 429, "TooManyRequests"),
    b"e0000500": Effect("status", 500, "InternalServerError"),
    b"e0000503": Effect("status", 503, "ServiceUnavailable"),
    b"e0005030": Effect("empty", 503),
    b"ba5e0001": Effect("never"),
    b"ba5e0007": Effect("reset", error_code=f.REFUSED_STREAM),
}
_HEADS: Final = frozenset(prefix[:4] for prefix in _EXACT) | {b"5100", b"f1a0"}


def effect_of(token: bytes) -> Effect | None:
    """`5100` + 4 decimal digits waits that many ms, `f1a0` + 4 decimal digits fails that often first."""
    head = token[:4]
    if head not in _HEADS:
        return None
    effect = _EXACT.get(token[:8])
    if effect is None and (digits := token[4:8]).isdigit() and len(digits) == 4:
        if head == b"5100":
            return Effect("latency", delay_seconds=int(digits) / 1000)
        if head == b"f1a0":
            return Effect("fail", 503, "ServiceUnavailable", count=int(digits))
    return effect
