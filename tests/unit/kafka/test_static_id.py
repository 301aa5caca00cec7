"""A process that is back is the member that it was, as long as it reads the same topics."""

from __future__ import annotations

import pytest

from pushcast.kafka.static_id import static_id


def test_the_same_topics_in_any_order_are_the_same_member() -> None:
    assert static_id("planner-local", ["a", "b", "c"]) == static_id("planner-local", ["c", "a", "b", "a"])


@pytest.mark.parametrize("others", [["a"], ["a", "b", "c"], ["a", "c"], ["ab"], ["a\nb"], []])
def test_other_topics_are_another_member(others: list[str]) -> None:
    known = static_id("planner-local", ["a", "b"])
    assert (static_id("planner-local", others) == known) is (others == ["a\nb"]), "no topic has a line feed in it"


def test_slots_with_the_same_topics_are_different_members() -> None:
    assert static_id("planner-1", ["a"]) != static_id("planner-2", ["a"])
