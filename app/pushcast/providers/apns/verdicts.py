"""What APNs' answers mean.

Reasons and statuses: https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns
Rows marked "seen" are not documented by Apple but were observed.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from pushcast.http2.request import Kind, Response
from pushcast.model.words import Reason
from pushcast.providers.port import Disposition
from pushcast.providers.verdict import Remedy, Row, Verdict, retry_after_seconds, unanswered, verdict_of

#: The last millisecond of the year 9999. A later one is no time, and no row could hold it.
_LAST_MS: Final = 253_402_300_799_999

_APPLE: Final = "https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns"
_CHANNELS: Final = "https://developer.apple.com/documentation/usernotifications/handling-error-responses-from-broadcast-push-notifications"
# Apple: "retry 5xx after 15 minutes, with back-off".
AFTER_SERVER_ERROR_SECONDS: Final = 900.0
AFTER_TOO_MANY_REQUESTS_SECONDS: Final = 60.0

_REJECTED, _CREDENTIAL = Disposition.REJECTED, Disposition.CREDENTIAL
_BAD_REQUEST, _REFUSED = str(Reason.BAD_REQUEST), str(Reason.CREDENTIAL_REFUSED)
_TOPIC_REFUSED: Final = "topic_refused"
#: A token of the app refused under another topic than the app's own: it is good for what it was made for.
NOT_FOR_PUSH_TYPE: Final = "token_not_for_push_type"
_OF_SUFFIXED: Final = "of a topic with a suffix (voip, complication ...): `rejected`"


def _row(
    answer: str,
    status: int,
    disposition: Disposition,
    reason: str,
    remedy: Remedy = Remedy.NONE,
    after: float | None = None,
    note: str = "",
    source: str = _APPLE,
) -> Row:
    return Row(answer, (status,), disposition, str(reason), remedy, after, note, source)


ROWS: Final[tuple[Row, ...]] = (
    _row(
        "BadDeviceToken",
        400,
        Disposition.INVALID,
        "token_refused",
        note="or a token of the other environment: many at once are a configuration error",
    ),
    _row(
        "DeviceTokenNotForTopic",
        400,
        Disposition.INVALID,
        "token_not_for_topic",
        note=f"many at once: wrong topic; {_OF_SUFFIXED} with `{NOT_FOR_PUSH_TYPE}`: the token is kept",
    ),
    _row("BadCollapseId", 400, _REJECTED, _BAD_REQUEST),
    _row("BadExpirationDate", 400, _REJECTED, _BAD_REQUEST),
    _row("BadMessageId", 400, _REJECTED, _BAD_REQUEST),
    _row("BadPriority", 400, _REJECTED, _BAD_REQUEST),
    _row("InvalidPushType", 400, _REJECTED, _BAD_REQUEST),
    _row("PayloadEmpty", 400, _REJECTED, _BAD_REQUEST),
    _row("DuplicateHeaders", 400, _REJECTED, _BAD_REQUEST),
    _row("BadTopic", 400, _CREDENTIAL, _TOPIC_REFUSED, note=_OF_SUFFIXED),
    _row("MissingTopic", 400, _CREDENTIAL, _TOPIC_REFUSED, note=_OF_SUFFIXED),
    _row("TopicDisallowed", 400, _CREDENTIAL, _TOPIC_REFUSED, note=_OF_SUFFIXED),
    _row("MissingDeviceToken", 400, _REJECTED, _BAD_REQUEST),
    _row("IdleTimeout", 400, Disposition.RETRY, Reason.CONNECTION_FAILED, Remedy.ELSEWHERE, 0.0),
    _row(
        "ExpiredProviderToken",
        403,
        _CREDENTIAL,
        _REFUSED,
        Remedy.REFRESH,
        note="the connection stays stuck with the old token: it is replaced",
    ),
    _row("InvalidProviderToken", 403, _CREDENTIAL, _REFUSED),
    _row("MissingProviderToken", 403, _CREDENTIAL, _REFUSED),
    _row("BadEnvironmentKeyIdInToken", 403, _CREDENTIAL, _REFUSED, note="key of the other environment"),
    _row("BadEnvironmentKeyInToken", 403, _CREDENTIAL, _REFUSED, note="seen"),
    _row(
        "UnrelatedKeyIdInToken",
        403,
        Disposition.RETRY,
        "key_not_of_connection",
        Remedy.ELSEWHERE,
        0.0,
        note="a connection belongs to the key of its first push",
    ),
    _row("BadCertificate", 403, _CREDENTIAL, _REFUSED, Remedy.RECONNECT, note="a replaced file needs a new connection"),
    _row("BadCertificateEnvironment", 403, _CREDENTIAL, _REFUSED, Remedy.RECONNECT),
    _row("Forbidden", 403, _CREDENTIAL, _REFUSED),
    _row("BadPath", 404, _REJECTED, _BAD_REQUEST),
    _row("MethodNotAllowed", 405, _REJECTED, _BAD_REQUEST),
    _row(
        "Unregistered", 410, Disposition.INVALID, Reason.DEVICE_UNREGISTERED, note="unless registered after `timestamp`"
    ),
    _row("ExpiredToken", 410, Disposition.INVALID, "token_expired", note="unless registered after `timestamp`"),
    _row("PayloadTooLarge", 413, _REJECTED, Reason.PAYLOAD_TOO_LARGE),
    _row(
        "TooManyRequests",
        429,
        Disposition.RETRY,
        Reason.RATE_LIMITED,
        after=AFTER_TOO_MANY_REQUESTS_SECONDS,
        note="to this device",
    ),
    _row(
        "TooManyProviderTokenUpdates",
        429,
        Disposition.RETRY,
        "too_many_token_updates",
        Remedy.ELSEWHERE,
        AFTER_TOO_MANY_REQUESTS_SECONDS,
        note="a connection that is younger than the token; the token is kept: another would be one more update",
    ),
    _row("InternalServerError", 500, Disposition.RETRY, Reason.PROVIDER_ERROR, after=AFTER_SERVER_ERROR_SECONDS),
    _row(
        "ServiceUnavailable",
        503,
        Disposition.RETRY,
        Reason.PROVIDER_UNAVAILABLE,
        Remedy.RECONNECT,
        AFTER_SERVER_ERROR_SECONDS,
    ),
    _row(
        "Shutdown",
        503,
        Disposition.RETRY,
        Reason.PROVIDER_UNAVAILABLE,
        Remedy.RECONNECT,
        note="one server goes, others are there: the next try may come soon",
    ),
    _row("FeatureNotEnabled", 403, _CREDENTIAL, _REFUSED, note="broadcast", source=_CHANNELS),
    _row("MissingChannelId", 400, _REJECTED, _BAD_REQUEST, note="broadcast", source=_CHANNELS),
    _row("BadChannelId", 400, _REJECTED, "channel_gone", note="broadcast", source=_CHANNELS),
    _row("ChannelNotRegistered", 400, _REJECTED, "channel_gone", note="broadcast", source=_CHANNELS),
    _row("CannotCreateChannelConfig", 400, _REJECTED, _BAD_REQUEST, note="broadcast", source=_CHANNELS),
    _row("MissingPushType", 400, _REJECTED, _BAD_REQUEST, note="broadcast", source=_CHANNELS),
    _row("BadRequestParams", 400, _REJECTED, _BAD_REQUEST, note="broadcast", source=_CHANNELS),
    _row("BadRequestPayload", 400, _REJECTED, _BAD_REQUEST, note="broadcast", source=_CHANNELS),
    _row("TopicMismatch", 400, _REJECTED, "channel_gone", note="broadcast", source=_CHANNELS),
)
BY_ANSWER: Final = {row.answer: row for row in ROWS}

# Answers that no row knows, by status; an unknown answer never costs a token.
OTHER_ROWS: Final[tuple[Row, ...]] = (
    Row("another reason", (400, 404, 405), _REJECTED, _BAD_REQUEST, note="with a JSON reason"),
    Row("another reason", (403,), _CREDENTIAL, _REFUSED, note="with a JSON reason"),
    Row("another reason or none", (413,), _REJECTED, str(Reason.PAYLOAD_TOO_LARGE)),
    Row(
        "another reason or none",
        (429,),
        Disposition.RETRY,
        str(Reason.RATE_LIMITED),
        retry_after_seconds=AFTER_TOO_MANY_REQUESTS_SECONDS,
    ),
    Row(
        "another reason or none",
        (500, 502, 503, 504),
        Disposition.RETRY,
        str(Reason.PROVIDER_UNAVAILABLE),
        Remedy.RECONNECT,
        AFTER_SERVER_ERROR_SECONDS,
    ),
    Row("anything else", (), Disposition.RETRY, str(Reason.PROVIDER_ERROR), retry_after_seconds=60.0),
)
_OTHER: Final = {status: row for row in OTHER_ROWS for status in row.statuses}
_NEEDS_REASON: Final = frozenset((400, 403, 404, 405))
_ANYTHING_ELSE: Final = OTHER_ROWS[-1]
_ACCEPTED: Final = Verdict(Disposition.ACCEPTED, None)


# What says nothing about the app's own topic when it is said of another.
_SUFFIXED: Final = {
    "DeviceTokenNotForTopic": Verdict(_REJECTED, NOT_FOR_PUSH_TYPE),
    **dict.fromkeys(("BadTopic", "MissingTopic", "TopicDisallowed"), Verdict(_REJECTED, _TOPIC_REFUSED)),
}


def judge(response: Response, now_ms: int, *, own_topic: bool = True) -> Verdict:
    """The verdict on what became of one request. `own_topic`: it went to the app's topic, without a suffix."""
    if response.kind is not Kind.ANSWERED:
        return unanswered(response)
    status = response.status
    if status == 200:
        return _ACCEPTED
    error = _json_object(response.body)
    answer = error.get("reason")
    if not own_topic and isinstance(answer, str) and answer in _SUFFIXED:
        return _SUFFIXED[answer]
    row = BY_ANSWER.get(answer) if isinstance(answer, str) else None
    if row is None or (row.disposition is Disposition.INVALID and status not in row.statuses):
        row = _ANYTHING_ELSE if status in _NEEDS_REASON and answer is None else _row_of_status(status)
    since = error.get("timestamp") if status == 410 else None
    return verdict_of(
        row,
        retry_after_seconds=retry_after_seconds(response.header(b"retry-after"), now_ms),
        invalid_since=since if type(since) is int and 0 < since <= _LAST_MS else None,
    )


def _row_of_status(status: int) -> Row:
    return _OTHER.get(503 if status >= 500 else status, _ANYTHING_ELSE)


def _json_object(body: bytes) -> dict[str, Any]:
    """Empty when the body is no JSON object: edges answer with HTML, and a cut-off answer has half a body."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
