"""What push services' answers mean. They share RFC 8030's statuses; bodies differ, and decide where a status does not.

Mozilla: https://mozilla-services.github.io/autopush-rs/errors.html. Apple:
https://developer.apple.com/documentation/usernotifications/sending-web-push-notifications-in-web-apps-and-browsers.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from pushcast.http2.request import Kind, Response
from pushcast.model.words import Reason
from pushcast.providers.port import Disposition
from pushcast.providers.verdict import Remedy, Row, Verdict, retry_after_seconds, unanswered, verdict_of

_RFC8030: Final = "RFC 8030 §5"
_MOZILLA: Final = "https://mozilla-services.github.io/autopush-rs/errors.html"
_APPLE: Final = (
    "https://developer.apple.com/documentation/usernotifications/"
    "sending-web-push-notifications-in-web-apps-and-browsers"
)
_SEEN: Final = "observed"
# RFC 8030 names 201 and 202, but services answer with 200 and 204, too: any 2xx means that the push was taken
# (UnifiedPush/specifications#25). Which it was stands in the receipt.
ACCEPTED_STATUSES: Final = range(200, 300)
AFTER_THROTTLE_SECONDS: Final = 60.0
AFTER_SERVER_ERROR_SECONDS: Final = 10.0
_REFUSED: Final = str(Reason.CREDENTIAL_REFUSED)

KEY_MISMATCH: Final = Row(
    "VapidPkHashMismatch; UnauthorizedRegistration; 'do not correspond'; 'public key mismatch'",
    (400, 401, 403),
    Disposition.INVALID,
    "vapid_key_mismatch",
    note="the subscription was made with another VAPID key: the browser must subscribe again; many at once from "
    "listed services: `credential` with `mass_invalid_tokens`",
    source=_APPLE,
)
EXPIRED: Final = Row(
    "ExpiredJwtToken, 'expired'",
    (401, 403),
    Disposition.CREDENTIAL,
    _REFUSED,
    Remedy.REFRESH,
    note="once, unless the token was just made: then a clock is wrong",
    source=_APPLE,
)
UNAUTHORIZED: Final = Row(
    "BadJwtToken, errno 109, another or none",
    (401, 403),
    Disposition.CREDENTIAL,
    _REFUSED,
    note="subject, audience or signature; from a service the operator did not list: `rejected`",
    source=_MOZILLA,
)
TOO_LARGE: Final = Row(
    "PayloadTooLarge, errno 104, 'too large'",
    (400, 413),
    Disposition.REJECTED,
    str(Reason.PAYLOAD_TOO_LARGE),
    note="FCM answers 400; bridged services may take 2,744 bytes only",
    source=_MOZILLA,
)
BAD_REQUEST: Final = Row("another or none", (400,), Disposition.REJECTED, str(Reason.BAD_REQUEST), source=_RFC8030)
GONE: Final = Row(
    "any (Mozilla errno 102, 103, 105, 106)",
    (404, 410),
    Disposition.INVALID,
    str(Reason.DEVICE_UNREGISTERED),
    source=_RFC8030,
)
THROTTLED: Final = Row(
    "any",
    (406, 429),
    Disposition.RETRY,
    str(Reason.RATE_LIMITED),
    retry_after_seconds=AFTER_THROTTLE_SECONDS,
    note="406 is how Windows throttles",
    source=_RFC8030,
)
REDIRECT: Final = Row(
    "any",
    (301, 302, 303, 307, 308),
    Disposition.REJECTED,
    "redirect_refused",
    note="never followed: it could lead into our own network",
    source=_SEEN,
)
AT_ONCE: Final = Row(
    "errno 202",
    (503,),
    Disposition.RETRY,
    str(Reason.PROVIDER_UNAVAILABLE),
    retry_after_seconds=0.0,
    source=_MOZILLA,
)
UNAVAILABLE: Final = Row(
    "any (Mozilla errno 201, 900 to 903)",
    (502, 503, 504),
    Disposition.RETRY,
    str(Reason.PROVIDER_UNAVAILABLE),
    retry_after_seconds=AFTER_SERVER_ERROR_SECONDS,
    source=_MOZILLA,
)
OTHER_REQUEST: Final = Row(
    "another 4xx", (405, 411, 414, 415, 422), Disposition.REJECTED, str(Reason.BAD_REQUEST), source=_SEEN
)
ANYTHING_ELSE: Final = Row(
    "anything else",
    (),
    Disposition.RETRY,
    str(Reason.PROVIDER_ERROR),
    retry_after_seconds=AFTER_SERVER_ERROR_SECONDS,
    source=_RFC8030,
)
ROWS: Final = (
    KEY_MISMATCH,
    EXPIRED,
    UNAUTHORIZED,
    TOO_LARGE,
    BAD_REQUEST,
    GONE,
    THROTTLED,
    REDIRECT,
    AT_ONCE,
    UNAVAILABLE,
    OTHER_REQUEST,
    ANYTHING_ELSE,
)
_BY_STATUS: Final = {
    status: row for row in (GONE, THROTTLED, REDIRECT, UNAVAILABLE, OTHER_REQUEST) for status in row.statuses
}
_MISMATCHES: Final = ("vapidpkhashmismatch", "unauthorizedregistration", "do not correspond", "public key mismatch")
_ACCEPTED: Final = Verdict(Disposition.ACCEPTED, None)


def judge(response: Response, now_ms: int, *, listed: bool) -> Verdict:
    """The verdict on what became of one request.

    `listed`: the operator named this service. Another's word about our credential is a matter of that subscription
    alone, or anybody could pause an app by subscribing with an endpoint of his own.
    """
    if response.kind is not Kind.ANSWERED:
        return unanswered(response)
    if response.status in ACCEPTED_STATUSES:
        return _ACCEPTED
    row = _row(response.status, response.body)
    verdict = verdict_of(row, retry_after_seconds=retry_after_seconds(response.header(b"retry-after"), now_ms))
    if verdict.disposition is Disposition.CREDENTIAL and not listed:
        return verdict._replace(disposition=Disposition.REJECTED, remedy=Remedy.NONE)
    return verdict


def _row(status: int, body: bytes) -> Row:
    if status in {400, 401, 403}:
        text = body.decode("utf-8", "replace").lower()
        if any(words in text for words in _MISMATCHES):
            return KEY_MISMATCH
        if status == 400:
            return TOO_LARGE if "toolarge" in text or "too large" in text or "too big" in text else BAD_REQUEST
        return EXPIRED if "expired" in text else UNAUTHORIZED
    if status == 413:
        return TOO_LARGE
    if status == 503 and _errno(body) == 202:
        return AT_ONCE
    return _BY_STATUS.get(status, ANYTHING_ELSE)


def _errno(body: bytes) -> int | None:
    try:
        error: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    errno = error.get("errno") if isinstance(error, dict) else None
    return errno if isinstance(errno, int) else None
