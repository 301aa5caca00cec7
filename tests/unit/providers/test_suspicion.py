"""Tokens refused in masses are our mistake."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushcast.providers.suspicion import Suspicion, SuspicionLimits

LIMITS = SuspicionLimits(least_answers=100, share=0.5, window_seconds=60.0)


def test_a_mass_of_suspect_answers_is_not_believed() -> None:
    suspicion = Suspicion(LIMITS)
    assert not suspicion.note(1.0, 99, 99)
    assert suspicion.note(1.0, 1, 1)


@pytest.mark.parametrize(("suspect", "expected"), [(49, False), (50, True)])
def test_the_share_decides(suspect: int, expected: bool) -> None:
    assert Suspicion(LIMITS).note(1.0, 100, suspect) is expected


def test_refusals_that_are_spread_over_hours_are_believed() -> None:
    suspicion = Suspicion(LIMITS)
    assert not any(suspicion.note(float(minute * 61), 60, 60) for minute in range(100))


def test_answers_older_than_the_window_do_not_count() -> None:
    suspicion = Suspicion(LIMITS)
    suspicion.note(0.0, 1000, 0)
    assert suspicion.note(70.0, 100, 60)


def test_suspicion_ends_with_evidence_and_not_with_time() -> None:
    suspicion = Suspicion(LIMITS)
    suspicion.note(0.0, 100, 100)
    assert suspicion.note(1_000_000.0, 99, 0)
    assert not suspicion.note(1_000_000.0, 1, 0)
    assert not suspicion.note(1_000_001.0, 100, 10)


def test_suspicion_stays_while_the_mass_goes_on() -> None:
    suspicion = Suspicion(LIMITS)
    assert [suspicion.note(0.0, 100, 100) for _ in range(10)] == [True] * 10


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 200), st.floats(0, 1)), max_size=60))
def test_it_begins_only_with_enough_answers_of_too_high_a_share(steps: list[tuple[float, int, float]]) -> None:
    suspicion, now, total_answers, total_suspect = Suspicion(LIMITS), 0.0, 0, 0
    for elapsed, answers, share in steps:
        now += elapsed
        suspect = int(answers * share)
        total_answers += answers
        total_suspect += suspect
        if suspicion.note(now, answers, suspect):
            assert total_answers >= 100
            assert total_suspect >= 50
            return
