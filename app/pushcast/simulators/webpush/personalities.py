"""How the push services word the same refusal.

Sources: Mozilla autopush-rs `docs/src/errors.md`; Apple "Sending web push notifications"; Google's FCM and Microsoft's
WNS as observed (providers.md §4).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

PERSONALITIES: Final = ("mozilla", "fcm", "apple", "wns")


@dataclass(frozen=True, slots=True)
class Refusal:
    """`status` and body per service. `retry_after` goes into the header of the same name."""

    status: int
    body: bytes
    content_type: bytes
    label: str
    retry_after: str | None = None


# fault → (Mozilla status, errno), FCM status, Apple (status, reason), WNS status
_FAULTS: Final[dict[str, tuple[tuple[int, int], int, tuple[int, str], int]]] = {
    "no_vapid": ((401, 109), 401, (403, "BadJwtToken"), 401),
    "bad_vapid": ((401, 109), 403, (403, "BadJwtToken"), 401),
    "expired_vapid": ((401, 109), 403, (403, "ExpiredJwtToken"), 401),
    "bad_subject": ((0, 0), 0, (403, "BadJwtToken"), 0),
    "wrong_key": ((401, 109), 403, (400, "VapidPkHashMismatch"), 403),
    "no_ttl": ((400, 111), 400, (400, "BadTtl"), 400),
    "bad_ttl": ((400, 112), 400, (400, "BadTtl"), 400),
    "bad_topic": ((400, 113), 400, (400, "BadWebPushTopic"), 400),
    "bad_urgency": ((400, 110), 400, (400, "BadUrgency"), 400),
    "bad_encoding": ((400, 110), 400, (400, "BadContentEncoding"), 400),
    "too_large": ((413, 104), 400, (413, "PayloadTooLarge"), 413),
    "gone": ((410, 103), 410, (410, "Unregistered"), 410),
    "unknown": ((404, 102), 404, (410, "Unregistered"), 404),
    "throttled": ((429, 0), 429, (429, "TooManyRequests"), 406),
    "unavailable": ((503, 201), 503, (503, "ServiceUnavailable"), 503),
    "internal": ((500, 999), 500, (500, "InternalServerError"), 500),
}
_BY_STATUS: Final = {
    400: "bad_ttl",
    401: "no_vapid",
    403: "wrong_key",
    404: "unknown",
    406: "throttled",
    410: "gone",
    413: "too_large",
    429: "throttled",
    503: "unavailable",
}


def refusal(personality: str, fault: str, *, retry_after: str | None = None) -> Refusal | None:
    """None where this service does not mind."""
    (mozilla, errno), fcm, (apple, reason), wns = _FAULTS[fault]
    if personality == "mozilla":
        if not mozilla:
            return None
        error = {"code": mozilla, "errno": errno, "error": HTTPStatus(mozilla).phrase, "message": fault}
        return Refusal(mozilla, json.dumps(error).encode(), b"application/json", f"{mozilla} {errno}", retry_after)
    if personality == "apple":
        body = json.dumps({"reason": reason}).encode()
        return Refusal(apple, body, b"application/json", f"{apple} {reason}", retry_after)
    status = fcm if personality == "fcm" else wns
    if not status:
        return None
    text = _FCM_TEXT.get(fault, HTTPStatus(status).phrase) if personality == "fcm" else HTTPStatus(status).phrase
    return Refusal(status, text.encode() + b"\n", b"text/plain; charset=utf-8", f"{status} {fault}", retry_after)


def by_status(status: int) -> str:
    """The fault that a scripted status stands for."""
    return _BY_STATUS.get(status, "internal")


_FCM_TEXT: Final = {
    "wrong_key": "the VAPID credentials in the authorization header do not correspond to the credentials used to"
    " create the subscriptions.",
    "no_vapid": "A valid push subscription endpoint should be specified in the URL.",
    "bad_vapid": "crypto-key header had invalid format.",
    "expired_vapid": "the JWT has expired.",
    "gone": "push subscription has unsubscribed or expired.",
}
