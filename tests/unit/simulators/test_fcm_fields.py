from __future__ import annotations

import json

import pytest

from pushcast.simulators.fcm.messages import parse


def fault_of(**notification: object) -> object:
    message = {"token": "token-of-sixteen:APA91b", "android": {"notification": notification}}
    return parse(json.dumps({"message": message}).encode()).fault


@pytest.mark.parametrize("field", ["channel_id", "click_action", "notification_count", "color"])
def test_what_android_knows_is_taken(field: str) -> None:
    assert fault_of(**{field: 1}) is None


def test_what_android_does_not_know_is_refused_by_its_name() -> None:
    assert "category" in str(fault_of(category="MATCH"))
