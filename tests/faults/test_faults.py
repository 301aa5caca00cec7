"""Short seeded versions of `make faults`, in one world, one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType

import pytest

from faults.rig import SHORT, Rig, rigged
from faults.scenarios import kill, storm

SEED = 7
pytestmark = pytest.mark.flow


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with rigged(SHORT, SEED) as made:
        yield made


def played(rig: Rig, scenario: ModuleType) -> None:
    verdict = rig.play(scenario.NAME, scenario.story)
    assert not verdict.failures, f"{json.dumps(verdict.to_dict())}\n{rig.crew.complaints()}"


def test_killed_roles_lose_nothing_and_double_no_more_than_was_under_way(rig: Rig) -> None:
    played(rig, kill)


def test_roles_that_join_and_leave_lose_and_double_nothing(rig: Rig) -> None:
    played(rig, storm)
