"""`pushcast config diff`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pushcast.cli import build

BEFORE = "classes: {default: {ttl_seconds: 100}}\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    now = tmp_path / "pushcast.yaml"
    now.write_text(BEFORE)
    monkeypatch.setenv("PUSHCAST_CONFIG", str(now))
    return tmp_path / "new.yaml"


@pytest.mark.parametrize(
    ("text", "taken", "needed", "code"),
    [
        (BEFORE, [], [], 0),
        ("classes: {default: {ttl_seconds: 200}}", ["classes.default.ttl_seconds"], [], 0),
        (BEFORE + "kafka: {partitions: 64}", [], ["kafka.partitions"], 3),
    ],
)
def test_it_says_what_is_taken_and_what_needs_a_restart(
    files: Path, text: str, taken: list[str], needed: list[str], code: int
) -> None:
    files.write_text(text)
    found = CliRunner().invoke(build(["config"]), ["config", "diff", str(files), "--output", "json"])
    assert found.exit_code == code
    assert json.loads(found.stdout) == {"taken": taken, "restart_needed": needed}


def test_a_file_that_is_wrong_is_refused_with_its_fault(files: Path) -> None:
    files.write_text("kafka: {partitions: 0}")
    found = CliRunner().invoke(build(["config"]), ["config", "diff", str(files)])
    assert found.exit_code != 0
    assert "kafka.partitions" in str(found.exception) + found.output
