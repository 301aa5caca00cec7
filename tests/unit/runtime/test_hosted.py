"""What a process hosts for its roles."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from pushcast.config.settings import Settings
from pushcast.model.words import Lane
from pushcast.providers.expo.client import ExpoProvider
from pushcast.runtime.hosted import Hosted, host, producible
from pushcast.runtime.status import longest_wait_seconds
from pushcast.transport.app import transport_of
from pushcast.wire import topics


def hosted(tmp_path: Path, apps: dict[str, Any], role: str, **sections: Any) -> tuple[Settings, Hosted]:
    settings = Settings.model_validate({"data_dir": str(tmp_path), "apps": apps, **sections})
    return settings, host(settings, [role], [], [], None, cast(Any, None))


async def test_a_settler_asks_for_receipts_where_an_app_has_expo(tmp_path: Path) -> None:
    _, found = hosted(tmp_path, {"news": {"expo": {}}, "chat": {}}, "settler")
    assert [app.conf.id for app in found.apps] == ["pushcast-poll-expo", "pushcast-settle", "pushcast-spread"]
    asked = [each for each in found.resources if isinstance(each, ExpoProvider)]
    assert [(each.app, each.platform) for each in asked] == [("news", "expo")]


async def test_without_expo_nobody_asks(tmp_path: Path) -> None:
    _, found = hosted(tmp_path, {"news": {}}, "settler")
    assert [app.conf.id for app in found.apps] == ["pushcast-settle", "pushcast-spread"]
    assert found.resources == []


def test_what_the_roles_write_of_tickets_is_in_the_topology() -> None:
    written = {topics.TOKEN_INVALID, topics.CONTROL, "push.ticket.expo.v1", "push.ticket.expo.v1.dlq"}
    assert written <= producible(["settler"]).keys()
    assert "push.ticket.expo.v1" in producible(["sender"])


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({}, 1980.0),  # the longest rung with its jitter
        ({"retry": {"rungs_seconds": [1, 1, 1, 1]}}, 900.0),  # tickets
        ({"retry": {"rungs_seconds": [1, 1, 1, 1]}, "tickets": {"ask_after_seconds": 2}}, 2.0),
    ],
)
async def test_a_process_whose_records_wait_by_design_is_not_called_stalled(
    tmp_path: Path, sections: dict[str, Any], expected: float
) -> None:
    _, found = hosted(tmp_path, {"news": {"expo": {}}}, "settler", **sections)
    assert longest_wait_seconds(found) == pytest.approx(expected)


async def test_a_keeper_waits_for_nothing_but_what_is_urgent(tmp_path: Path) -> None:
    _, found = hosted(tmp_path, {"news": {"expo": {}}}, "keeper")
    [app] = found.apps
    transport = transport_of(app)
    assert transport.stages.keys() - transport.gathered == {topics.keep(Lane.URGENT)}
    assert topics.USER in transport.gathered


async def test_a_registrar_that_holds_devices_is_not_called_stalled(tmp_path: Path) -> None:
    _, found = hosted(tmp_path, {"news": {"expo": {}}}, "registrar", devices={"hold_seconds": 700})
    assert longest_wait_seconds(found) == 700.0
