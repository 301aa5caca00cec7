"""What the simulator's screen shows of each field of a payload."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.providers.apns.message import render
from pushcast.simulators.apns.appearance import Appearance, appearance
from pushcast.simulators.apns.store import DeviceStore
from unit.providers.fields import CASES, message_of

TOKEN = b"ab" * 32


def seen_of(event: dict[str, Any]) -> Appearance:
    return appearance(render(message_of(event), "com.example.news").body)


def test_the_screen_has_every_field_that_a_user_can_see() -> None:
    assert seen_of(CASES["all"])[:3] == (
        {
            "title": "Goal!",
            "subtitle": "Premier League",
            "body": "1:0",
            "category": "MATCH",
            "interruption_level": "time-sensitive",
            "relevance_score": 0.8,
            "image": "https://example.com/goal.png",
            "link": "https://example.com/match/4711",
            "actions": CASES["all"]["actions"],
        },
        {"critical": 1, "name": "goal.caf", "volume": 0.5},
        3,
    )


def test_a_thread_groups_what_is_shown() -> None:
    assert seen_of(CASES["options.thread_id"]).notification == {"title": "Goal!", "thread": "cup"}


@pytest.mark.parametrize("case", ["data", "badge alone", "sound alone"])
def test_what_has_no_text_is_not_in_the_list(case: str) -> None:
    event = {"data": CASES["data"]["data"]} if case == "data" else CASES[case]
    assert seen_of(event).notification is None


def test_without_an_extension_that_runs_nobody_sees_the_image() -> None:
    event = {**CASES["image"], "platforms": {"apns": {"aps": {"mutable-content": 0}}}}
    assert seen_of(event).notification == {"title": "Goal!"}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"aps":1}', b"\xff"])
def test_of_what_is_no_payload_nothing_is_seen(body: bytes) -> None:
    assert appearance(body) == Appearance(None, None, None)


def test_a_badge_alone_changes_the_icon_and_is_not_heard() -> None:
    store = DeviceStore()
    for case in ("title", "badge alone", "sound alone"):
        event = CASES.get(case, {"title": "Goal!"})
        store.accept(TOKEN, "com.example.news", b"", b"", render(message_of(event), "com.example.news").body, 0.0)
    screen = store.screen(TOKEN)
    assert (screen["badge"], screen["alerts"], len(screen["shown"])) == (0, 2, 1)
