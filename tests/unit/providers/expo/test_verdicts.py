from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushcast.providers.expo.verdicts import ROWS, UNREADABLE, Refusal, read_receipts, read_send
from pushcast.providers.verdict import Row


def tickets(*entries: object) -> bytes:
    return json.dumps({"data": entries}).encode()


def error(name: str) -> dict[str, object]:
    return {"status": "error", "message": "x", "details": {"error": name}}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DeviceNotRegistered", ("invalid", "device_unregistered")),
        ("MessageTooBig", ("rejected", "payload_too_large")),
        ("MessageRateExceeded", ("retry", "rate_limited")),
        ("InvalidCredentials", ("retry", "third_party_credential_refused")),
        ("MismatchSenderId", ("retry", "third_party_credential_refused")),
        ("DeveloperError", ("rejected", "bad_request")),
        ("ExpoError", ("retry", "provider_error")),
        ("ProviderError", ("retry", "provider_error")),
        ("SomethingNew", ("retry", "provider_error")),
    ],
)
def test_errors_of_tickets_and_receipts_have_the_verdicts_of_the_table(name: str, expected: tuple[str, str]) -> None:
    read = read_send(200, tickets(error(name)), 1)
    assert isinstance(read, list)
    assert (read[0].verdict.disposition.value, read[0].verdict.reason) == expected
    receipts = read_receipts(200, json.dumps({"data": {"t": error(name)}}).encode(), ["t", "unknown"])
    assert receipts == {"t": read[0].verdict}


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (429, "TOO_MANY_REQUESTS", ("retry", "rate_limited")),
        (429, None, ("retry", "rate_limited")),
        (400, "PUSH_TOO_MANY_EXPERIENCE_IDS", ("invalid", "token_of_other_project")),
        (400, "PUSH_TOO_MANY_NOTIFICATIONS", ("rejected", "bad_request")),
        (400, "PUSH_TOO_MANY_RECEIPTS", ("rejected", "bad_request")),
        (400, "VALIDATION_ERROR", ("rejected", "bad_request")),
        (400, "API_ERROR", ("rejected", "bad_request")),
        (413, None, ("rejected", "bad_request")),
        (422, "VALIDATION_ERROR", ("rejected", "bad_request")),
        (401, "UNAUTHORIZED", ("credential", "credential_refused")),
        (403, None, ("credential", "credential_refused")),
        (404, "NOT_FOUND", ("credential", "endpoint_wrong")),
        (307, None, ("credential", "endpoint_wrong")),
        (500, "TOO_MANY_REQUESTS", ("retry", "provider_error")),
        (502, None, ("retry", "provider_unavailable")),
        (418, None, ("retry", "provider_error")),
    ],
)
def test_refusals_of_a_request_have_the_verdicts_of_the_table(
    status: int, code: str | None, expected: tuple[str, str]
) -> None:
    body = b"<html>" if code is None else json.dumps({"errors": [{"code": code, "message": "x"}]}).encode()
    read = read_send(status, body, 3)
    assert isinstance(read, Refusal)
    assert (read.row.disposition.value, read.row.reason) == expected


def test_tickets_that_differ_in_number_from_the_recipients_say_nothing() -> None:
    one = {"status": "ok", "id": "a"}
    for body in (tickets(one), tickets(one, one, one), b"", b"{}", b'{"data":null}', b"[]"):
        assert read_send(200, body, 2) == Refusal(UNREADABLE, {})


def test_one_recipient_may_have_its_ticket_without_a_list() -> None:
    read = read_send(200, b'{"data":{"status":"ok","id":"a"}}', 1)
    assert isinstance(read, list)
    assert read[0].ticket_id == "a"


def test_projects_are_read_from_the_details() -> None:
    details = {"@a/app": ["t1"], "@b/app": ["t2", 3], "odd": "x"}
    body = json.dumps({"errors": [{"code": "PUSH_TOO_MANY_EXPERIENCE_IDS", "details": details}]}).encode()
    read = read_send(400, body, 2)
    assert isinstance(read, Refusal)
    assert read.projects == {"@a/app": ["t1"], "@b/app": ["t2"]}


KEYS = st.sampled_from(["data", "errors", "status", "id", "details", "error", "code"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(status=st.integers(200, 599), value=json_values, recipients=st.integers(1, 3))
def test_every_answer_is_read_to_a_ticket_each_or_a_refusal(status: int, value: object, recipients: int) -> None:
    read = read_send(status, json.dumps(value).encode(), recipients)
    assert isinstance(read, Refusal) or len(read) == recipients
    assert isinstance(read_receipts(status, json.dumps(value).encode(), ["status"]), dict | Row)


def test_each_row_has_its_source() -> None:
    assert all(row.source and row.answer for row in ROWS)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "PUSH_TOO_MANY_RECEIPTS", ("rejected", "bad_request")),
        (400, "VALIDATION_ERROR", ("rejected", "bad_request")),
        (401, "UNAUTHORIZED", ("credential", "credential_refused")),
        (429, "TOO_MANY_REQUESTS", ("retry", "rate_limited")),
        (503, "X", ("retry", "provider_unavailable")),
        (200, "X", ("unknown", "answer_unreadable")),
    ],
)
def test_refusals_of_a_question_have_the_verdicts_of_the_table(
    status: int, code: str, expected: tuple[str, str]
) -> None:
    read = read_receipts(status, json.dumps({"errors": [{"code": code}]}).encode(), ["t"])
    assert isinstance(read, Row)
    assert (read.disposition.value, read.reason) == expected
