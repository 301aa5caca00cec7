"""`pushcast pause` and `resume` against a control topic in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pushcast.cli import build
from pushcast.model.errors import ConfigurationError
from pushcast.model.words import Lane, Platform
from pushcast.wire.control.control import BreakerRecord, Kind, Pause, Subject, encode
from pushcast.wire.control.control_state import ControlState
from twins.control import control_in_memory

NEWS = Subject(Kind.PAUSE, "news", Platform.APNS)
BULK = NEWS._replace(lane=Lane.BULK)


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ControlState:
    """What the commands read and write."""
    return control_in_memory(monkeypatch, tmp_path, "apps: {news: {}, chat: {}}\n")


def call(*arguments: str) -> Any:
    result = CliRunner().invoke(build(("pause", "resume")), [*arguments, "--output", "json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def text(*arguments: str) -> str:
    result = CliRunner().invoke(build(("pause", "resume")), list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_pause_says_who_and_why_and_holds_until_it_is_ended(state: ControlState) -> None:
    shown = call("pause", "--app", "news", "--platform", "apns", "--comment", "wrong key")
    assert (shown["app"], shown["platform"], shown["lane"], shown["changed"]) == ("news", "apns", None, True)
    assert state.pauses[NEWS].comment == "wrong key"
    assert "@" in state.pauses[NEWS].by
    assert state.paused("news", Platform.APNS, Lane.URGENT)
    ended = call("resume", "--app", "news", "--platform", "apns")
    assert [row["comment"] for row in ended["resumed"]] == ["wrong key"]
    assert not state.paused("news", Platform.APNS, Lane.URGENT)


def test_pausing_again_changes_nothing_and_keeps_the_first_time(state: ControlState) -> None:
    state.apply(NEWS.key(), encode(Pause(5, "ann")))
    shown = call("pause", "--app", "news", "--platform", "apns")
    assert (shown["changed"], shown["by"], shown["since"]) == (False, "ann", "1970-01-01T00:00:00.005Z")
    assert "nothing changed" in text("pause", "--app", "news", "--platform", "apns")


def test_one_lane_is_paused_and_resumed_alone(state: ControlState) -> None:
    call("pause", "--app", "news", "--platform", "apns", "--lane", "bulk")
    assert list(state.pauses) == [BULK]
    assert "news on apns, bulk lane is resumed" in text(
        "resume", "--app", "news", "--platform", "apns", "--lane", "bulk"
    )
    assert not state.pauses


def test_a_resumption_without_a_lane_ends_every_pause_of_the_app_on_the_platform(state: ControlState) -> None:
    for subject in (NEWS, BULK, Subject(Kind.PAUSE, "chat", Platform.APNS)):
        state.apply(subject.key(), encode(Pause(5)))
    assert len(call("resume", "--app", "news", "--platform", "apns")["resumed"]) == 2
    assert [subject.app for subject in state.pauses] == ["chat"]


def test_a_lane_cannot_be_resumed_alone_while_all_are_paused(state: ControlState) -> None:
    state.apply(NEWS.key(), encode(Pause(5)))
    with pytest.raises(Exception, match="resume it without --lane"):
        call("resume", "--app", "news", "--platform", "apns", "--lane", "bulk")
    assert list(state.pauses) == [NEWS]


def test_nothing_paused_is_said_and_no_error(state: ControlState) -> None:
    assert call("resume", "--app", "news", "--platform", "apns") == {"resumed": []}
    assert "was not paused" in text("resume", "--app", "news", "--platform", "apns")


def test_the_list_has_pauses_and_open_breakers(state: ControlState) -> None:
    state.apply(BULK.key(), encode(Pause(5, "ann", "why")))
    for app, entry in (
        ("chat", BreakerRecord("open", "expired_key", 1, 2)),
        ("news", BreakerRecord("closed", "x", 1, 2, 3)),
    ):
        state.apply(Subject(Kind.BREAKER, app, Platform.APNS).key(), encode(entry))
    shown = call("pause", "--list")
    assert [(row["app"], row["lane"], row["by"], row["comment"]) for row in shown["pauses"]] == [
        ("news", "bulk", "ann", "why")
    ]
    assert [(row["app"], row["reason"]) for row in shown["open_breakers"]] == [("chat", "expired_key")]
    assert "chat  apns  breaker open since 1970" in text("pause", "--list")


def test_an_app_that_is_not_configured_is_named_with_those_that_are(state: ControlState) -> None:
    with pytest.raises(ConfigurationError, match="no app 'nwes' in the configuration; apps are: chat, news"):
        call("pause", "--app", "nwes", "--platform", "apns")
    assert not state.pauses


@pytest.mark.parametrize("arguments", [(), ("--app", "news"), ("--platform", "apns"), ("--list", "--app", "news")])
def test_half_an_answer_is_a_usage_error(state: ControlState, arguments: tuple[str, ...]) -> None:
    assert CliRunner().invoke(build(("pause", "resume")), ["pause", *arguments]).exit_code == 2
