"""Sizes told at the door: of a sealed content as large as its largest device makes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushcast.config.settings import Settings
from pushcast.gateway.problems import Problem
from pushcast.gateway.sizes import Sizes
from pushcast.model.notification import Notification
from pushcast.wire.events.class_rules import class_rules
from pushcast.wire.events.notifications import NotificationDecoder
from pushcast.wire.sending.sealed_contents import plaintext_of

T0 = 1_800_000_000_000
#: Acceptance fact 48's limits: a title of 16 letters, a key id of ten digits.
LONGEST = {"apns": 2_966, "fcm": 3_023}


def settings(platform: str) -> Settings:
    apns = {"topic": "com.example.news", "key_file": "/k.p8", "key_id": "K" * 10, "team_id": "T" * 10}
    fcm = {"project_id": "news", "service_account_file": "/s.json"}
    letters = {"privacy": "sealed", "generic_title": "A message here.."}
    app: dict[str, Any] = {platform: apns if platform == "apns" else fcm}
    return Settings.model_validate({"apps": {"news": app}, "classes": {"letters": letters}})


def letter(tree: Settings, longest: int) -> Notification:
    """Of a plaintext of so many bytes."""
    decoder = NotificationDecoder(tree.apps, class_rules(tree.classes))
    event: dict[str, Any] = {"id": "n-1", "app": "news", "class": "letters", "body": "x", "created_at": T0}
    empty = decoder.decode("u-1", json.dumps(event).encode(), T0)
    size = len(plaintext_of(empty.content, empty.id, empty.klass, empty.created_at))
    return decoder.decode("u-1", json.dumps({**event, "body": "x" * (longest - size + 1)}).encode(), T0)


@pytest.mark.parametrize("platform", LONGEST)
def test_a_sealed_content_may_fill_what_its_platform_takes_and_no_more(platform: str) -> None:
    tree = settings(platform)
    sizes, longest = Sizes(tree), LONGEST[platform]
    sizes.check(letter(tree, longest))
    with pytest.raises(Problem, match=f"{platform}: .* at most 4096"):
        sizes.check(letter(tree, longest + 3))
