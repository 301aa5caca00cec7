"""Limits on what FCM counts: rulings I.28."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.providers.fcm.message import render
from pushcast.providers.fcm.size import MAX_PAYLOAD_BYTES
from pushcast.providers.identity import NAME_CHARS
from pushcast.providers.unsendable import Unsendable
from pushcast.simulators.fcm.errors import TOO_LARGE
from pushcast.simulators.fcm.messages import parse
from unit.providers.fields import message_of
from unit.providers.messages import fcm_bodies


def body_of(event: dict[str, Any]) -> bytes:
    [body] = fcm_bodies(message_of(event, b"token-of-sixteen:APA91b"))
    return body


def refusal_of(event: dict[str, Any]) -> str:
    with pytest.raises(Unsendable) as refused:
        render(message_of(event))
    assert refused.value.reason == "payload_too_large"
    return str(refused.value)


#: Bytes that are there beside `x`: keys, and what the Android notification adds to the common one.
BODY = len("body") + len("tag") + NAME_CHARS


@pytest.mark.parametrize(
    ("where", "taken"),
    [
        (lambda text: {"body": text}, MAX_PAYLOAD_BYTES - BODY),
        (lambda text: {"body": "b", "data": {"k": text}}, MAX_PAYLOAD_BYTES - BODY - len("bk")),
        (
            lambda text: {"body": "b", "platforms": {"fcm": {"android": {"notification": {"ticker": text}}}}},
            MAX_PAYLOAD_BYTES - BODY - len("bticker"),
        ),
        (
            lambda text: {"body": "b", "platforms": {"fcm": {"android": {"data": {"k": text}}}}},
            MAX_PAYLOAD_BYTES - BODY - len("bk"),
        ),
        (
            lambda text: {"body": "b", "platforms": {"fcm": {"webpush": {"notification": {"icon": text}}}}},
            MAX_PAYLOAD_BYTES - len("bodybicon"),
        ),
    ],
    ids=["body", "data", "android.notification", "android.data", "webpush.notification"],
)
def test_the_limit_is_where_the_simulator_has_it(where: Any, taken: int) -> None:
    assert parse(body_of(where("x" * taken))).fault is None
    assert "at most 4096" in refusal_of(where("x" * (taken + 1)))


def test_the_simulator_refuses_what_is_one_byte_too_large() -> None:
    body = body_of({"body": "x" * (MAX_PAYLOAD_BYTES - BODY)})
    assert parse(body.replace(b"xxx", b"xxxx", 1)).fault is TOO_LARGE


def test_data_of_android_stands_instead_of_the_common_one() -> None:
    event = {"data": {"k": "x" * 3000}, "platforms": {"fcm": {"android": {"data": {"k": "y" * 3000}}}}}
    assert parse(body_of(event)).fault is None


def test_an_apns_payload_is_held_to_what_apns_takes() -> None:
    event = {"title": "Goal!", "platforms": {"fcm": {"apns": {"payload": {"k": "x" * 4096}}}}}
    assert "apns.payload" in refusal_of(event)
