"""Which users are looked up once more."""

from __future__ import annotations

from pushcast.plan.rules import is_young


def test_only_a_young_event_waits_for_a_second_look_up_and_none_when_that_is_switched_off() -> None:
    assert is_young(1_000, 5_999, again_seconds=2, younger_than_seconds=5)
    assert not is_young(1_000, 6_000, again_seconds=2, younger_than_seconds=5)
    assert not is_young(1_000, 1_000, again_seconds=0, younger_than_seconds=5)
