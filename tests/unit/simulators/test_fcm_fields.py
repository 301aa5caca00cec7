"""FCM takes the fields of Google's discovery document and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pushcast.simulators.fcm.errors import NO_RECIPIENT
from pushcast.simulators.fcm.messages import parse
from pushcast.simulators.fcm.schema import FIELDS


def fault_of(**notification: object) -> object:
    message = {"token": "token-of-sixteen:APA91b", "android": {"notification": notification}}
    return parse(json.dumps({"message": message}).encode()).fault


SAMPLES: dict[str, Any] = {
    "string": "text",
    "google-duration": "1.5s",
    "google-datetime": "2026-11-28T12:00:00Z",
    "boolean": True,
    "int32": 3,
    "float": 0.5,
    "any": {"k": [1]},
}


def sample(kind: Any) -> Any:
    """A value of a type of Google's document, with every field below it."""
    if isinstance(kind, str):
        return SAMPLES[kind]
    [(shape, inner)] = kind.items()
    if shape == "enum":
        return inner[0]
    if shape == "message":
        return {name: sample(below) for name, below in FIELDS[inner].items()}
    return [sample(inner)] if shape == "list" else {"k": sample(inner)}


def whole_message() -> dict[str, Any]:
    message: dict[str, Any] = sample({"message": "Message"})
    del message["fid"], message["topic"], message["condition"]
    message["token"] = "token-of-sixteen:APA91b"
    return message


def places(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every object below a message that has fields of Google's, not a producer's own keys."""
    if isinstance(value, dict) and (not path or path[-1] not in ("data", "headers", "payload", "any")):
        yield path
        for name, below in value.items():
            if (*path, name) != ("webpush", "notification"):
                yield from places(below, (*path, name))


def test_every_field_of_googles_document_is_taken() -> None:
    assert parse(json.dumps({"message": whole_message()}).encode()).fault is None


@pytest.mark.parametrize("path", list(places(whole_message())), ids=".".join)
def test_a_field_that_googles_document_does_not_have_is_refused_by_its_name(path: tuple[str, ...]) -> None:
    message = whole_message()
    parent = message
    for name in path:
        parent = parent[name]
    parent["renotify"] = True
    assert "renotify" in str(parse(json.dumps({"message": message}).encode()).fault)


@pytest.mark.parametrize("value", ["high", "HIGH", "normal"])
def test_priorities_are_taken_in_both_spellings(value: str) -> None:
    message = {"token": "token-of-sixteen:APA91b", "android": {"priority": value}}
    assert parse(json.dumps({"message": message}).encode()).fault is None


def test_a_number_beyond_32_bits_is_refused() -> None:
    assert "notification_count" in str(fault_of(notification_count=2**31))


def test_what_android_does_not_know_is_refused_by_its_name() -> None:
    assert "category" in str(fault_of(category="MATCH"))


def test_a_request_without_a_message_has_no_recipient() -> None:
    assert parse(b"{}").fault is NO_RECIPIENT
