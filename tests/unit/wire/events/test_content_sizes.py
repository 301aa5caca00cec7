"""What no platform could take is refused with its size and the limit; what one could take is not (rulings I.28)."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.model.errors import InvalidInput
from pushcast.providers.unsendable import Unsendable
from pushcast.wire.events.content_sizes import MAX_CALL_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES, check_size, least_bytes
from unit.providers.fields import message_of, note_of
from unit.providers.rendering import RENDERERS

FULL = "x" * (MAX_PAYLOAD_BYTES - len("title"))


@pytest.mark.parametrize(
    "event",
    [
        {"title": "title", "body": FULL},
        {"title": "title", "body": "x" * (len(FULL) - 10), "data": {"k": "v", "n": {"a": 1}}},
        {"title": FULL + "y", "locales": {"de": {"title": "title"}}, "body": "b", "data": {"k": "v"}},
        {"title": FULL * 2, "locales": {"de": {"title": "Tor!"}}},
        {"title": "t", "options": {"push_type": "voip"}, "data": {"k": "x" * (MAX_CALL_PAYLOAD_BYTES - 2)}},
        {"title": "title", "body": FULL * 2, "platforms": {"fcm": {"notification": {"body": "short"}}}},
    ],
)
def test_what_some_platform_may_take_is_let_pass(event: dict[str, Any]) -> None:
    check_size(note_of(event))


@pytest.mark.parametrize(
    ("event", "limit"),
    [
        ({"title": "title", "body": FULL + "y"}, MAX_PAYLOAD_BYTES),
        ({"title": "t", "data": {"k": {"deep": "ü" * 2100}}}, MAX_PAYLOAD_BYTES),
        ({"title": FULL * 2, "locales": {"de": {"title": FULL + "yyyyyy"}}}, MAX_PAYLOAD_BYTES),
        (
            {"title": "t", "options": {"push_type": "voip"}, "data": {"k": "x" * (MAX_CALL_PAYLOAD_BYTES - 1)}},
            MAX_CALL_PAYLOAD_BYTES,
        ),
    ],
)
def test_what_no_platform_could_take_is_refused_with_size_and_limit(event: dict[str, Any], limit: int) -> None:
    note = note_of(event)
    size = least_bytes(note.content)
    with pytest.raises(InvalidInput, match=rf"at least {size} bytes .* more than {limit}") as caught:
        check_size(note)
    assert (caught.value.reason, caught.value.field) == ("payload_too_large", "body")


@pytest.mark.parametrize("platform", RENDERERS)
@pytest.mark.parametrize("event", [{"body": FULL + "y" * 6}, {"data": {"k": ["x" * 4096]}}, {"title": "ü" * 2049}])
def test_no_renderer_takes_what_is_refused(platform: str, event: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        check_size(note_of(event))
    with pytest.raises(Unsendable) as refused:
        RENDERERS[platform](message_of(event))
    assert refused.value.reason == "payload_too_large"
