"""What a running process takes of a changed configuration."""

from __future__ import annotations

from typing import Any

import pytest

from pushcast.config.changes import RELOADABLE, compare, reloadable
from pushcast.config.reference import render
from pushcast.config.settings import Settings

BEFORE: dict[str, Any] = {
    "classes": {"default": {"window_seconds": 0.05}, "breaking": {"lane": "urgent", "ttl_seconds": 3600}},
    "apps": {"news": {"expo": {}}},
    "gateway": {},
}


def settings(**changed: Any) -> Settings:
    return Settings.model_validate({**BEFORE, **changed})


def test_equal_settings_change_nothing() -> None:
    found = compare(settings(), settings())
    assert (found.taken, found.restart_needed) == ([], [])


def test_times_of_a_class_are_taken_and_its_lane_is_not() -> None:
    new = {**BEFORE["classes"], "breaking": {"lane": "bulk", "ttl_seconds": 60, "window_seconds": 2}}
    found = compare(settings(), settings(classes=new))
    assert found.taken == ["classes.breaking.window_seconds", "classes.breaking.ttl_seconds"]
    assert found.restart_needed == ["classes.breaking.lane"]
    merged = found.settings.classes["breaking"]
    assert (merged.lane, merged.ttl_seconds, merged.window_seconds) == ("urgent", 60, 2)


@pytest.mark.parametrize(
    ("changed", "needed"),
    [
        ({"classes": {**BEFORE["classes"], "chat": {}}}, ["classes.chat"]),
        ({"classes": {"default": {"window_seconds": 0.05}}}, ["classes.breaking"]),
        ({"apps": {"news": {"expo": {}}, "chat": {"expo": {}}}}, ["apps.chat"]),
        ({"apps": {}}, ["apps.news"]),
        ({"gateway": None}, ["gateway"]),
        ({"kafka": {"bootstrap_servers": "b:9092", "partitions": 64}}, ["kafka.bootstrap_servers", "kafka.partitions"]),
    ],
)
def test_what_comes_goes_or_is_built_at_the_start_needs_a_restart(changed: dict[str, Any], needed: list[str]) -> None:
    found = compare(settings(), settings(**changed))
    assert (found.taken, found.restart_needed) == ([], needed)
    assert found.settings == settings()


def test_webhooks_canaries_and_origins_are_taken_whole_whether_they_come_go_or_change() -> None:
    hook = {"url": "https://crm.example/push", "secret_file": "s", "events": ["tokens.invalid"]}
    hook["allowed_hosts"] = ["crm.example"]
    canary = {"every_seconds": 60, "token_file": "t"}
    more = {"webhooks": {"crm": hook}, "gateway": {"cors_origins": ["https://a.example"]}}
    new = settings(**more, apps={"news": {"expo": {"canary": canary}}})
    come, gone = compare(settings(), new), compare(new, settings())
    assert sorted(come.taken) == ["apps.news.expo.canary", "gateway.cors_origins", "webhooks"]
    assert (come.settings, come.restart_needed) == (new, [])
    assert (sorted(gone.taken), gone.settings) == (sorted(come.taken), settings())


def test_a_pattern_stands_for_one_name_at_each_place() -> None:
    assert reloadable("classes.default.ttl_seconds")
    assert not reloadable("classes.ttl_seconds")
    assert not reloadable("classes.a.b.ttl_seconds")


def test_every_reloadable_setting_exists() -> None:
    page = render()
    for pattern in RELOADABLE:
        assert pattern.rpartition(".")[2] in page, pattern
