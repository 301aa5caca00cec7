"""`pushcast why`: what people see of the answer, and of what Kafka has removed."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from pushcast.audit import why as asked
from pushcast.cli.why import why

STEP = {"topic": "push.receipt.v1", "partition": 3, "offset": 7, "at": "2026-11-28T10:00:00.000Z", "what": "receipt"}
FOUND = {
    "answer": "yes: 1 accepted",
    "verdict": {"answer": "accepted_by_provider", "because": None},
    "evidence": [STEP],
    "hints": ["n-2 came later with the same collapse id"],
    "traces": ["4bf92f3577b34da6a3ce929d0e0e4736"],
    "kept_since": {"push.receipt.v1": "2026-11-21T00:00:00.000Z", "push.planned.v1": None},
}


def run(monkeypatch: pytest.MonkeyPatch, known: bool, *arguments: str) -> Any:
    monkeypatch.setattr(asked, "why", lambda *_: (known, FOUND))
    command = typer.Typer()
    command.command()(why)
    return CliRunner().invoke(command, ["n-1", "--user", "u-1", *arguments])


def test_people_see_the_sentence_its_records_and_what_is_beyond_retention(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, True)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "yes: 1 accepted"
    assert "push.receipt.v1/3/7" in result.stdout
    assert "perhaps: n-2 came later with the same collapse id" in result.stdout
    assert "trace: 4bf92f3577b34da6a3ce929d0e0e4736" in result.stdout
    assert "push.receipt.v1: what was before 2026-11-21T00:00:00.000Z is beyond its retention" in result.stderr
    assert "push.planned.v1" not in result.stderr


def test_programs_get_it_as_json_and_what_is_unknown_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, False, "--output", "json")
    assert (result.exit_code, json.loads(result.stdout)) == (1, FOUND)
