"""The command line as a whole: version, help, completion."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from pushcast import __version__
from pushcast.cli import build


def test_the_version_is_told_without_a_command() -> None:
    result = CliRunner().invoke(build(["audit"]), ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"pushcast {__version__}\n")


@pytest.mark.parametrize("arguments", [["-h"], ["audit", "-h"], ["config", "check", "-h"]])
def test_h_is_help_everywhere(arguments: list[str]) -> None:
    result = CliRunner().invoke(build(["audit", "config"]), arguments)
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_a_shell_can_complete_it() -> None:
    assert "--install-completion" in CliRunner().invoke(build(["audit"]), ["--help"]).stdout
