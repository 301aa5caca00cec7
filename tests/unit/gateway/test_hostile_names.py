"""G25 of doors.md for every call: whatever stands in ids, names and parameters, it is answered, and makes no header."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from pushcast.gateway.routes import PLACEHOLDERS, Route
from twins.gateway import gateway

NAMES = [
    "a\r\nX-Made: 1", "a\nb", "é" * 100, "\U0001f600", "a/b", "..", "%2e%2e", "a b", "\1", "\u2028", "a" * 256, "\x7f",
    "?x=1#y", "a\tb", "'\"<script>",
]  # fmt: skip


def body_of(route: Route, name: str) -> dict[str, Any]:
    note = {"id": name, "user": name, "app": "news", "title": name}
    cast = {"id": name, "app": "news", "title": name, "audience": {"all": True}}
    device = {"platform": "apns", "token": "ab" * 32, "op": "register", "user": name, "app": "news", "device": name}
    told = {"user": name, "app": "news", "device": name, "events": [{"event": "opened", "notification": name}]}
    known: dict[str, dict[str, Any]] = {
        "Notification": note,
        "NotificationList": {"notifications": [note]},
        "Broadcast": cast,
        "Device": {"platform": "apns", "token": "ab" * 32},
        "DeviceList": {"devices": [device]},
        "Engagement": told,
        "MyEngagement": told,
        "Preferences": {"time_zone": name},
        "Comment": {"comment": name},
        "CampaignCancel": {"comment": name},
        "Redrive": {"users": [name]},
    }
    return known.get(route.body or "", {})


@pytest.mark.parametrize("name", NAMES)
async def test_g25_no_name_breaks_an_answer_or_makes_a_header(name: str) -> None:
    asked: dict[str, int] = {}
    async with gateway() as rig, rig.client(rig.key()) as client:
        for route in rig.calls.keyed:
            path = route.path
            for placeholder in PLACEHOLDERS:
                path = path.replace(f"{{{placeholder}}}", "news" if placeholder == "app" else quote(name, safe=""))
            query = {each.name: name for each in route.query}
            bodies = [None, name] if route.text else [body_of(route, name)]
            for parameters in ({}, query):
                for body in bodies:
                    sent = {"json": body} if isinstance(body, dict) and route.max_bytes else {"content": body or ""}
                    answer = await client.request(route.method, path, params=parameters, **sent)
                    asked[f"{route.method} {route.path} {parameters}"] = answer.status_code
                    assert "x-made" not in answer.headers
    assert len(asked) >= len(rig.calls.keyed)
    assert {call: status for call, status in asked.items() if status >= 500 and status != 501} == {}


async def test_g25_a_broadcast_whose_id_has_a_line_break_is_answered_with_its_place() -> None:
    cast = {"id": "a\r\nX-Made: 1", "app": "news", "title": "t", "audience": {"all": True}}
    async with gateway() as rig, rig.client(rig.key()) as client:
        answer = await client.post("/v1/broadcasts", json=cast)
    assert (answer.status_code, answer.json()["id"]) == (202, cast["id"])
    assert answer.headers["location"] == "/v1/reports/a%0D%0AX-Made%3A%201"
