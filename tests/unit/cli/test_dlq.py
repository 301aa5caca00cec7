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
from pushcast.settle.letters import Filter, Letter, came_from, read_letter
from pushcast.settle.manifest import Manifest
from pushcast.settle.redrive_report import Report
from pushcast.wire.sending.batches import encode_batch
from pushcast.wire.sending.retries import CAME_FROM
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
        self.asked.update({"wanted": wanted, **options})
        return Report(letters=5, redriven=3, deliveries=7, left_out=Counter(accepted=2), before=1, invalid=1)


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


def test_letters_that_were_redriven_and_those_that_came_back_are_marked(
    dead: type[TwinDeadLetters], tmp_path: Path
) -> None:
    """faults.md P3-24: a redriven letter that had failed again stood beside its original without a mark."""
    first = dead.letters_there[0]
    back = raw(
        SEND, first.raw.value, ("push.errors.reason", b"rate_limited"), (CAME_FROM, came_from(first.raw).encode())
    )
    dead.letters_there.append(read_letter(back))
    manifest = Manifest(tmp_path / ".pushcast" / "redrive.json")
    manifest.add(first.raw.topic, first.raw.partition, [first.raw.offset])
    manifest.save()
    [row] = json.loads(run("list", "--reason", "rate_limited", "--output", "json"))["rows"]
    assert (row["letters"], row["redriven"], row["came_back"]) == (3, 1, 1)
    assert "       3         1         1         12  in all" in run("list", "--reason", "rate_limited")
    shown = run("show", "--reason", "rate_limited")
    assert shown.count("    was redriven") == 1
    assert f"    came back after a redrive of {SEND}.dlq|3|1" in shown


def test_letters_are_found_by_user_and_id_and_say_whose_they_are(dead: type[TwinDeadLetters]) -> None:
    """faults.md P3-24: the text showed neither id nor user."""
    event = raw(NOTES, b'{"id": "n7", "app": "news", "class": "brekaing"}', ("push.errors.reason", b"unknown_class"))
    event.key = b"u7"
    dead.letters_there.append(read_letter(event))
    for filters in (("--user", "u7"), ("--id", "n7")):
        assert json.loads(run("list", *filters, "--output", "json"))["letters"] == 1
        assert "    user u7: id n7, app news, class brekaing" in run("show", *filters)
    assert json.loads(run("list", "--user", "u1", "--output", "json"))["letters"] == 3, "two batches and an event of u1"


def test_a_notification_is_written_out_to_be_mended_and_sent(dead: type[TwinDeadLetters]) -> None:
    event = raw(NOTES, b'{"id": "n7", "titel": "Goal!", "body": null}', ("push.errors.reason", b"unknown_field"))
    event.key = b"u7"
    dead.letters_there.append(read_letter(event))
    result = CliRunner().invoke(app, ["lines"])
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"user": "u1", "id": 1},  # without what may be a token
        {"user": "u7", "id": "n7", "titel": "Goal!"},
    ]
    assert "2 letters left out" in result.stderr


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
        "invalid": 1,
        "left_out": {"accepted": 2},
        "manifest": str(manifest),
    }
