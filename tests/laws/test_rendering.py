"""Whatever a valid notification holds, each platform renders it within its limits, or names reason and field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushcast.model.batch import Message, SendBatch
from pushcast.model.errors import InvalidInput
from pushcast.providers.apns.message import render as render_apns
from pushcast.providers.expo.message import render as render_expo
from pushcast.providers.identity import HOLE, NAME_CHARS
from pushcast.providers.unsendable import Unsendable
from pushcast.providers.webpush.encryption import MAX_PLAINTEXT_BYTES
from pushcast.providers.webpush.message import render as render_webpush
from pushcast.wire.batches import decode_batch, encode_batch
from unit.providers.fields import message_of
from unit.providers.messages import fcm_bodies

NAME = b"0" * NAME_CHARS
RENDERERS: dict[str, Callable[[Message], bytes]] = {
    "apns": lambda message: render_apns(message, "com.example.news").body,
    "fcm": lambda message: fcm_bodies(message)[0],
    "expo": lambda message: render_expo(message).replace(HOLE, NAME),
    "webpush": lambda message: render_webpush(message).plaintext.replace(HOLE, NAME),
}

texts = st.text(max_size=30) | st.sampled_from(["", "\0", '"%s"\\', "x" * 3000, "ü" * 1500, "\ud800"])
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
        "platforms": st.dictionaries(st.sampled_from(list(RENDERERS)), patches, max_size=2),
        "options": st.fixed_dictionaries(
            {},
            optional={
                "collapse_id": texts,
                "thread_id": texts,
                "sound": texts | st.just({"name": "bell", "critical": True}),
                "badge": st.integers(0, 2**31 - 1),
                "push_type": st.sampled_from(["alert", "background", "voip", "widgets"]),
                "channel_id": texts,
                "relevance_score": st.floats(0, 1),
                "dry_run": st.booleans(),
            },
        ),
    },
)
_BYTES = {"webpush": MAX_PLAINTEXT_BYTES, "apns": 5120}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(event=events)
@pytest.mark.parametrize("platform", RENDERERS)
def test_a_valid_notification_is_rendered_or_refused_by_name(platform: str, event: dict[str, Any]) -> None:
    try:
        message = message_of(event)
    except InvalidInput:
        return  # a dead letter: nothing is rendered
    [again] = decode_batch(encode_batch(SendBatch("normal", platform, [message]))).messages
    assert again == message
    made, refusal = b"{}", None
    try:
        made = RENDERERS[platform](again)
    except Unsendable as refused:
        refusal = refused
    assert refusal is None or (refusal.reason and refusal.field)
    assert len(made) <= _BYTES.get(platform, 2**20)
    orjson.loads(made)
