"""`pushcast report show`: of one report, or of a campaign."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from pushcast.cli import report

FOUND: dict[str, Any] = {
    "campaign": "cup", "reports": 2, "whole": True, "planned": 10, "open": 1, "held": 0,
    "outcomes": {"accepted": 9, "dead": 0}, "complete": True, "missing_partitions": [],
}  # fmt: skip


@pytest.fixture(autouse=True)
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found = dict(FOUND)
    monkeypatch.setattr(report, "_ask", lambda _: found)
    return found


def test_a_campaign_is_shown_as_the_sum_of_its_reports() -> None:
    text = CliRunner().invoke(report.app, ["show", "--campaign", "cup"])
    said = CliRunner().invoke(report.app, ["show", "--campaign", "cup", "--output", "json"])
    assert (text.exit_code, json.loads(said.stdout)) == (0, FOUND)
    assert [line.split() for line in text.stdout.splitlines()] == [
        ["cup:", "2", "reports"],
        ["10", "planned,", "1", "open,", "0", "held"],
        ["9", "accepted"],
    ]


def test_a_campaign_without_reports_ends_with_1_and_names_who_is_silent(answers: dict[str, Any]) -> None:
    answers |= {"reports": 0, "missing_partitions": [3]}
    found = CliRunner().invoke(report.app, ["show", "--campaign", "cup"])
    assert found.exit_code == 1
    assert "there is no report of cup" in found.stderr
    assert "partitions 3" in found.stderr


@pytest.mark.parametrize("arguments", [[], ["n-1", "--campaign", "cup"]])
def test_either_an_id_or_a_campaign_is_asked_for(arguments: list[str]) -> None:
    assert CliRunner().invoke(report.app, ["show", *arguments]).exit_code == 2
