"""One list of roles: what runs stages, what is a door, and what the command line offers."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from pushcast.cli import build
from pushcast.model.roles import BY_LANE, DOORS, OF_PLATFORMS, ProcessRole
from pushcast.stream.stages import stages

STAGES = set(ProcessRole) - DOORS


def test_every_role_that_is_no_door_runs_a_stage_and_no_stage_has_another_role() -> None:
    assert {ProcessRole(each.role) for each in stages()} == STAGES


def test_what_is_said_of_roles_is_said_of_those_that_run_stages() -> None:
    assert BY_LANE | OF_PLATFORMS <= STAGES


@pytest.mark.parametrize("wrong", ["plannr", ""])
def test_a_role_that_does_not_exist_is_refused_with_those_that_do(wrong: str) -> None:
    said = CliRunner().invoke(build(["run"]), ["run", wrong])
    assert said.exit_code == 2
    words = said.output.replace("\u2502", "").split()
    assert {f"'{role}'" for role in (*ProcessRole, "all")} <= {word.rstrip(",.") for word in words}
