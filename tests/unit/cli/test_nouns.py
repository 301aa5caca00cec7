"""The command line: what is asked for is loaded, mistakes are one sentence and their exit code."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import typer
from confluent_kafka import KafkaError, KafkaException
from typer.testing import CliRunner

from pushcast.cli import COMMANDS, GROUPS, build, main
from pushcast.cli.audit import since_ms
from pushcast.handover.reading import TailUnreadable
from pushcast.model.said import said


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["pushcast", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_every_noun_of_the_contract_is_there() -> None:
    wanted = {"kafka", "run", "sim", "device", "send", "audit", "demo", "bench", "topology", "schemas", "config", "dlq"}
    assert wanted <= {*GROUPS, *COMMANDS}
    shown = CliRunner().invoke(build((*GROUPS, *COMMANDS)), ["--help"]).output
    assert all(noun in shown for noun in wanted)


def test_an_unknown_setting_is_exit_code_2_and_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PUSHCAST_KAFAK__PARTITIONS", "8")
    assert run(monkeypatch, "config", "check") == 2
    assert "PUSHCAST_KAFAK__PARTITIONS" in capsys.readouterr().err


def test_a_file_with_an_unknown_key_is_refused_with_its_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "pushcast.yaml"
    path.write_text("plan: {max_target: 5}\n")
    monkeypatch.setenv("PUSHCAST_CONFIG", str(path))
    assert run(monkeypatch, "config", "check") == 2
    assert "plan.max_target" in capsys.readouterr().err


def test_the_configuration_is_shown_as_json_with_every_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "config", "show", "--output", "json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["kafka"]["partitions"] == 8
    assert shown["classes"]["default"]["window_seconds"] == 0.05


def test_the_schemas_are_as_released(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "schemas", "check") == 0


def test_an_unknown_noun_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "nonsense") == 2


@pytest.mark.parametrize(
    ("text", "ms"),
    [("10s", 990_000), ("10m", 400_000), ("1970-01-01T00:00:05Z", 5_000), ("1970-01-01T01:00:05+01:00", 5_000)],
)
def test_since_is_a_duration_or_a_time(text: str, ms: int) -> None:
    assert since_ms(text, 1000.0) == ms


@pytest.mark.parametrize("text", ["yesterday", "10", "10w", "1970-01-01T00:00:05"])
def test_since_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        since_ms(text, 1000.0)


@pytest.mark.parametrize(
    "error", [KafkaException(KafkaError(KafkaError._TIMED_OUT, "timed out")), TailUnreadable("timed out")]
)
def test_what_a_kafka_client_raises_is_a_sentence_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("pushcast.kafka.switchboard.read_state", fail)
    assert run(monkeypatch, "pause", "--list") == 1
    assert capsys.readouterr().err == "error: Kafka: timed out\n"


def test_what_nobody_expects_keeps_its_traceback() -> None:
    assert said(ValueError("a mistake of ours")) is None
