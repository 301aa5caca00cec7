"""`pushcast segment` against a control topic in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pushcast.cli import build
from pushcast.model.audience import Locale
from pushcast.model.errors import ConfigurationError, PushcastError
from pushcast.wire.control.control_state import ControlState
from twins.control import control_in_memory

WHERE = {"locale": "de"}


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ControlState:
    """What the commands read and write."""
    return control_in_memory(monkeypatch, tmp_path, "apps: {news: {}}\n")


def run(*arguments: str, given: str = "") -> Any:
    return CliRunner().invoke(build(("segment",)), ["segment", *arguments], input=given, catch_exceptions=False)


def test_a_segment_is_put_shown_listed_and_deleted(state: ControlState) -> None:
    assert run("put", "de", "-", given=json.dumps(WHERE)).exit_code == 0
    assert state.segment("de") == Locale("de")
    assert json.loads(run("show", "de", "--output", "json").stdout) == {"name": "de", "where": WHERE}
    assert json.loads(run("list", "--output", "json").stdout) == [{"name": "de", "where": WHERE}]
    assert run("delete", "de").exit_code == 0
    assert state.segments == {}
    assert run("list").stdout == "none\n"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [("de", "{", "not_json"), ("de", '{"locale": 7}', "where.locale must be a text"), ("a/b", "{}", "1 to 63")],
)
def test_what_no_broadcast_could_use_is_refused(state: ControlState, name: str, text: str, says: str) -> None:
    result = run("put", name, "-", given=text)
    assert (result.exit_code, state.segments) == (1, {})
    assert says in result.output


def test_a_file_that_is_not_there_is_told_in_one_line(state: ControlState, tmp_path: Path) -> None:
    for file in (tmp_path / "none.json", tmp_path):
        with pytest.raises(ConfigurationError, match=f"^{file}: "):
            run("put", "de", str(file))
    assert state.segments == {}


def test_a_name_that_stands_for_nothing_is_an_error(state: ControlState) -> None:
    for verb in ("show", "delete"):
        with pytest.raises(PushcastError, match="no segment 'x'"):
            run(verb, "x")


def test_one_segment_too_many_is_refused(state: ControlState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushcast.wire.control.control_state.MAX_NAMES", 1)
    run("put", "de", "-", given=json.dumps(WHERE))
    with pytest.raises(PushcastError, match="too_many"):
        run("put", "fr", "-", given=json.dumps(WHERE))
    assert run("put", "de", "-", given=json.dumps({"locale": "de-at"})).exit_code == 0
