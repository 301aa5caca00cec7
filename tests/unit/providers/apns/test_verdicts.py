from __future__ import annotations

import orjson
import pytest

from pushcast.http2.request import Kind, Response
from pushcast.providers.apns.verdicts import BY_ANSWER, ROWS, judge
from pushcast.providers.port import Disposition as D
from pushcast.providers.verdict import Remedy

NOW_MS = 1_800_000_000_000


def answer(status: int, body: object = None, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Response:
    raw = body if isinstance(body, bytes) else orjson.dumps(body) if body is not None else b""
    return Response(Kind.ANSWERED, status, headers, raw)


def test_success_is_accepted_without_a_reason() -> None:
    assert judge(answer(200), NOW_MS)[:2] == (D.ACCEPTED, None)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.answer)
def test_every_documented_reason_has_the_verdict_of_its_row(row) -> None:
    verdict = judge(answer(row.statuses[0], {"reason": row.answer}), NOW_MS)
    assert verdict[:4] == (row.disposition, row.reason, row.remedy, row.retry_after_seconds)


@pytest.mark.parametrize(
    ("status", "reason", "disposition", "word"),
    [
        (400, "BadDeviceToken", D.INVALID, "token_refused"),
        (400, "DeviceTokenNotForTopic", D.INVALID, "token_not_for_topic"),
        (410, "Unregistered", D.INVALID, "device_unregistered"),
        (410, "ExpiredToken", D.INVALID, "token_expired"),
        (400, "BadTopic", D.CREDENTIAL, "topic_refused"),
        (413, "PayloadTooLarge", D.REJECTED, "payload_too_large"),
        (403, "InvalidProviderToken", D.CREDENTIAL, "credential_refused"),
        (403, "BadEnvironmentKeyInToken", D.CREDENTIAL, "credential_refused"),
        (429, "TooManyRequests", D.RETRY, "rate_limited"),
        (503, "Shutdown", D.RETRY, "provider_unavailable"),
    ],
)
def test_reasons_read_as_they_are_meant(status: int, reason: str, disposition: D, word: str) -> None:
    assert judge(answer(status, {"reason": reason}), NOW_MS)[:2] == (disposition, word)


def test_a_410_carries_the_time_of_invalidation_in_milliseconds() -> None:
    verdict = judge(answer(410, {"reason": "Unregistered", "timestamp": 1_700_000_000_123}), NOW_MS)
    assert verdict.invalid_since == 1_700_000_000_123


@pytest.mark.parametrize("timestamp", ["1700000000123", None, -1, 1.5, True, 10**15, 2**64 - 1])
def test_a_timestamp_that_is_no_number_of_milliseconds_is_absent(timestamp: object) -> None:
    assert judge(answer(410, {"reason": "Unregistered", "timestamp": timestamp}), NOW_MS).invalid_since is None


def test_an_expired_token_is_refreshed_and_a_refused_one_is_not() -> None:
    assert judge(answer(403, {"reason": "ExpiredProviderToken"}), NOW_MS).remedy is Remedy.REFRESH
    assert judge(answer(403, {"reason": "InvalidProviderToken"}), NOW_MS).remedy is Remedy.NONE


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (410, b""),
        (410, b"<html>gone</html>"),
        (410, b'{"reason":"Unregis'),
        (400, {"reason": "Unregistered"}),
        (500, {"reason": "BadDeviceToken"}),
        (400, b"[]"),
        (410, {"reason": ["Unregistered"]}),
        (410, {"reason": "SomethingNew"}),
        (521, b"<html>"),
    ],
)
def test_an_answer_that_is_not_understood_never_costs_a_token(status: int, body: object) -> None:
    assert judge(answer(status, body), NOW_MS).disposition is not D.INVALID


@pytest.mark.parametrize(
    ("status", "body", "disposition"),
    [
        (400, {"reason": "SomethingNew"}, D.REJECTED),
        (403, {"reason": "SomethingNew"}, D.CREDENTIAL),
        (400, b"<html>", D.RETRY),
        (403, b"<html>", D.RETRY),
        (503, b"", D.RETRY),
        (522, b"<html>", D.RETRY),
        (429, b"", D.RETRY),
        (302, b"", D.RETRY),
    ],
)
def test_unknown_answers_are_judged_by_status(status: int, body: object, disposition: D) -> None:
    assert judge(answer(status, body), NOW_MS).disposition is disposition


def test_server_errors_wait_as_long_as_apple_asks_unless_the_answer_says_otherwise() -> None:
    assert judge(answer(500, {"reason": "InternalServerError"}), NOW_MS).retry_after_seconds == 900
    named = answer(503, {"reason": "ServiceUnavailable"}, ((b"retry-after", b"7"),))
    assert judge(named, NOW_MS).retry_after_seconds == 7


@pytest.mark.parametrize(
    ("response", "disposition", "reason"),
    [
        (Response(Kind.UNSENT, fault="connect_failed"), D.UNSENT, "connection_failed"),
        (Response(Kind.UNSENT, fault="deadline"), D.UNSENT, "not_sent_in_time"),
        (Response(Kind.REFUSED), D.UNSENT, "stream_refused"),
        (Response(Kind.DEADLINE), D.UNKNOWN, "unknown_outcome"),
        (Response(Kind.UNKNOWN, fault="connection_dropped"), D.UNKNOWN, "unknown_outcome"),
    ],
)
def test_requests_without_an_answer(response: Response, disposition: D, reason: str) -> None:
    assert judge(response, NOW_MS)[:2] == (disposition, reason)


def test_each_reason_of_apple_is_listed_once_and_ours_are_snake_case() -> None:
    assert len(BY_ANSWER) == len(ROWS)
    assert all(row.reason.replace("_", "").islower() and row.reason.isidentifier() for row in ROWS)
    assert all(row.source.startswith("https://developer.apple.com/") for row in ROWS)


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("DeviceTokenNotForTopic", "token_not_for_push_type"),
        ("BadTopic", "topic_refused"),
        ("MissingTopic", "topic_refused"),
        ("TopicDisallowed", "topic_refused"),
    ],
)
def test_what_is_said_of_a_topic_that_is_not_the_apps_own_costs_neither_token_nor_key(reason: str, word: str) -> None:
    assert judge(answer(400, {"reason": reason}), NOW_MS, own_topic=False)[:2] == (D.REJECTED, word)


def test_a_dead_token_is_dead_under_every_topic() -> None:
    assert judge(answer(410, {"reason": "Unregistered"}), NOW_MS, own_topic=False).disposition is D.INVALID
