"""Whatever a valid notification holds, each platform renders it within its limits, or names reason and field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushcast.model.batch import Message, SendBatch
from pushcast.model.errors import InvalidInput
from pushcast.providers.apns.message import render as render_apns
from pushcast.providers.unsendable import Unsendable
from pushcast.providers.webpush.encryption import MAX_PLAINTEXT_BYTES
from pushcast.simulators.apns.validation import LIMIT_BYTES, refuse_payload
from pushcast.simulators.fcm.errors import TOO_LARGE
from pushcast.simulators.fcm.messages import parse as parse_fcm
from pushcast.wire.events.content_sizes import check_size
from pushcast.wire.sending.batches import decode_batch, encode_batch
from unit.providers.fields import message_of, note_of
from unit.providers.rendering import RENDERERS

EXPO_BYTES = 4096

texts = st.text(max_size=30) | st.sampled_from(["", "\0\1\3", '"%s"\\', "x" * 2000, "x" * 3900, "ü" * 1500, "\ud800"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
# Keys that platforms know, so that patches meet what is there.
keys = st.sampled_from(
    [
        *("aps", "alert", "sound", "badge", "title", "body", "data", "options", "notification", "android", "apns"),
        *("webpush", "headers", "payload", "fcm_options", "tag", "priority", "contentAvailable", "k"),
    ]
)
patches = st.dictionaries(
    keys,
    st.recursive(values, lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=5),
    max_size=3,
)
live_activities = st.fixed_dictionaries(
    {
        "push_type": st.just("liveactivity"),
        "live_activity": st.fixed_dictionaries(
            {"event": st.sampled_from(["update", "end"]), "content_state": st.dictionaries(texts, values, max_size=2)},
            optional={"timestamp": st.just(1), "relevance_score": st.floats(0, 1)},
        ),
    }
)
variants = st.fixed_dictionaries(
    {}, optional={"title": texts, "body": texts, "subtitle": texts, "actions": st.just({"open": "Öffnen"})}
)
events = st.fixed_dictionaries(
    {"title": st.none() | texts},
    optional={
        "subtitle": texts,
        "body": texts,
        "data": st.dictionaries(texts, values, max_size=3),
        "image": st.just("https://example.com/goal.png"),
        "link": st.just("app://match/1"),
        "category": texts,
        "actions": st.just([{"id": "open", "title": "Open"}]),
        "locales": st.dictionaries(st.sampled_from(["de", "zh-Hant"]), variants, max_size=2),
        "platforms": st.dictionaries(st.sampled_from(list(RENDERERS)), patches, max_size=2),
        "options": live_activities
        | st.fixed_dictionaries(
            {},
            optional={
                "collapse_id": texts,
                "thread_id": texts,
                "sound": texts | st.just({"name": "bell", "critical": True}),
                "badge": st.integers(0, 2**31 - 1),
                "push_type": st.sampled_from(["alert", "background", "voip", "widgets"]),
                "priority": st.sampled_from(["high", "normal"]),
                "interruption_level": st.sampled_from(["passive", "critical"]),
                "mutable_content": st.booleans(),
                "analytics_label": st.just("goals"),
                "ttl_seconds": st.sampled_from([0, 1, 2_419_200]),
                "channel_id": texts,
                "relevance_score": st.floats(0, 1),
                "dry_run": st.booleans(),
            },
        ),
    },
)


def apns_is_within(message: Message, body: bytes) -> bool:
    headers = dict(render_apns(message, "com.example.news").headers)
    return refuse_payload(body, LIMIT_BYTES.get(headers[b"apns-push-type"], 4096)) != "PayloadTooLarge"


def expo_is_within(_: Message, body: bytes) -> bool:
    """Texts and data count, whatever Expo leaves out."""
    counted = ("title", "subtitle", "body", "data")
    return (
        len(orjson.dumps({name: value for name, value in orjson.loads(body).items() if name in counted})) <= EXPO_BYTES
    )


#: As the provider counts, which its simulator knows by itself.
WITHIN: dict[str, Callable[[Message, bytes], bool]] = {
    "apns": apns_is_within,
    "fcm": lambda _, body: parse_fcm(body).fault is not TOO_LARGE,
    "expo": expo_is_within,
    "webpush": lambda _, body: len(body) <= MAX_PLAINTEXT_BYTES,
}


def is_refused_at_intake(event: dict[str, Any]) -> bool:
    """As what no platform could take."""
    try:
        check_size(note_of(event))
    except InvalidInput:
        return True
    return False


def as_sent(message: Message, variant: str | None) -> Message:
    """What a sender reads of the message in one of its languages."""
    one = replace(message, content=message.content.of_variant(variant))
    [again] = decode_batch(encode_batch(SendBatch("normal", "apns", [one]))).messages
    assert again == one
    return again


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(event=events)
@pytest.mark.parametrize("platform", RENDERERS)
def test_a_valid_notification_is_rendered_or_refused_by_name(platform: str, event: dict[str, Any]) -> None:
    try:
        message = message_of(event, b"token-of-sixteen:APA91b")
    except InvalidInput:
        return  # a dead letter: nothing is rendered
    impossible = is_refused_at_intake(event)
    for variant in (None, *message.content.locales):
        sent = as_sent(message, variant)
        body, refusal = b"", None
        try:
            body = RENDERERS[platform](sent)
        except Unsendable as refused:
            refusal = refused
        if refusal is None:
            assert not impossible
            assert isinstance(orjson.loads(body), dict)
            assert WITHIN[platform](sent, body)
        else:
            assert (bool(refusal.reason), bool(refusal.field)) == (True, True), refusal
