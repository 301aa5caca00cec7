"""When a consumer lets records come together before it fetches again."""

from __future__ import annotations

import pytest

from pushcast.config.settings import Settings
from pushcast.model.words import Lane, Platform
from pushcast.runtime.roles import ROLES
from pushcast.transport.gathering import ENOUGH_RECORDS, gather_seconds


def test_an_answer_with_few_records_is_followed_by_a_pause() -> None:
    assert gather_seconds(5, [1]) == 0.005
    assert gather_seconds(5, [200, ENOUGH_RECORDS - 201]) == 0.005


@pytest.mark.parametrize("records", [[], [ENOUGH_RECORDS], [ENOUGH_RECORDS // 2, ENOUGH_RECORDS]])
def test_an_empty_answer_and_a_full_one_are_not(records: list[int]) -> None:
    assert gather_seconds(5, records) == 0.0


def test_nothing_is_gathered_where_nothing_is_said() -> None:
    assert gather_seconds(0, [1]) == 0.0


def test_no_stage_that_an_urgent_push_passes_gathers() -> None:
    """The keeper has all lanes in one App."""
    for role in ("planner", "keeper"):
        for spec in ROLES[role](Settings(), [Lane.URGENT], list(Platform)):
            assert "gather_ms" not in spec.fetch, spec.group
