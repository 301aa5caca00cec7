"""Records as the events of a webhook, and events as the body of a request. Pure: equal records give equal bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import msgspec

from pushcast.config.doors import Webhook
from pushcast.webhook.cut import Cut, Event
from pushcast.wire import topics
from pushcast.wire.receipts import decode_receipt, decode_token_invalid
from pushcast.wire.times import rfc3339

DELIVERIES: Final = "deliveries.ended"
TOKENS: Final = "tokens.invalid"

#: A record's value to an event; None: this endpoint does not want it. Raises InvalidInput.
Read = Callable[[Webhook, bytes], Event | None]


def _delivery(wanted: Webhook, value: bytes) -> Event | None:
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


def _token(wanted: Webhook, value: bytes) -> Event | None:
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
