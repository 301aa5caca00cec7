"""deploy/systemd, as systemd itself reads it."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from pushcast.runtime.process import STOP_SECONDS
from pushcast.runtime.supervisor import USAGE_EXIT
from pushcast.stream.errors import Flooded

UNIT = Path(__file__).parents[3] / "deploy" / "systemd" / "pushcast@.service"


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text())
    return parser


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not here: the unit is not judged by systemd itself")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/pushcast/bin/pushcast", "/bin/true"))
    done = subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", str(copy)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_restart_does_not_mend_is_left_to_a_person() -> None:
    service = unit()["Service"]
    assert service["RestartPreventExitStatus"].split() == [str(USAGE_EXIT), str(Flooded.exit_code)]
    assert float(service["TimeoutStopSec"]) > STOP_SECONDS


def test_a_reload_is_a_hangup_and_a_start_is_told_by_the_process() -> None:
    service = unit()["Service"]
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert service["Type"] == "notify"
    assert service["ExecStart"].split()[1:] == ["run", "$ARGS", "--slot", "%i-%H"]
