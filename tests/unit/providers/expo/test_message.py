from __future__ import annotations

import gzip
import json

import pytest

from pushcast.providers.expo.message import GZIP_ABOVE_BYTES, Recipient, encoded, is_token, render, request_body
from pushcast.providers.identity import HOLE
from pushcast.providers.unsendable import Unsendable
from unit.providers.fields import message_of
from unit.providers.messages import message

UUID = b"3f0c1a52-8d9e-4a6b-9c1d-2e3f4a5b6c7d"


def test_a_shown_message_has_expos_fields_and_a_hole_for_each_deliverys_name() -> None:
    rendered = render(message(title="Goal!", data={"k": "v"}, sound="default", badge=2, thread_id="t"))
    assert json.loads(rendered.replace(HOLE, b"4711")) == {
        "title": "Goal!",
        "body": "1:0",
        "data": {"k": "v"},
        "tag": "4711",
        "threadId": "t",
        "sound": "default",
        "badge": 2,
        "priority": "high",
    }


@pytest.mark.parametrize(
    ("own", "taken"),
    [
        ({"body": "short"}, True),
        ({"body": None, "data": {"k": "v"}}, True),
        ({"icon": "i"}, False),
        ({"body": "short", "icon": "x" * 4000}, True),
        ({"body": "short", "icon": "x" * 4097}, False),
    ],
)
def test_the_size_is_that_of_the_message_with_the_producers_own_part(own: dict[str, object], taken: bool) -> None:
    """Rulings I.28: after overrides."""
    long = message_of({"title": "Goal!", "body": "x" * 4096, "platforms": {"expo": own}})
    if taken:
        assert len(render(long)) < 5000
        return
    with pytest.raises(Unsendable, match="at most 4096") as refused:
        render(long)
    assert refused.value.reason == "payload_too_large"


def test_what_has_no_collapse_id_takes_none_of_the_four_that_android_keeps() -> None:
    assert "collapseId" not in json.loads(render(message(title="Goal!")).replace(HOLE, b"4711"))


def test_a_collapse_id_goes_everywhere_it_can() -> None:
    rendered = json.loads(render(message(collapse_id="match-1", priority="normal")))
    assert (rendered["collapseId"], rendered["tag"], rendered["priority"]) == ("match-1", "match-1", "normal")


@pytest.mark.parametrize("push_type", ["background", "alert"])
@pytest.mark.parametrize("text", [None, ""])
def test_what_shows_nothing_wakes_the_app(push_type: str, text: str | None) -> None:
    """Reproductions 5.8 and 5.9: empty texts are absent, and data alone wakes an app behind Expo."""
    rendered = render(message(title=text, body=text, data={"sync": "1"}, push_type=push_type))
    assert json.loads(rendered) == {"data": {"sync": "1"}, "contentAvailable": True, "priority": "normal"}


def test_a_badge_alone_wakes_nobody() -> None:
    assert json.loads(render(message(title=None, body=None, badge=0))) == {"badge": 0, "priority": "high"}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"push_type": "voip"}, "push_type_unsupported"),
        ({"push_type": "background"}, "background_shows_something"),
        ({"body": "x" * 4097}, "payload_too_large"),
    ],
)
def test_what_expo_cannot_send_is_refused(options: dict[str, str], reason: str) -> None:
    with pytest.raises(Unsendable) as refused:
        render(message(**options))  # type: ignore[arg-type]
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    "token", [b"ExponentPushToken[a-b_c/1]", b"ExpoPushToken[x]", UUID, UUID.upper(), b"zyxw" + UUID[4:]]
)
def test_tokens(token: bytes) -> None:
    assert is_token(token)


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"ExponentPushToken[]",
        b"ExponentPushToken[a",
        b"ExponentPushToken[a]]",
        b'ExponentPushToken[a"]',
        b"ExponentPushToken[a\\]",
        b"ExponentPushToken[a b]",
        b"ExponentPushToken[\xc3\xa9]",
        b"ExponentPushToken[a]\n",
        UUID[:-1],
    ],
)
def test_what_is_no_token(token: bytes) -> None:
    assert not is_token(token)


def test_neighbours_with_equal_content_and_expiry_share_a_message() -> None:
    one, two = b'{"title":"one"}', b'{"title":"two"}'
    recipients = [Recipient(b"A", one, 5), Recipient(b"B", one, 5), Recipient(b"C", one, 6), Recipient(b"D", two, 6)]
    assert json.loads(request_body(recipients)) == [
        {"to": ["A", "B"], "expiration": 5, "title": "one"},
        {"to": ["C"], "expiration": 6, "title": "one"},
        {"to": ["D"], "expiration": 6, "title": "two"},
    ]


def test_only_large_bodies_are_compressed() -> None:
    small, large = b"x" * GZIP_ABOVE_BYTES, b"x" * (GZIP_ABOVE_BYTES + 1)
    assert encoded(small)[0] == small
    assert "content-encoding" not in encoded(small)[1]
    body, headers = encoded(large)
    assert (gzip.decompress(body), headers["content-encoding"]) == (large, "gzip")
