"""The command line as a whole: version, help, completion."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pushcast import __version__
from pushcast.cli import build, main, noun_of
from pushcast.config.settings import Settings
from pushcast.model.errors import ConfigurationError


def test_the_version_is_told_without_a_command() -> None:
    result = CliRunner().invoke(build(["audit"]), ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"pushcast {__version__}\n")
    assert version("pushcast") == __version__


@pytest.mark.parametrize("arguments", [["-h"], ["audit", "-h"], ["config", "check", "-h"]])
def test_h_is_help_everywhere(arguments: list[str]) -> None:
    result = CliRunner().invoke(build(["audit", "config"]), arguments)
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_a_shell_can_complete_it() -> None:
    assert "--install-completion" in CliRunner().invoke(build(["audit"]), ["--help"]).stdout


def test_a_configuration_is_named_before_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """faults.md P3-27."""
    monkeypatch.setenv("PUSHCAST_CONFIG", "elsewhere.yaml")
    (tmp_path / "mine.yaml").write_text("kafka: {partitions: 5}\n")
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(build(["config"]), ["--config", "mine.yaml", "config", "show"])
    assert shown.exit_code == 0, shown.output
    assert "partitions: 5" in shown.stdout
    assert os.environ["PUSHCAST_CONFIG"] == str(tmp_path / "mine.yaml"), "what it starts reads it as well"


def test_a_configuration_that_is_not_there_is_refused_by_name() -> None:
    result = CliRunner().invoke(build(["config"]), ["--config", "none.yaml", "config", "show"])
    assert result.exit_code == 2
    assert "none.yaml" in result.output


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["run"], ["/metrics", "Exit 0", "65", "70", "--slot", "Stable name"]),
        (["sim"], ["<apns|fcm|expo|webpush>"]),
        (["pause"], ["An app of the configuration; needed.", "Needed."]),
    ],
    ids=["run", "sim", "pause"],
)
def test_help_says_what_people_asked(command: list[str], words: list[str]) -> None:
    """faults.md P3-27: ports, exit codes and slots of `run`, the platforms of `sim`, what `pause` needs."""
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(build(command), [*command, "--help"])
    assert shown.exit_code == 0, shown.output
    assert [word for word in words if word not in " ".join(shown.stdout.split())] == []


@pytest.mark.parametrize(
    ("words", "noun"),
    [
        (["run", "all"], "run"),
        (["--config", "a.yaml", "run"], "run"),
        (["--config=a.yaml", "audit"], "audit"),
        (["--config", "run"], None),
        (["--help"], None),
        (["rum"], None),
        ([], None),
    ],
)
def test_only_the_command_that_is_asked_for_is_imported(words: list[str], noun: str | None) -> None:
    assert noun_of(words) == noun


def test_ctrl_c_while_modules_are_read_is_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pushcast.cli.build", interrupted)
    with pytest.raises((SystemExit, KeyboardInterrupt)) as ended:  # the second would end all tests
        main()
    assert isinstance(ended.value, SystemExit)
    assert ended.value.code == 130


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["sim", "apns", "--port", "99999"], "65535"),
        (["sim", "apns", "--control-port", "-1"], "--control-port"),
        (["sim", "apns", "--state", "{"], "--state"),
        (["kafka", "start", "--port", "99999"], "65535"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(options: list[str], said: str) -> None:
    """A port of 99999 ended in a trace."""
    result = CliRunner().invoke(build(["sim", "kafka"]), options)
    assert result.exit_code == 2
    assert said in result.output


def test_prefer_says_that_it_replaces_what_was_chosen() -> None:
    assert "Replace what a user has chosen" in CliRunner().invoke(build(["prefer"]), ["prefer", "--help"]).stdout


def test_whatif_names_the_file_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """It spoke of PUSHCAST_CONFIG, which nobody had set."""
    monkeypatch.setattr("pushcast.cli.whatif.connect_by_user", Settings)
    refused = CliRunner().invoke(build(["whatif"]), ["whatif", "none.yaml"]).exception
    assert isinstance(refused, ConfigurationError)
    assert str(refused) == "none.yaml is not a file"
