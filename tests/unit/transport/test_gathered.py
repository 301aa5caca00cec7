"""Topics that are fetched some times a second only."""

from __future__ import annotations

from pushcast.model.clock import ManualClock
from pushcast.transport.gathered import GatheredTopics

ALL = [("urgent", [1]), ("counted", [1, 2])]


def topics_of(gathered: GatheredTopics, asked: list[tuple[str, list[int]]], node: int = 0) -> list[str]:
    found = gathered.left_out(node, asked)
    return [topic for topic, _ in (asked if found is None else found[0])]


def test_they_wait_for_their_turn_while_others_are_fetched_again_and_again() -> None:
    clock = ManualClock(0)
    gathered = GatheredTopics({"counted"}, clock.monotonic_seconds, 0.05)
    assert gathered.left_out(0, ALL) is None
    clock.advance(0.03)
    found = gathered.left_out(0, ALL)
    assert found is not None
    assert found[0] == [("urgent", [1])]
    assert round(found[1], 6) == 0.02, "the request ends when it is their turn"
    clock.advance(0.02)
    assert gathered.left_out(0, ALL) is None
    assert topics_of(gathered, ALL) == ["urgent"]


def test_after_a_pause_they_are_fetched_at_once() -> None:
    clock = ManualClock(0)
    gathered = GatheredTopics({"counted"}, clock.monotonic_seconds, 0.05)
    gathered.left_out(0, ALL)
    clock.advance(0.5)
    assert topics_of(gathered, ALL) == ["urgent", "counted"]


def test_each_broker_has_turns_of_its_own() -> None:
    gathered = GatheredTopics({"counted"}, ManualClock(0).monotonic_seconds, 0.05)
    assert topics_of(gathered, ALL, node=1) == ["urgent", "counted"]
    assert topics_of(gathered, ALL, node=2) == ["urgent", "counted"]
    assert topics_of(gathered, ALL, node=1) == ["urgent"]


def test_where_nothing_else_is_asked_they_are() -> None:
    gathered = GatheredTopics({"counted"}, ManualClock(0).monotonic_seconds, 0.05)
    for _ in range(2):
        assert topics_of(gathered, [("counted", [1])]) == ["counted"]
    assert topics_of(gathered, ALL) == ["urgent"]
    assert topics_of(gathered, [("urgent", [1])]) == ["urgent"]


def test_a_stage_without_such_topics_asks_for_everything_each_time() -> None:
    gathered = GatheredTopics(set(), ManualClock(0).monotonic_seconds, 0.05)
    assert [gathered.left_out(0, ALL) for _ in range(3)] == [None] * 3
