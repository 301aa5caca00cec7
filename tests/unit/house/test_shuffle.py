"""The order of tests: another one in each run, the same one again by its number."""

from __future__ import annotations

from pathlib import Path

import pytest

import shuffle

ROOT = Path("tests")
UNIT = [("tests/unit/plan/test_a.py", n) for n in range(20)]
LAWS = [("tests/laws/test_b.py", n) for n in range(20)]
FLOW = [("tests/flow/test_c.py", n) for n in range(20)]
ALL = [*LAWS, *UNIT, *FLOW]


def ordered(tests: list[tuple[str, int]], seed: int) -> list[tuple[str, int]]:
    return shuffle.within_files(tests, lambda test: Path(test[0]), ROOT, seed)


def test_a_file_keeps_its_place_and_its_tests_change_theirs() -> None:
    found = ordered(ALL, 7)
    assert (found[:20], found[20:40]) != (LAWS, UNIT)
    assert (sorted(found[:20]), sorted(found[20:40])) == (LAWS, UNIT)


def test_tests_that_share_a_kafka_keep_their_order() -> None:
    assert ordered(ALL, 7)[40:] == FLOW


def test_the_same_number_gives_the_same_order_whatever_else_is_run() -> None:
    assert ordered(ALL, 7) == ordered(ALL, 7)
    assert ordered(UNIT, 7) == ordered(ALL, 7)[20:40]
    assert ordered(UNIT, 7) != ordered(UNIT, 8)


def test_zero_is_as_they_are_written() -> None:
    assert ordered(ALL, shuffle.AS_WRITTEN) == ALL


def test_a_run_tells_its_number(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.option.order_seed is not None
    assert shuffle.any_seed() != shuffle.AS_WRITTEN
