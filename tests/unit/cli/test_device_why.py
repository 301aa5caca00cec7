"""`pushcast device why`: what people and programs see of a history."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from pushcast.audit import device_history
from pushcast.audit.device_history import History
from pushcast.audit.kept import DeviceWait
from pushcast.cli.device import app
from pushcast.register.history import HistoryStep, KnownDevice

HASH = "5e" * 16
OURS = KnownDevice("user-1", "news", "d-1")
VERDICT = HistoryStep(
    1_800_000_000_000, "verdict", "device_unregistered", OURS, HASH, "push.token.invalid.v1", 3, 17,
    {"provider_status": 410, "invalid_since": None},
)  # fmt: skip


def asked(monkeypatch: pytest.MonkeyPatch, found: History, *arguments: str) -> tuple[Any, dict[str, Any]]:
    """The command's result and what it asked for."""
    asked_for: dict[str, Any] = {}

    def history_of(_: object, subject: str, **options: Any) -> History:
        asked_for.update(options, subject=subject)
        return found

    monkeypatch.setattr(device_history, "history_of", history_of)
    return CliRunner().invoke(app, ["why", *arguments]), asked_for


def test_people_see_a_line_for_each_step_and_what_is_beyond_retention(monkeypatch: pytest.MonkeyPatch) -> None:
    found = History([VERDICT], {"push.token.invalid.v1": 1_799_000_000_000, "push.token.hold.v1": None}, left_out=2)
    result, wanted = asked(monkeypatch, found, "d-1", "--user", "user-1", "--app", "news")
    assert result.exit_code == 0
    assert wanted == {"subject": "d-1", "user": "user-1", "app": "news"}
    [line] = result.stdout.splitlines()
    for part in ("2027-01-15T08:00:00.000Z", "verdict", "device_unregistered", "user-1/news/d-1", HASH[:12], "v1/3/17"):
        assert part in line
    assert "push.token.invalid.v1: what was before 2027-01-03T18:13:20.000Z is beyond its retention" in result.stderr
    assert "push.token.hold.v1: what" not in result.stderr
    assert "left out: 2 older steps" in result.stderr


def test_programs_get_the_steps_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = asked(monkeypatch, History([VERDICT], {"push.token.hold.v1": None}), "d-1", "--output", "json")
    shown = json.loads(result.stdout)
    assert (shown["subject"], shown["kept_since"]) == ("d-1", {"push.token.hold.v1": None})
    [step] = shown["steps"]
    assert (step["step"], step["provider_status"], step["record"]) == ("verdict", 410, "push.token.invalid.v1/3/17")


def test_what_waits_in_the_keeper_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    wait = DeviceWait("user-1", "news", "d-1", "broadcast", "b-1", "bulk", "quiet_hours", 1_800_000_000_000)
    result, _ = asked(monkeypatch, History([VERDICT], waits=[wait]), "d-1")
    assert result.stdout.splitlines()[-1] == (
        "user-1/news/d-1: broadcast b-1 waits in the keeper until 2027-01-15T08:00:00.000Z (quiet_hours)"
    )
    result, _ = asked(monkeypatch, History([VERDICT], waits=[wait]), "d-1", "--output", "json")
    [shown] = json.loads(result.stdout)["waits"]
    assert (shown["id"], shown["because"], shown["until"]) == ("b-1", "quiet_hours", "2027-01-15T08:00:00.000Z")


def test_nothing_known_is_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    result, _ = asked(monkeypatch, History(), "d-9")
    assert result.exit_code == 1
    assert "nothing is known of d-9" in result.stderr
