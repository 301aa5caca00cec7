"""`pushcast broadcast` against a control topic and an intake topic in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pushcast.cli import build
from pushcast.config.settings import Settings
from pushcast.wire.control import Entry, Name, Subject, encode
from pushcast.wire.control_state import ControlState

EVENT: dict[str, Any] = {
    "id": "b-1",
    "app": "news",
    "title": "Goal!",
    "audience": {"topics": ["a"]},
    "class": "breaking",
}


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ControlState:
    """What the commands read and write."""
    state = ControlState()

    def write(_: Settings, subject: Subject | Name, entry: Entry | None) -> None:
        state.apply(subject.key(), None if entry is None else encode(entry))

    monkeypatch.setattr("pushcast.kafka.switchboard.read_state", lambda _: state)
    monkeypatch.setattr("pushcast.kafka.switchboard.write", write)
    path = tmp_path / "pushcast.yaml"
    path.write_text("apps: {news: {}}\nclasses: {breaking: {lane: urgent}}\n")
    monkeypatch.setenv("PUSHCAST_CONFIG", str(path))
    return state


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, state: ControlState) -> list[tuple[str, bytes, dict[str, Any]]]:
    """Topic, key and event of every broadcast."""
    found: list[tuple[str, bytes, dict[str, Any]]] = []

    def put_one(_: Settings, topic: str, key: bytes, value: bytes) -> int:
        found.append((topic, key, json.loads(value)))
        return len(found) - 1

    monkeypatch.setattr("pushcast.kafka.intake.put_one", put_one)
    return found


def run(*arguments: str, given: str = "") -> Any:
    return CliRunner().invoke(build(("broadcast",)), ["broadcast", *arguments], input=given, catch_exceptions=False)


def test_a_broadcast_goes_to_the_lane_of_its_class_under_its_id(written: list[Any]) -> None:
    result = run("send", "-", "--output", "json", given=json.dumps(EVENT))
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"id": "b-1", "lane": "urgent"})
    assert written == [("push.broadcast.urgent.v1", b"b-1", EVENT)]
    run("send", "-", "--lane", "bulk", given=json.dumps(EVENT))
    assert written[1][0] == "push.broadcast.bulk.v1"


def test_what_the_settler_would_refuse_is_refused_and_not_written(written: list[Any]) -> None:
    result = run("send", "-", given=json.dumps({**EVENT, "audience": {"topics": []}}))
    assert result.exit_code == 1
    assert "audience.topics has 0 entries; 1 to 20" in result.output
    assert written == []


def test_a_stop_says_who_and_when_it_may_go_and_a_hold_ends(state: ControlState) -> None:
    assert run("stop", "b-1", "--comment", "wrong score").exit_code == 0
    stopped = state.stops["b-1"]
    assert stopped.comment == "wrong score"
    assert "@" in stopped.by
    assert (stopped.remove_at or 0) > stopped.since_ms
    run("hold", "b-2")
    assert set(state.holds) == {"b-2"}
    run("resume", "b-2")
    assert state.holds == {}


def test_one_stop_too_many_is_refused(state: ControlState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushcast.wire.control_state.MAX_NAMES", 1)
    run("stop", "b-1")
    with pytest.raises(Exception, match="too_many"):
        run("stop", "b-2")
    assert run("stop", "b-1").exit_code == 0, "it is known already"


def test_fact_28_buckets_are_printed(state: ControlState) -> None:
    result = run("bucket", "--salt", "b-1", "u-1", "u-2", "--output", "json")
    assert json.loads(result.stdout) == {"u-1": 1432, "u-2": 6983}
