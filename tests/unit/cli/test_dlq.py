"""`pushcast dlq`: filters reach the reader, nothing is written without --execute, and no secret is shown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from pushcast.cli.dlq import app
from pushcast.settle import redrive
from pushcast.settle.letters import Filter, Letter, read_letter
from pushcast.settle.redrive import Report
from pushcast.wire.batches import encode_batch
from unit.send.twin import T0, message, send_batch
from unit.settle.test_letters import NOTES, SEND, raw

SECRET = "a token that nobody may see"


class TwinDeadLetters:
    """Letters of the test; notes what it was asked for."""

    letters_there: ClassVar[list[Letter]] = []
    asked: ClassVar[dict[str, Any]] = {}

    def __init__(self, settings: object) -> None:
        pass

    def __enter__(self) -> TwinDeadLetters:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def letters(self, wanted: Filter) -> Iterator[Letter]:
        self.asked["wanted"] = wanted
        return (letter for letter in self.letters_there if wanted.takes(letter))

    def redrive(self, wanted: Filter, manifest: object, **options: Any) -> Report:
        self.asked |= {"wanted": wanted, **options}
        return Report(letters=5, redriven=3, deliveries=7, left_out=Counter(accepted=2), before=1)


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[TwinDeadLetters]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(redrive, "DeadLetters", TwinDeadLetters)
    batch = encode_batch(send_batch(message(3), message(1, app="shop", first_user=9)))
    TwinDeadLetters.asked = {}
    TwinDeadLetters.letters_there = [
        read_letter(raw(SEND, batch, ("push.errors.reason", b"rate_limited"), offset=1)),
        read_letter(raw(SEND, batch, ("push.errors.reason", b"rate_limited"), offset=2)),
        read_letter(
            raw(NOTES, json.dumps({"id": 1, "token": SECRET}).encode(), ("push.errors.reason", b"unknown_field"))
        ),
    ]
    return TwinDeadLetters


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_letters_are_counted_by_topic_reason_and_app(dead: type[TwinDeadLetters]) -> None:
    found = json.loads(run("list", "--output", "json"))
    assert found["letters"] == 3
    rows = {(row["topic"], row["reason"], row["app"]): (row["letters"], row["deliveries"]) for row in found["rows"]}
    assert rows == {
        (NOTES + ".dlq", "unknown_field", None): (1, 0),
        (SEND + ".dlq", "rate_limited", "news,shop"): (2, 8),
    }


def test_the_filters_are_topic_reason_app_and_time(dead: type[TwinDeadLetters]) -> None:
    arguments = (
        "--topic",
        SEND + ".dlq",
        "--reason",
        "rate_limited",
        "--app",
        "shop",
        "--until",
        "2026-11-22T00:00:00Z",
    )
    assert "in all" in run("list", *arguments)
    wanted = dead.asked["wanted"]
    assert (wanted.topics, wanted.reasons, wanted.apps) == ({SEND}, {"rate_limited"}, {"shop"})
    assert wanted.until_ms == 1_795_305_600_000 < T0
    assert wanted.since_ms is None


def test_what_is_shown_holds_no_token(dead: type[TwinDeadLetters]) -> None:
    for output in ("json", "text"):
        shown = run("show", "--output", output)
        assert "unknown_field" in shown
        assert SECRET not in shown
        assert "token-0" not in shown, "the address of a target"
    assert len(json.loads(run("show", "--limit", "1", "--output", "json"))["letters"]) == 1


def test_a_redrive_is_a_dry_run_unless_it_is_told_otherwise(dead: type[TwinDeadLetters], tmp_path: Path) -> None:
    assert "dry run" in run("redrive", "--app", "news")
    assert (dead.asked["execute"], dead.asked["include_in_doubt"]) == (False, False)
    manifest = tmp_path / "done.json"
    result = json.loads(
        run("redrive", "--execute", "--in-doubt", "--per-second", "5", "--manifest", str(manifest), "--output", "json")
    )
    assert (dead.asked["execute"], dead.asked["include_in_doubt"], dead.asked["per_second"]) == (True, True, 5.0)
    assert result == {
        "executed": True,
        "letters": 5,
        "redriven": 3,
        "deliveries": 7,
        "redriven_before": 1,
        "left_out": {"accepted": 2},
        "manifest": str(manifest),
    }
