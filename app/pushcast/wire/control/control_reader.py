"""Control records read: keys and values of `push.control.v1`, checked."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Platform, Reason
from pushcast.wire.control.control import (
    ALL_LANES,
    BreakerRecord,
    CampaignCancel,
    CanaryWord,
    Entry,
    Halt,
    Kind,
    Name,
    Pause,
    Rate,
    Reached,
    SegmentRecord,
    StepDecision,
    Subject,
    WebhookOrder,
)
from pushcast.wire.events.audience_leaves import check_segment_name
from pushcast.wire.json_errors import UNREADABLE, from_msgspec
from pushcast.wire.keys import check_id

_APP = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")  # a key of `apps` in the configuration
_PAUSES = msgspec.json.Decoder(Pause)
_BREAKERS = msgspec.json.Decoder(BreakerRecord)
_CANARIES = msgspec.json.Decoder(CanaryWord)
_HALTS = msgspec.json.Decoder(Halt)
_CANCELS = msgspec.json.Decoder(CampaignCancel)
_RATES = msgspec.json.Decoder(Rate)
_SEGMENTS = msgspec.json.Decoder(SegmentRecord)
_REACHED = msgspec.json.Decoder(Reached)
_OF_NAMES: Final[dict[Kind, msgspec.json.Decoder[Any]]] = {
    Kind.STOP: _HALTS,
    Kind.HOLD: _HALTS,
    Kind.STEP: msgspec.json.Decoder(StepDecision),
    Kind.CANCEL: _CANCELS,
    Kind.PACE: _RATES,
    Kind.SEGMENT: _SEGMENTS,
    Kind.REACHED: _REACHED,
    Kind.SWEEP: _HALTS,
    Kind.WEBHOOK: msgspec.json.Decoder(WebhookOrder),
}


def parse_key(key: bytes | None) -> Subject | Name:
    """Raises InvalidInput (key_missing, key_invalid) for a key that neither `Subject.key` nor `Name.key` writes."""
    if not key:
        raise InvalidInput(Reason.KEY_MISSING, "a control record needs a key", "key")
    parts = key.decode("utf-8", "replace").split("/")
    try:
        kind = Kind(parts[0])
        if kind in _OF_NAMES:
            name = key.decode().partition("/")[2]
            if kind is Kind.SEGMENT:
                return Name(kind, check_segment_name(name, "key"))
            return Name(kind, check_id(name, "key"))
        if len(parts) == (4 if kind is Kind.PAUSE else 3) and _APP.fullmatch(parts[1]):
            lane = None if kind is not Kind.PAUSE or parts[3] == ALL_LANES else Lane(parts[3])
            return Subject(kind, parts[1], Platform(parts[2]), lane)
    except (ValueError, InvalidInput):
        pass  # a word that is none of ours: refused below like any other wrong form
    raise InvalidInput(
        Reason.KEY_INVALID,
        "the key is none of pause/<app>/<platform>/<lane>, breaker/<app>/<platform>, canary/<app>/<platform>,"
        " stop/<broadcast>, hold/<broadcast>, step/<broadcast>, cancel/<campaign>, pace/<campaign>, segment/<name>,"
        " reached/<app>/<host>, webhook/<name>, sweep/<day>",
        "key",
    )


def decode(subject: Subject | Name, value: bytes) -> Entry:
    """Raises InvalidInput (not_json, unknown_field, invalid_field)."""
    try:
        if isinstance(subject, Name):
            entry: Entry = _OF_NAMES[subject.kind].decode(value)
            return entry
        if subject.kind is Kind.PAUSE:
            return _PAUSES.decode(value)
        if subject.kind is Kind.CANARY:
            return _CANARIES.decode(value)
        breaker = _BREAKERS.decode(value)
    except UNREADABLE as error:
        raise from_msgspec(error) from None
    if breaker.is_open is not (breaker.closed_at_ms is None):
        raise InvalidInput(Reason.INVALID_FIELD, "closed_at_ms belongs to a closed breaker, and to no other", "state")
    return breaker
