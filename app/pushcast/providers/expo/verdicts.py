"""What Expo's tickets, receipts and refusals of whole requests mean.

https://docs.expo.dev/push-notifications/sending-notifications/#individual-errors and #request-errors
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

from pushcast.model.words import Reason
from pushcast.providers.port import Disposition
from pushcast.providers.verdict import Row, Verdict, verdict_of

_TICKETS: Final = "https://docs.expo.dev/push-notifications/sending-notifications/#individual-errors"
_REQUESTS: Final = "https://docs.expo.dev/push-notifications/sending-notifications/#request-errors"
_SEEN: Final = "observed"
AFTER_RATE_SECONDS: Final = 1.0
AFTER_DEVICE_RATE_SECONDS: Final = 60.0
AFTER_SERVER_ERROR_SECONDS: Final = 10.0

UNREGISTERED: Final = Row(
    "DeviceNotRegistered",
    (200,),
    Disposition.INVALID,
    str(Reason.DEVICE_UNREGISTERED),
    note="ticket or receipt; not for a token registered after the push was sent",
    source=_TICKETS,
)
TOO_BIG: Final = Row(
    "MessageTooBig",
    (200,),
    Disposition.REJECTED,
    str(Reason.PAYLOAD_TOO_LARGE),
    note="over 4,096 bytes",
    source=_TICKETS,
)
DEVICE_RATE: Final = Row(
    "MessageRateExceeded",
    (200,),
    Disposition.RETRY,
    str(Reason.RATE_LIMITED),
    retry_after_seconds=AFTER_DEVICE_RATE_SECONDS,
    note="too many to this device",
    source=_TICKETS,
)
CREDENTIALS: Final = Row(
    "InvalidCredentials, MismatchSenderId",
    (200,),
    Disposition.RETRY,
    "third_party_credential_refused",
    retry_after_seconds=AFTER_SERVER_ERROR_SECONDS,
    note="the project's APNs or FCM key at Expo: concerns this target, those of the other vendor work",
    source=_TICKETS,
)
DEVELOPER: Final = Row("DeveloperError", (200,), Disposition.REJECTED, str(Reason.BAD_REQUEST), source=_TICKETS)
THEIRS: Final = Row(
    "ExpoError, ProviderError, another or none",
    (200,),
    Disposition.RETRY,
    str(Reason.PROVIDER_ERROR),
    retry_after_seconds=AFTER_SERVER_ERROR_SECONDS,
    source=_TICKETS,
)
UNREADABLE: Final = Row(
    "as many tickets as recipients are not there",
    (200,),
    Disposition.UNKNOWN,
    "answer_unreadable",
    note="tickets are told apart by their position only",
    source=_REQUESTS,
)
TOO_MANY_REQUESTS: Final = Row(
    "TOO_MANY_REQUESTS or none",
    (429,),
    Disposition.RETRY,
    str(Reason.RATE_LIMITED),
    retry_after_seconds=AFTER_RATE_SECONDS,
    note="whole request; our rate is halved and recovers in ten seconds",
    source=_REQUESTS,
)
OTHER_PROJECT: Final = Row(
    "PUSH_TOO_MANY_EXPERIENCE_IDS",
    (400,),
    Disposition.INVALID,
    "token_of_other_project",
    note="sent again at once, a project at a time; the verdict on those whose project refuses us while it takes others",
    source=_REQUESTS,
)
TOO_MANY: Final = Row(
    "PUSH_TOO_MANY_NOTIFICATIONS, PUSH_TOO_MANY_RECEIPTS",
    (400,),
    Disposition.REJECTED,
    str(Reason.BAD_REQUEST),
    note="sent again at once in halves",
    source=_REQUESTS,
)
VALIDATION: Final = Row(
    "VALIDATION_ERROR, API_ERROR, another or none",
    (400, 413, 422),
    Disposition.REJECTED,
    str(Reason.BAD_REQUEST),
    note="sent again at once in halves until what is wrong stands alone",
    source=_REQUESTS,
)
UNAUTHORIZED: Final = Row(
    "UNAUTHORIZED or none",
    (401, 403),
    Disposition.CREDENTIAL,
    str(Reason.CREDENTIAL_REFUSED),
    note="access token missing or wrong; a token refused again after others were served: `token_of_other_project`",
    source=_REQUESTS,
)
WRONG_ENDPOINT: Final = Row(
    "another or none",
    (301, 302, 303, 307, 308, 404, 405),
    Disposition.CREDENTIAL,
    "endpoint_wrong",
    note="no redirect is followed",
    source=_SEEN,
)
UNAVAILABLE: Final = Row(
    "any",
    (502, 503, 504),
    Disposition.RETRY,
    str(Reason.PROVIDER_UNAVAILABLE),
    retry_after_seconds=AFTER_SERVER_ERROR_SECONDS,
    source=_REQUESTS,
)
ANYTHING_ELSE: Final = Row(
    "anything else",
    (),
    Disposition.RETRY,
    str(Reason.PROVIDER_ERROR),
    retry_after_seconds=AFTER_SERVER_ERROR_SECONDS,
    source=_REQUESTS,
)
ROWS: Final = (
    UNREGISTERED,
    TOO_BIG,
    DEVICE_RATE,
    CREDENTIALS,
    DEVELOPER,
    THEIRS,
    UNREADABLE,
    TOO_MANY_REQUESTS,
    OTHER_PROJECT,
    TOO_MANY,
    VALIDATION,
    UNAUTHORIZED,
    WRONG_ENDPOINT,
    UNAVAILABLE,
    ANYTHING_ELSE,
)
_BY_ERROR: Final = {
    name: row
    for row in (UNREGISTERED, TOO_BIG, DEVICE_RATE, CREDENTIALS, DEVELOPER, THEIRS)
    for name in row.answer.split(", ")
}
_BY_STATUS: Final = {
    status: row
    for row in (TOO_MANY_REQUESTS, VALIDATION, UNAUTHORIZED, WRONG_ENDPOINT, UNAVAILABLE)
    for status in row.statuses
}
_BY_CODE: Final = {
    "TOO_MANY_REQUESTS": TOO_MANY_REQUESTS,
    "PUSH_TOO_MANY_EXPERIENCE_IDS": OTHER_PROJECT,
    "PUSH_TOO_MANY_NOTIFICATIONS": TOO_MANY,
    "PUSH_TOO_MANY_RECEIPTS": TOO_MANY,
    "UNAUTHORIZED": UNAUTHORIZED,
}
#: Refusals of a whole request of which smaller parts may be taken.
DIVISIBLE: Final = (OTHER_PROJECT, TOO_MANY, VALIDATION)
_ACCEPTED: Final = Verdict(Disposition.ACCEPTED, None)


class Ticket(NamedTuple):
    """Of one recipient. `ticket_id` is there when it was accepted."""

    verdict: Verdict
    ticket_id: str | None = None


class Refusal(NamedTuple):
    """Of a whole request: nothing of it was taken, unless the row says unknown or retry. `projects`: the tokens of
    each project, where the answer names them."""

    row: Row
    projects: dict[str, list[str]]


def read_send(status: int, body: bytes, recipients: int) -> list[Ticket] | Refusal:
    """What an answer to a send says: a ticket for each recipient by position, or a refusal of all."""
    answer = _object(body)
    if status == 200:
        tickets = answer.get("data")
        if isinstance(tickets, dict) and recipients == 1:
            tickets = [tickets]
        if not isinstance(tickets, list) or len(tickets) != recipients:
            return Refusal(UNREADABLE, {})
        return [_ticket(ticket) for ticket in tickets]
    error = _first_error(answer)
    return Refusal(_row_of(status, error), _projects(error.get("details")))


def read_receipts(status: int, body: bytes, ticket_ids: Sequence[str]) -> dict[str, Verdict] | Row:
    """Verdicts of the receipts that are there, by ticket id; the others are pending or unknown to Expo. A Row when the
    whole request was refused."""
    answer = _object(body)
    receipts = answer.get("data")
    if status != 200:
        return _row_of(status, _first_error(answer))
    if not isinstance(receipts, dict):
        return UNREADABLE
    return {
        ticket_id: _entry_verdict(receipts[ticket_id])
        for ticket_id in ticket_ids
        if isinstance(receipts.get(ticket_id), dict)
    }


def _row_of(status: int, error: dict[str, Any]) -> Row:
    code = error.get("code")
    row = _BY_CODE.get(code) if isinstance(code, str) and 400 <= status < 500 else None
    return row or _BY_STATUS.get(status, ANYTHING_ELSE)


def _ticket(entry: Any) -> Ticket:
    if not isinstance(entry, dict):
        return Ticket(verdict_of(UNREADABLE))
    ticket_id = entry.get("id")
    return Ticket(_entry_verdict(entry), ticket_id if isinstance(ticket_id, str) else None)


def _entry_verdict(entry: dict[str, Any]) -> Verdict:
    if entry.get("status") == "ok":
        return _ACCEPTED
    details = entry.get("details")
    error = details.get("error") if isinstance(details, dict) else None
    return verdict_of(_BY_ERROR.get(error, THEIRS) if isinstance(error, str) else THEIRS)


def _projects(details: Any) -> dict[str, list[str]]:
    if not isinstance(details, dict):
        return {}
    return {
        str(project): [token for token in tokens if isinstance(token, str)]
        for project, tokens in details.items()
        if isinstance(tokens, list)
    }


def _first_error(answer: dict[str, Any]) -> dict[str, Any]:
    errors = answer.get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    return first if isinstance(first, dict) else {}


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
