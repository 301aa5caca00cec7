"""What apps tell of their users: JSON and Avro alike, and every wrong field by its name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushcast.model.errors import InvalidInput
from pushcast.wire.events.engagement import MAX_IDS, Engagement, EngagementDecoder, Event, encode_engagement

T0 = 1_800_000_000_000
decode = EngagementDecoder().decode
ON = {"app": "news", "device": "d"}


def event(name: str, **fields: Any) -> bytes:
    return json.dumps({"event": name, **fields}).encode()


def test_json_and_avro_say_the_same() -> None:
    opened = decode("u", event("opened", ids=["a"], at=T0 - 5, **ON), T0)
    assert opened == Engagement(Event.OPENED, "u", ("a",), "news", "d", None, None, None, T0 - 5)
    assert decode("u", encode_engagement(opened), T0) == opened
    read = decode("u", event("read", app="news", thread="t", up_to=T0 - 9), T0)
    assert (read.thread, read.up_to, read.at, decode("u", encode_engagement(read), T0)) == ("t", T0 - 9, T0, read)
    for told in (
        event("badge", app="news", count=0),
        event("active", until=T0 + 9, **ON),
        event("flush", app="news", **{"class": "likes"}),
    ):
        found = decode("u", told, T0)
        assert decode("u", encode_engagement(found), T0) == found


def test_a6_an_app_is_in_front_for_two_minutes_unless_it_says_until_when() -> None:
    assert decode("u", event("active", at=T0 - 9, **ON), T0).until == T0 - 9 + 120_000
    assert decode("u", event("active", until=T0 - 9, **ON), T0).until == T0 - 9
    assert decode("u", event("active", until=T0 + 3_600_000, **ON), T0).until == T0 + 3_600_000
    assert decode("u", event("seen", **ON), T0).until is None


def test_a_clock_that_runs_ahead_tells_nothing_of_the_future() -> None:
    found = decode("u", event("read", app="news", thread="t", up_to=T0 + 7, at=T0 + 5), T0)
    assert (found.at, found.up_to) == (T0, T0)


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"event": "clicked"}, "invalid_field", "event"),
        ({"ids": ["a"]}, "invalid_field", None),
        ({"event": "opened", **ON}, "invalid_field", "ids"),
        ({"event": "opened", "ids": ["a"], "app": "news"}, "invalid_field", "device"),
        ({"event": "received", "ids": ["a"], "device": "d"}, "invalid_field", "app"),
        ({"event": "received", "ids": [str(each) for each in range(MAX_IDS + 1)], **ON}, "too_many", "ids"),
        ({"event": "received", "ids": ["a\0"], **ON}, "invalid_field", "ids"),
        ({"event": "received", "ids": ["a"], "thread": "t", **ON}, "invalid_field", "thread"),
        ({"event": "read"}, "invalid_field", "ids"),
        ({"event": "read", "thread": "t"}, "invalid_field", "app"),
        ({"event": "read", "ids": ["a"], "up_to": T0}, "invalid_field", "up_to"),
        ({"event": "seen", "ids": ["a"], **ON}, "invalid_field", "ids"),
        ({"event": "badge", "app": "news"}, "invalid_field", "count"),
        ({"event": "badge", "app": "news", "count": -1}, "invalid_field", "count"),
        ({"event": "badge", "count": 1}, "invalid_field", "app"),
        ({"event": "active", "until": T0 + 3_600_001, **ON}, "invalid_field", "until"),
        ({"event": "seen", "until": T0, **ON}, "invalid_field", "until"),
        ({"event": "read", "ids": ["a"], "class": "c"}, "invalid_field", "class"),
        ({"event": "flush"}, "invalid_field", "app"),
        ({"event": "flush", "app": "news", "ids": ["a"]}, "invalid_field", "ids"),
        ({"event": "active", "count": 1, **ON}, "invalid_field", "count"),
        ({"event": "active", "user": "v", **ON}, "invalid_field", "user"),
        ({"event": "active", "at": 1_800_000_000, **ON}, "invalid_field", "at"),
        ({"event": "active", "id": "a", **ON}, "unknown_field", "id"),
    ],
)
def test_what_is_wrong_is_named_with_its_field(fields: dict[str, Any], reason: str, field: str | None) -> None:
    with pytest.raises(InvalidInput) as refused:
        decode("u", json.dumps(fields).encode(), T0)
    assert (refused.value.reason, refused.value.field) == (reason, field)


def test_a_null_value_means_nothing() -> None:
    with pytest.raises(InvalidInput) as refused:
        decode("u", None, T0)
    assert refused.value.reason == "tombstone"
