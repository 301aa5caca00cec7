"""What becomes of a notification whose user was looked up."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pushcast.plan.rules import CANCELLED, EXPIRED, NO_DEVICES, End, end_of, is_young


class Note:
    """One that is over, or is not."""

    def __init__(self, over: bool) -> None:
        self._over = over

    def is_over(self, now_ms: int, now_or_never_ms: int) -> bool:
        return self._over


@pytest.mark.parametrize(
    ("cancelled", "over", "has_devices", "end"),
    [
        (False, False, True, None),
        (False, False, False, NO_DEVICES),
        (False, True, True, EXPIRED),
        (False, True, False, EXPIRED),
        (True, False, True, CANCELLED),
        (True, True, False, CANCELLED),
    ],
)
def test_the_first_rule_that_applies_decides(cancelled: bool, over: bool, has_devices: bool, end: End | None) -> None:
    note = cast(Any, Note(over))
    assert end_of(note, has_devices=has_devices, cancelled=cancelled, now_ms=1, now_or_never_ms=1) == end


def test_only_a_young_event_waits_for_a_second_look_up_and_none_when_that_is_switched_off() -> None:
    assert is_young(1_000, 5_999, again_seconds=2, younger_than_seconds=5)
    assert not is_young(1_000, 6_000, again_seconds=2, younger_than_seconds=5)
    assert not is_young(1_000, 1_000, again_seconds=0, younger_than_seconds=5)
