"""`pushcast kafka start|status|stop`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pushcast.cli.kafka import app as cli
from pushcast.kafka import embedded


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A directory whose cluster does not outlive the test."""
    yield tmp_path / "kafka"
    embedded.stop(tmp_path / "kafka")


def test_the_command_line_starts_shows_and_stops(data_dir: Path) -> None:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, [*arguments, "--data-dir", str(data_dir)])

    down = run("status")
    assert (down.exit_code, down.stdout) == (1, "")
    started = run("start", "--output", "json")
    assert started.exit_code == 0, started.stderr
    info = json.loads(started.stdout)
    assert info.keys() == {"bootstrap_servers", "brokers", "pids", "data_dir", "log_files"}
    assert (info["brokers"], len(info["pids"]), info["data_dir"]) == (1, 1, str(data_dir))
    assert "waiting for 1 broker at" in started.stderr
    if info["bootstrap_servers"] != "127.0.0.1:9092":  # faults.md P3-25
        assert f"export PUSHCAST_KAFKA__BOOTSTRAP_SERVERS={info['bootstrap_servers']}" in started.stderr
    assert json.loads(run("status", "--output", "json").stdout) == info
    assert info["bootstrap_servers"] in run("status").stdout
    assert json.loads(run("stop", "--output", "json").stdout) == {"stopped": True}
    assert run("status").exit_code == 1
    assert run("stop").exit_code == 0
    assert json.loads(run("delete", "--output", "json").stdout) == {"deleted": True}
    assert not data_dir.exists()
    assert run("delete").stdout == "there was none\n"
