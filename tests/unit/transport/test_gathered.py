"""Topics that are fetched some times a second only."""

from __future__ import annotations

from pushcast.model.clock import ManualClock
from pushcast.transport.gathered import GatheredTopics


def rounded(left: dict[object, float]) -> dict[object, float]:
    return {broker: round(seconds, 6) for broker, seconds in left.items()}


def test_once_they_were_asked_for_it_is_the_others_turn_for_a_while() -> None:
    clock = ManualClock(0)
    gathered = GatheredTopics({"counted"}, clock.monotonic_seconds, 0.05)
    assert gathered.left_seconds([0]) == {}
    gathered.asked(0)
    clock.advance(0.03)
    assert rounded(gathered.left_seconds([0])) == {0: 0.02}
    clock.advance(0.02)
    assert gathered.left_seconds([0]) == {}


def test_each_broker_has_turns_of_its_own() -> None:
    clock = ManualClock(0)
    gathered = GatheredTopics({"counted"}, clock.monotonic_seconds, 0.05)
    gathered.asked(1)
    clock.advance(0.01)
    gathered.asked(2)
    assert rounded(gathered.left_seconds([0, 1, 2])) == {1: 0.04, 2: 0.05}
    assert rounded(gathered.left_seconds([0, 1])) == {1: 0.04}, "of those that are asked about"
