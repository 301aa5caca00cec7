"""What users of Android devices, Expo apps and browsers see: of the bytes that our renderers write, field by field."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from pushcast.simulators.expo import appearance as expo
from pushcast.simulators.fcm import appearance as fcm
from pushcast.simulators.screens import Look, Screens
from pushcast.simulators.webpush import appearance as webpush
from unit.providers.fields import CASES

GOLDEN = Path(__file__).parents[1] / "providers" / "golden"
IMAGE = "https://example.com/goal.png"
LINK = "https://example.com/match/4711"


def seen(platform: str, case: str) -> Look:
    """Of the golden file of a platform."""
    sent = json.loads((GOLDEN / f"{platform}.json").read_text())[case]
    if platform == "expo":
        return expo.look_of(sent[0])
    return fcm.look_of(sent) if platform == "fcm" else webpush.look_of(sent["payload"])


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("fcm", {"title": "Goal!", "body": "1:0", "channel": "goals", "category": "MATCH", "color": "#ff0000"}),
        (
            "expo",
            {
                "title": "Goal!",
                "subtitle": "Premier League",
                "body": "1:0",
                "channel": "goals",
                "category": "MATCH",
                "thread": "cup",
                "interruption_level": "time-sensitive",
                "relevance_score": 0.8,
            },
        ),
    ],
)
def test_an_app_shows_every_field_that_its_platform_can_show(platform: str, expected: dict[str, Any]) -> None:
    look = seen(platform, "all")
    assert look.notification == {**expected, "image": IMAGE, "link": LINK, "actions": CASES["all"]["actions"]}
    assert (look.tag, look.badge) == ("match-4711", 3)
    assert look.sound == ("goal.caf" if platform == "fcm" else {"critical": True, "name": "goal.caf", "volume": 0.5})


def test_a_browser_shows_the_subtitle_as_a_line_of_the_text_and_names_actions_its_own_way() -> None:
    look = seen("webpush", "all")
    assert look.notification == {
        "title": "Goal!",
        "body": "Premier League\n1:0",
        "image": IMAGE,
        "link": LINK,
        "actions": [{"action": "open", "title": "Open"}, {"action": "mute", "title": "Mute"}],
    }
    assert (look.tag, look.badge) == ("match-4711", 3)


@pytest.mark.parametrize(
    ("platform", "case"), [("fcm", "data"), ("expo", "data"), ("webpush", "data"), ("fcm", "badge alone")]
)
def test_what_has_no_text_is_not_in_the_list(platform: str, case: str) -> None:
    assert seen(platform, case).notification is None


def test_a_badge_alone_changes_the_icon_of_an_expo_app() -> None:
    look = seen("expo", "badge alone")
    assert (look.notification, look.badge) == (None, 0)


@pytest.mark.parametrize("look_of", [fcm.look_of, expo.look_of, webpush.look_of])
@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"message":1}', b'{"message":{"data":{"pc":"{"}}}', b"\xff"])
def test_of_what_is_no_payload_nothing_is_seen(look_of: Callable[[dict[str, Any]], Look], body: bytes) -> None:
    screens = Screens(look_of)
    screens.switch(True)
    screens.accept(b"a", body)
    assert screens.screen(b"a") == {"shown": [], "alerts": 0, "badge": None}


def push(title: str, tag: str | None, badge: int | None = None) -> bytes:
    options: dict[str, Any] = {} if tag is None else {"tag": tag}
    if badge is not None:
        options["data"] = {"pc": {"badge": badge}}
    return orjson.dumps({"title": title, "options": options})


def test_a_tag_replaces_its_own_and_what_has_none_replaces_nothing() -> None:
    screens = Screens(webpush.look_of)
    screens.switch(True)
    for title, tag in (("1", "goal"), ("2", "goal"), ("3", "whistle"), ("4", None), ("5", None)):
        screens.accept(b"a", push(title, tag, badge=int(title)))
    screen = screens.screen(b"a")
    assert [row["appearance"]["title"] for row in screen["shown"]] == ["2", "3", "4", "5"]
    assert (screen["alerts"], screen["badge"]) == (5, 5)


def test_a_list_keeps_fifty_and_the_least_recent_device_goes_first() -> None:
    screens = Screens(webpush.look_of, max_devices=2)
    screens.switch(True)
    for at in range(60):
        screens.accept(b"a", push(str(at), None))
    assert [row["appearance"]["title"] for row in screens.screen(b"a")["shown"]] == [str(at) for at in range(10, 60)]
    for address in (b"b", b"a", b"c"):
        screens.accept(address, push("x", "x"))
    assert [len(screens.screen(each)["shown"]) for each in (b"a", b"b", b"c")] == [50, 0, 1]


def test_the_view_costs_nothing_until_it_is_asked_for_and_forgets_when_it_is_switched_off() -> None:
    screens = Screens(webpush.look_of)
    screens.accept(b"a", push("x", None))
    with pytest.raises(ValueError, match="switch the store on"):
        screens.screen(b"a")
    screens.switch(True)
    assert screens.screen(b"a")["shown"] == []
    screens.accept(b"a", push("x", None))
    screens.switch(False)
    screens.switch(True)
    assert screens.screen(b"a")["shown"] == []
