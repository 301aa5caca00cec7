"""Records as the events of a webhook, and events as the body of a request. Pure: equal records give equal bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from pushcast.config.doors import Webhook
from pushcast.webhook.cut import Cut, Event
from pushcast.wire import topics
from pushcast.wire.answers.receipts import decode_receipt, decode_token_invalid
from pushcast.wire.control.control import BreakerRecord, CanaryWord, Kind, Subject
from pushcast.wire.control.control_reader import decode, parse_key
from pushcast.wire.json_errors import UNREADABLE, from_msgspec
from pushcast.wire.times import rfc3339

DELIVERIES: Final = "deliveries.ended"
TOKENS: Final = "tokens.invalid"

SETTLED: Final = "report.settled"
BREAKERS: Final = "breaker.changed"
CANARIES: Final = "canary.failed"

#: A record's key and value to an event; None: this endpoint does not want it. Raises InvalidInput.
Read = Callable[[Webhook, bytes | None, bytes], Event | None]


def _delivery(wanted: Webhook, _: bytes | None, value: bytes) -> Event | None:
    receipt = decode_receipt(value)
    if not (
        _in(wanted.apps, receipt["app"])
        and _in(wanted.classes, receipt["class"])
        and _in(wanted.outcomes, receipt["outcome"])
        and _in(wanted.reasons, receipt["reason"])
    ):
        return None
    return {
        "delivery": receipt["delivery_id"],
        "notification": receipt["notification_id"],
        "user": receipt["user"],
        "app": receipt["app"],
        "device": receipt["device"],
        "platform": receipt["platform"],
        "class": receipt["class"],
        "campaign": receipt["campaign"],
        "outcome": receipt["outcome"],
        "reason": receipt["reason"],
        "provider_status": receipt["provider_status"],
        "attempts": receipt["attempts"],
        "dry_run": receipt["dry_run"],
        "run": receipt["run"],
        "created_at": rfc3339(receipt["created_at"]),
        "ended_at": rfc3339(receipt["ended_at"]),
    }


def _token(wanted: Webhook, _: bytes | None, value: bytes) -> Event | None:
    told = decode_token_invalid(value)
    if not (_in(wanted.apps, told.app) and _in(wanted.reasons, told.reason)):
        return None
    return {
        "user": told.user,
        "app": told.app,
        "device": told.device,
        "platform": told.platform,
        "token_hash": told.token_hash.hex(),
        "reason": told.reason,
        "provider_status": told.provider_status,
        "delivery": told.delivery_id,
        "at": rfc3339(told.at),
    }


class _Sums(msgspec.Struct):
    """What a record of `push.report.v1` must say to be chosen by; the rest of it is passed on."""

    state: str
    at: str
    app: str | None
    klass: str | None = msgspec.field(name="class")


def _settled(wanted: Webhook, _: bytes | None, value: bytes) -> Event | None:
    try:
        sums = msgspec.json.decode(value, type=dict[str, Any])
        about = msgspec.convert(sums, _Sums)
    except UNREADABLE as error:
        raise from_msgspec(error) from None
    if about.state != "settled" or not (_in(wanted.apps, about.app) and _in(wanted.classes, about.klass)):
        return None
    return sums


def _subject(wanted: Webhook, key: bytes | None, kind: Kind) -> Subject | None:
    """Whom a control record of this kind is about; None when the endpoint does not want to hear of it."""
    subject = parse_key(key)
    if isinstance(subject, Subject) and subject.kind is kind and _in(wanted.apps, subject.app):
        return subject
    return None


def _breaker(wanted: Webhook, key: bytes | None, value: bytes) -> Event | None:
    subject = _subject(wanted, key, Kind.BREAKER)
    if subject is None:
        return None
    breaker = decode(subject, value)
    assert isinstance(breaker, BreakerRecord)
    if not _in(wanted.reasons, breaker.reason):
        return None
    closed_at = breaker.closed_at_ms
    return {
        "app": subject.app,
        "platform": subject.platform,
        "state": breaker.state,
        "reason": breaker.reason,
        "opened_at": rfc3339(breaker.opened_at_ms),
        "closed_at": None if closed_at is None else rfc3339(closed_at),
        "at": rfc3339(breaker.opened_at_ms if closed_at is None else closed_at),
        "by": breaker.by,
    }


def _canary(wanted: Webhook, key: bytes | None, value: bytes) -> Event | None:
    subject = _subject(wanted, key, Kind.CANARY)
    if subject is None:
        return None
    canary = decode(subject, value)
    assert isinstance(canary, CanaryWord)
    if canary.state != "failed" or not _in(wanted.reasons, canary.reason):
        return None
    accepted_at = canary.accepted_at_ms
    return {
        "app": subject.app,
        "platform": subject.platform,
        "reason": canary.reason,
        "last_accepted_at": None if accepted_at is None else rfc3339(accepted_at),
        "at": rfc3339(canary.at_ms),
        "by": canary.by,
    }


class Stream(NamedTuple):
    """Where events of one type come from. `word`: stands in the ids of requests."""

    type: str
    topic: str
    word: str
    field: str  # of the events in the body
    time: str  # of an event: when it happened
    read: Read


STREAMS: Final[Mapping[str, Stream]] = {
    each.type: each
    for each in (
        Stream(DELIVERIES, topics.RECEIPT, "", "deliveries", "ended_at", _delivery),
        Stream(TOKENS, topics.TOKEN_INVALID, "tokens_", "tokens", "at", _token),
        Stream(SETTLED, topics.REPORT, "reports_", "reports", "at", _settled),
        Stream(BREAKERS, topics.CONTROL, "breakers_", "breakers", "at", _breaker),
        Stream(CANARIES, topics.CONTROL, "canaries_", "canaries", "at", _canary),
    )
}


def request_id(endpoint: str, stream: Stream, partition: int, cut: Cut) -> str:
    """The same in every try, by whatever process. Has no dot: signatures put one behind it."""
    return f"{endpoint}_{stream.word}{partition}_{cut.first}_{cut.last}"


def body_of(stream: Stream, partition: int, cut: Cut) -> bytes:
    """JSON as Standard Webhooks has it. The cut has at least one event."""
    return msgspec.json.encode(
        {
            "type": stream.type,
            "timestamp": max(event[stream.time] for event in cut.events),
            "data": {"cursor": f"{partition}:{cut.first}-{cut.last}", stream.field: cut.events},
        }
    )


def _in(allowed: tuple[str, ...] | None, value: str | None) -> bool:
    return allowed is None or value in allowed
