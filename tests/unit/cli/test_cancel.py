"""`pushcast cancel --campaign` and `pushcast pace` against a control topic in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pushcast.cli import build
from pushcast.config.providers import App
from pushcast.config.settings import Settings
from pushcast.model.errors import ConfigurationError, InvalidInput
from pushcast.wire.control.control import CampaignCancel, Rate
from pushcast.wire.control.control_state import ControlState
from twins.control import control_in_memory


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ControlState:
    """What the commands read and write."""
    return control_in_memory(monkeypatch, tmp_path, "apps: {news: {}}\n")


def run(*arguments: str) -> Any:
    result = CliRunner().invoke(build(("cancel", "pace")), list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_campaign_is_cancelled_with_who_and_why_and_leaves_again(state: ControlState) -> None:
    assert run("cancel", "--campaign", "xmas", "--remove", "--reason", "wrong price") == "campaign xmas is cancelled\n"
    found = state.campaigns["xmas"]
    assert isinstance(found, CampaignCancel)
    assert (found.remove, found.comment) == (True, "wrong price")
    assert "@" in found.by
    assert run("cancel", "--campaign", "xmas", "--end") == "campaign xmas leaves again\n"
    assert state.campaigns == {}


def test_a_campaigns_rate_is_changed_and_ended(state: ControlState) -> None:
    run("pace", "xmas", "--per-minute", "600")
    found = state.paces["xmas"]
    assert isinstance(found, Rate)
    assert found.per_minute == 600
    run("pace", "xmas", "--end")
    assert state.paces == {}


@pytest.mark.parametrize(
    ("one", "end"),
    [
        (("cancel", "--campaign", "{}"), ("cancel", "--campaign", "a", "--end")),
        (("pace", "{}", "--per-minute", "60"), ("pace", "a", "--end")),
    ],
)
def test_a_cancel_or_a_rate_that_nobody_would_remember_is_refused_and_no_other(
    state: ControlState, monkeypatch: pytest.MonkeyPatch, one: tuple[str, ...], end: tuple[str, ...]
) -> None:
    """Rulings II.27: what is ignored in silence leaves all the same."""
    monkeypatch.setattr("pushcast.wire.control.control_state.MAX_NAMES", 1)
    run(*(each.format("a") for each in one))
    with pytest.raises(InvalidInput) as refused:
        run(*(each.format("b") for each in one))
    assert refused.value.reason == "too_many"
    run(*(each.format("a") for each in one))
    run(*end)
    run(*(each.format("b") for each in one))
    assert not state.ignored


def test_a_thread_of_no_app_is_not_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would end nothing, and the command said that it did."""
    monkeypatch.setattr("pushcast.cli.cancel.connect_by_user", lambda: Settings(apps={"news": App()}))
    with pytest.raises(ConfigurationError, match="there is no app 'nwes'"):
        run("cancel", "--user", "u", "--app", "nwes", "--thread", "t1")
