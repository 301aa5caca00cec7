"""Verdicts by what a registration token begins with, so that a test needs no rules."""

from __future__ import annotations

import re
from typing import Final

from pushcast.http2 import frames as f
from pushcast.simulators.effects import Effect

_EXACT: Final[dict[bytes, Effect]] = {
    b"unreg": Effect("status", 404, "UNREGISTERED"),
    b"apns410": Effect("status", 400, "apns410"),
    b"badarg": Effect("status", 400, "INVALID_ARGUMENT"),
    b"mismatch": Effect("status", 403, "SENDER_ID_MISMATCH"),
    b"quota": Effect("status", 429, "QUOTA_EXCEEDED", retry_after="60"),
    b"quotabare": Effect("status", 429, "QUOTA_EXCEEDED"),
    b"unavail": Effect("status", 503, "UNAVAILABLE", retry_after="10"),
    b"internal": Effect("status", 500, "INTERNAL"),
    b"html502": Effect("html", 502),
    b"thirdparty": Effect("status", 401, "THIRD_PARTY_AUTH_ERROR"),
    b"never": Effect("never"),
    b"refused": Effect("reset", error_code=f.REFUSED_STREAM),
}
_COUNTED: Final = re.compile(rb"(slow|fail)(\d{1,6}):")


def effect_of(token: bytes) -> Effect | None:
    """The word before the first colon; `slow500:` waits that many ms, `fail2:` is unavailable twice."""
    head, colon, _ = token[:16].partition(b":")
    if not colon:
        return None
    effect = _EXACT.get(head)
    if effect is None and head[:4] in {b"slow", b"fail"}:
        counted = _COUNTED.match(token)
        if counted is not None and counted[1] == b"slow":
            return Effect("latency", delay_seconds=int(counted[2]) / 1000)
        if counted is not None:
            return Effect("fail", 503, "UNAVAILABLE", count=int(counted[2]))
    return effect
