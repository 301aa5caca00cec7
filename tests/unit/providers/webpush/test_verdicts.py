from __future__ import annotations

import pytest

from pushcast.http2.request import Kind, Response
from pushcast.providers.verdict import Remedy
from pushcast.providers.webpush.verdicts import ROWS, judge
from pushcast.simulators.webpush.personalities import PERSONALITIES, refusal


def answer(status: int, body: bytes = b"", *headers: tuple[bytes, bytes]) -> Response:
    return Response(Kind.ANSWERED, status, headers, body)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b"", ("accepted", None)),
        (201, b"", ("accepted", None)),
        (202, b"", ("accepted", None)),
        (204, b"", ("accepted", None)),
        (299, b"", ("accepted", None)),
        (300, b"", ("retry", "provider_error")),
        (400, b"", ("rejected", "bad_request")),
        (400, b'{"reason":"VapidPkHashMismatch"}', ("invalid", "vapid_key_mismatch")),
        (400, b"UnauthorizedRegistration", ("invalid", "vapid_key_mismatch")),
        (400, b"Message too large", ("rejected", "payload_too_large")),
        (401, b'{"code":401,"errno":109,"message":"x"}', ("credential", "credential_refused")),
        (401, b'{"errno":109,"message":"VAPID public key mismatch"}', ("invalid", "vapid_key_mismatch")),
        (403, b'{"reason":"BadJwtToken"}', ("credential", "credential_refused")),
        (403, b"the VAPID credentials do not correspond to", ("invalid", "vapid_key_mismatch")),
        (404, b'{"errno":102}', ("invalid", "device_unregistered")),
        (410, b"", ("invalid", "device_unregistered")),
        (406, b"", ("retry", "rate_limited")),
        (429, b"", ("retry", "rate_limited")),
        (413, b'{"errno":104}', ("rejected", "payload_too_large")),
        (301, b"", ("rejected", "redirect_refused")),
        (307, b"", ("rejected", "redirect_refused")),
        (418, b"", ("retry", "provider_error")),
        (500, b"", ("retry", "provider_error")),
        (502, b"<html>", ("retry", "provider_unavailable")),
        (503, b"", ("retry", "provider_unavailable")),
    ],
)
def test_answers_have_the_verdicts_of_the_table(status: int, body: bytes, expected: tuple[str, str | None]) -> None:
    verdict = judge(answer(status, body), 0, listed=True)
    assert (verdict.disposition.value, verdict.reason) == expected


def test_retry_after_goes_before_our_own_delay() -> None:
    named = answer(429, b"", (b"retry-after", b"7"))
    assert judge(named, 0, listed=True).retry_after_seconds == 7.0
    assert judge(answer(429), 0, listed=True).retry_after_seconds == 60.0


def test_mozilla_says_which_503_may_be_repeated_at_once() -> None:
    waits = [judge(answer(503, b'{"errno":%d}' % errno), 0, listed=True).retry_after_seconds for errno in (201, 202)]
    assert waits == [10.0, 0.0]


def test_an_expired_token_is_renewed() -> None:
    assert judge(answer(403, b'{"reason":"ExpiredJwtToken"}'), 0, listed=True).remedy is Remedy.REFRESH


def test_a_service_that_nobody_listed_cannot_pause_an_app() -> None:
    for status in (401, 403):
        verdict = judge(answer(status, b"expired"), 0, listed=False)
        assert (verdict.disposition.value, verdict.reason) == ("rejected", "credential_refused")
        assert verdict.remedy is Remedy.NONE


@pytest.mark.parametrize("personality", PERSONALITIES)
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("gone", "invalid"),
        ("unknown", "invalid"),
        ("too_large", "rejected"),
        ("throttled", "retry"),
        ("internal", "retry"),
    ],
)
def test_every_service_is_understood_in_its_own_words(personality: str, fault: str, expected: str) -> None:
    refused = refusal(personality, fault)
    assert refused is not None
    if (personality, fault) == ("fcm", "too_large"):
        assert refused.status == 400
    assert judge(answer(refused.status, refused.body), 0, listed=True).disposition.value == expected


def test_a_request_without_an_answer_is_judged_as_everywhere() -> None:
    assert judge(Response(Kind.DEADLINE), 0, listed=True).disposition.value == "unknown"
    assert judge(Response(Kind.UNSENT, fault="deadline"), 0, listed=True).reason == "not_sent_in_time"


def test_each_row_has_its_source() -> None:
    assert all(row.source and row.answer for row in ROWS)
