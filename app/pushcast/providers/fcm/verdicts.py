"""What FCM's answers mean: `error.details[]` decides, the HTTP status alone does not.

Error codes: https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode; advice on each:
https://firebase.google.com/docs/cloud-messaging/error-codes. A dead iOS device behind FCM comes as 400 with an
ApnsError (observed; not documented by Google).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import orjson

from pushcast.http2.request import Kind, Response
from pushcast.model.words import Reason
from pushcast.providers.apns import verdicts as apns
from pushcast.providers.port import Disposition
from pushcast.providers.verdict import Remedy, Row, Verdict, retry_after_seconds, unanswered, verdict_of

_CODES: Final = "https://firebase.google.com/docs/cloud-messaging/error-codes"
_SCALE: Final = "https://firebase.google.com/docs/cloud-messaging/scale-fcm"
_SEEN: Final = "observed"
# Google: wait at least 10 s before the first retry; a minute after a 429 without Retry-After.
AFTER_SERVER_ERROR_SECONDS: Final = 10.0
AFTER_QUOTA_SECONDS: Final = 60.0

UNREGISTERED: Final = Row("UNREGISTERED", (404,), Disposition.INVALID, str(Reason.DEVICE_UNREGISTERED), source=_CODES)
MALFORMED: Final = Row(
    "INVALID_ARGUMENT, field message.token or message.fid, or 'not a valid FCM registration token'",
    (400,),
    Disposition.INVALID,
    str(Reason.TOKEN_MALFORMED),
    source=_CODES,
)
BEHIND_FCM: Final = Row(
    "INVALID_ARGUMENT with ApnsError",
    (400,),
    Disposition.INVALID,
    "as APNs' own reason",
    note="an iOS device behind FCM: judged by the table of APNs; a credential there is the key in Firebase:"
    " `retry` as THIRD_PARTY_AUTH_ERROR",
    source=_SEEN,
)
TOO_LARGE: Final = Row(
    "INVALID_ARGUMENT, 'too big'", (400,), Disposition.REJECTED, str(Reason.PAYLOAD_TOO_LARGE), source=_SEEN
)
INVALID_ARGUMENT: Final = Row(
    "INVALID_ARGUMENT, other fields or none",
    (400,),
    Disposition.REJECTED,
    str(Reason.BAD_REQUEST),
    note="an oversized message answers without details",
    source=_CODES,
)
THIRD_PARTY: Final = Row(
    "THIRD_PARTY_AUTH_ERROR, APNS_AUTH_ERROR",
    (401,),
    Disposition.RETRY,
    "third_party_credential_refused",
    retry_after_seconds=AFTER_QUOTA_SECONDS,
    note="the app's APNs or VAPID key in Firebase: concerns this iOS or web target, Android targets work",
    source=_CODES,
)
UNAUTHENTICATED: Final = Row(
    "none", (401,), Disposition.CREDENTIAL, str(Reason.CREDENTIAL_REFUSED), Remedy.REFRESH, source=_CODES
)
SENDER_ID_MISMATCH: Final = Row(
    "SENDER_ID_MISMATCH",
    (403,),
    Disposition.INVALID,
    "token_of_other_project",
    note="many at once: wrong project",
    source=_CODES,
)
FORBIDDEN: Final = Row(
    "none", (403,), Disposition.CREDENTIAL, str(Reason.CREDENTIAL_REFUSED), note="API disabled, IAM", source=_CODES
)
NOT_FOUND: Final = Row(
    "HTML, empty or without details",
    (404,),
    Disposition.RETRY,
    "project_unknown",
    retry_after_seconds=AFTER_SERVER_ERROR_SECONDS,
    note="of one token: that token's; of many and nothing taken between: project_id or endpoint is wrong, the breaker",
    source=_SEEN,
)
NO_DETAILS: Final = Row(
    "HTML or empty",
    (401, 403),
    Disposition.RETRY,
    "answer_without_details",
    retry_after_seconds=AFTER_SERVER_ERROR_SECONDS,
    note="no answer of FCM's own; counts as the 404 does",
    source=_SEEN,
)
QUOTA: Final = Row(
    "QUOTA_EXCEEDED",
    (429,),
    Disposition.RETRY,
    str(Reason.RATE_LIMITED),
    retry_after_seconds=AFTER_QUOTA_SECONDS,
    note="project, device or topic rate",
    source=_SCALE,
)
INTERNAL: Final = Row(
    "INTERNAL",
    (500,),
    Disposition.RETRY,
    str(Reason.PROVIDER_ERROR),
    retry_after_seconds=AFTER_SERVER_ERROR_SECONDS,
    source=_CODES,
)
UNAVAILABLE: Final = Row(
    "UNAVAILABLE",
    (503,),
    Disposition.RETRY,
    str(Reason.PROVIDER_UNAVAILABLE),
    retry_after_seconds=AFTER_SERVER_ERROR_SECONDS,
    note="a Retry-After that is not obeyed may get the project denied",
    source=_CODES,
)
GATEWAY: Final = Row(
    "HTML or none",
    (502, 504),
    Disposition.RETRY,
    str(Reason.PROVIDER_UNAVAILABLE),
    retry_after_seconds=AFTER_SERVER_ERROR_SECONDS,
    source=_SEEN,
)
OTHER_REQUEST: Final = Row(
    "another 4xx", (405, 411, 413, 414, 415), Disposition.REJECTED, str(Reason.BAD_REQUEST), source=_SEEN
)
ANYTHING_ELSE: Final = Row(
    "anything else, UNSPECIFIED_ERROR",
    (),
    Disposition.RETRY,
    str(Reason.PROVIDER_ERROR),
    retry_after_seconds=AFTER_SERVER_ERROR_SECONDS,
    source=_CODES,
)
ROWS: Final = (
    UNREGISTERED,
    MALFORMED,
    BEHIND_FCM,
    TOO_LARGE,
    INVALID_ARGUMENT,
    THIRD_PARTY,
    UNAUTHENTICATED,
    SENDER_ID_MISMATCH,
    FORBIDDEN,
    NOT_FOUND,
    NO_DETAILS,
    QUOTA,
    INTERNAL,
    UNAVAILABLE,
    GATEWAY,
    OTHER_REQUEST,
    ANYTHING_ELSE,
)
_TOKEN_FIELDS: Final = frozenset(("message.token", "message.fid"))
_ACCEPTED: Final = Verdict(Disposition.ACCEPTED, None)
_BY_STATUS: Final = {429: QUOTA, 500: INTERNAL, 502: GATEWAY, 503: UNAVAILABLE, 504: GATEWAY} | dict.fromkeys(
    OTHER_REQUEST.statuses, OTHER_REQUEST
)


class Details(NamedTuple):
    """What `error.details[]` says, as far as it decides anything."""

    code: str | None = None
    apns_reason: str | None = None
    fields: frozenset[str] = frozenset()
    retry_after_seconds: float | None = None
    message: str = ""
    is_json: bool = False


def judge(response: Response, now_ms: int) -> Verdict:
    """The verdict on what became of one request."""
    if response.kind is not Kind.ANSWERED:
        return unanswered(response)
    if response.status == 200:
        return _ACCEPTED
    details = read(response.body)
    after = retry_after_seconds(response.header(b"retry-after"), now_ms)
    if after is None:
        after = details.retry_after_seconds
    if response.status == 400 and details.apns_reason is not None:
        behind = apns.BY_ANSWER.get(details.apns_reason)
        if behind is not None:
            if behind.disposition is Disposition.CREDENTIAL:
                return verdict_of(THIRD_PARTY, retry_after_seconds=after)
            # The connection to APNs and its token are Google's: no remedy of ours.
            return verdict_of(behind, retry_after_seconds=after)._replace(remedy=Remedy.NONE)
    return verdict_of(_row(response.status, details), retry_after_seconds=after)


def _row(status: int, details: Details) -> Row:
    code = details.code
    if status == 400:
        if not details.is_json:
            return ANYTHING_ELSE
        if details.fields & _TOKEN_FIELDS or "not a valid FCM registration token" in details.message:
            return MALFORMED
        return TOO_LARGE if "too big" in details.message else INVALID_ARGUMENT
    if status in NO_DETAILS.statuses and not details.is_json:
        return NO_DETAILS
    if status == 401:
        return THIRD_PARTY if code in {"THIRD_PARTY_AUTH_ERROR", "APNS_AUTH_ERROR"} else UNAUTHENTICATED
    if status == 403:
        return SENDER_ID_MISMATCH if code == "SENDER_ID_MISMATCH" else FORBIDDEN
    if status == 404:
        return UNREGISTERED if code == "UNREGISTERED" else NOT_FOUND
    return _BY_STATUS.get(status, ANYTHING_ELSE)


def read(body: bytes) -> Details:
    """Details of an error body; whatever is not as documented counts as absent."""
    try:
        answer: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Details()
    error = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return Details()
    code = apns_reason = retry = None
    fields: set[str] = set()
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        kind = str(detail.get("@type", "")).rpartition(".")[2] if isinstance(detail, dict) else ""
        if kind == "FcmError":
            code = _text(detail.get("errorCode"))
        elif kind == "ApnsError":
            apns_reason = _text(detail.get("reason"))
        elif kind == "BadRequest":
            violations = detail.get("fieldViolations")
            for violation in violations if isinstance(violations, list) else ():
                if isinstance(violation, dict):
                    fields.add(str(violation.get("field")))
        elif kind == "RetryInfo":
            retry = _seconds(detail.get("retryDelay"))
    return Details(code, apns_reason, frozenset(fields), retry, str(error.get("message", "")), True)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _seconds(value: object) -> float | None:
    """A protobuf Duration in JSON, such as `3.5s`."""
    if not isinstance(value, str) or not value.endswith("s"):
        return None
    try:
        seconds = float(value[:-1])
    except ValueError:
        return None
    return min(seconds, 86_400.0) if seconds >= 0 else None
