from __future__ import annotations

from typing import Any

import orjson
import pytest

from pushcast.http2.request import Kind, Response
from pushcast.providers.fcm.verdicts import ROWS, judge
from pushcast.providers.port import Disposition as D
from pushcast.providers.verdict import Remedy

NOW_MS = 1_800_000_000_000
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
APNS_ERROR = "type.googleapis.com/google.firebase.fcm.v1.ApnsError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"


def answer(
    status: int, *details: dict[str, Any], message: str = "", headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Response:
    error = {"code": status, "message": message, "status": "X", "details": list(details)}
    return Response(Kind.ANSWERED, status, headers, orjson.dumps({"error": error}))


def fcm(code: str) -> dict[str, Any]:
    return {"@type": FCM_ERROR, "errorCode": code}


def apns(status: int, reason: str) -> dict[str, Any]:
    return {"@type": APNS_ERROR, "statusCode": status, "reason": reason}


def field(name: str) -> dict[str, Any]:
    return {"@type": BAD_REQUEST, "fieldViolations": [{"field": name, "description": "d"}]}


NOT_A_TOKEN = "The registration token is not a valid FCM registration token"


@pytest.mark.parametrize(
    ("response", "disposition", "reason"),
    [
        (answer(404, fcm("UNREGISTERED")), D.INVALID, "device_unregistered"),
        (answer(404), D.RETRY, "project_unknown"),
        (Response(Kind.ANSWERED, 404, (), b""), D.RETRY, "project_unknown"),
        (Response(Kind.ANSWERED, 404, (), b"<html>"), D.RETRY, "project_unknown"),
        (Response(Kind.ANSWERED, 403, (), b"<html>"), D.RETRY, "answer_without_details"),
        (Response(Kind.ANSWERED, 401, (), b""), D.RETRY, "answer_without_details"),
        (answer(400, fcm("INVALID_ARGUMENT"), field("message.token")), D.INVALID, "token_malformed"),
        (answer(400, fcm("INVALID_ARGUMENT"), field("message.fid")), D.INVALID, "token_malformed"),
        (answer(400, fcm("INVALID_ARGUMENT"), message=NOT_A_TOKEN), D.INVALID, "token_malformed"),
        (answer(400, fcm("INVALID_ARGUMENT"), apns(410, "Unregistered")), D.INVALID, "device_unregistered"),
        (answer(400, fcm("INVALID_ARGUMENT"), apns(400, "BadDeviceToken")), D.INVALID, "token_refused"),
        (answer(400, fcm("INVALID_ARGUMENT"), apns(400, "DeviceTokenNotForTopic")), D.INVALID, "token_not_for_topic"),
        (answer(400, fcm("INVALID_ARGUMENT"), apns(413, "PayloadTooLarge")), D.REJECTED, "payload_too_large"),
        (answer(400, fcm("INVALID_ARGUMENT"), apns(400, "Unheard")), D.REJECTED, "bad_request"),
        (answer(400, fcm("INVALID_ARGUMENT"), field("message.data[0].value")), D.REJECTED, "bad_request"),
        (answer(400, message="Android message is too big"), D.REJECTED, "payload_too_large"),
        (answer(400), D.REJECTED, "bad_request"),
        (answer(401), D.CREDENTIAL, "credential_refused"),
        (answer(401, fcm("THIRD_PARTY_AUTH_ERROR")), D.RETRY, "third_party_credential_refused"),
        (answer(401, fcm("APNS_AUTH_ERROR")), D.RETRY, "third_party_credential_refused"),
        (answer(403, fcm("SENDER_ID_MISMATCH")), D.INVALID, "token_of_other_project"),
        (answer(403), D.CREDENTIAL, "credential_refused"),
        (answer(429, fcm("QUOTA_EXCEEDED")), D.RETRY, "rate_limited"),
        (answer(500, fcm("INTERNAL")), D.RETRY, "provider_error"),
        (answer(503, fcm("UNAVAILABLE")), D.RETRY, "provider_unavailable"),
        (answer(504), D.RETRY, "provider_unavailable"),
        (Response(Kind.ANSWERED, 502, (), b"<html>bad gateway</html>"), D.RETRY, "provider_unavailable"),
        (Response(Kind.ANSWERED, 400, (), b"<html>"), D.RETRY, "provider_error"),
        (answer(418, fcm("UNSPECIFIED_ERROR")), D.RETRY, "provider_error"),
        (Response(Kind.DEADLINE), D.UNKNOWN, "unknown_outcome"),
        (Response(Kind.REFUSED), D.UNSENT, "stream_refused"),
    ],
)
def test_details_decide_what_an_answer_means(response: Response, disposition: D, reason: str) -> None:
    assert judge(response, NOW_MS)[:2] == (disposition, reason)


def test_only_our_own_token_is_refreshed() -> None:
    assert judge(answer(401), NOW_MS).remedy is Remedy.REFRESH
    assert judge(answer(401, fcm("THIRD_PARTY_AUTH_ERROR")), NOW_MS).remedy is Remedy.NONE
    behind = answer(400, fcm("INVALID_ARGUMENT"), apns(403, "ExpiredProviderToken"))
    assert judge(behind, NOW_MS)[:3] == (D.RETRY, "third_party_credential_refused", Remedy.NONE)


@pytest.mark.parametrize(
    ("response", "seconds"),
    [
        (answer(429), 60.0),
        (answer(429, headers=((b"retry-after", b"5"),)), 5.0),
        (answer(429, {"@type": RETRY_INFO, "retryDelay": "3.5s"}), 3.5),
        (answer(429, {"@type": RETRY_INFO, "retryDelay": "soon"}), 60.0),
        (answer(503), 10.0),
        (answer(503, headers=((b"retry-after", b"30"),)), 30.0),
        (answer(500), 10.0),
    ],
)
def test_the_wait_is_the_answers_own_or_what_google_advises(response: Response, seconds: float) -> None:
    assert judge(response, NOW_MS).retry_after_seconds == seconds


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'{"error":7}', b'{"error":{"details":7}}', b'{"error":{"details":[7,{"@type":1}]}}'],
)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 429, 500])
def test_an_answer_that_is_not_understood_never_costs_a_token(status: int, body: bytes) -> None:
    assert judge(Response(Kind.ANSWERED, status, (), body), NOW_MS).disposition is not D.INVALID


def test_every_row_has_a_source() -> None:
    assert all(row.source for row in ROWS)
    assert len({(row.answer, row.statuses) for row in ROWS}) == len(ROWS)
