"""Which void rows are still to be overwritten."""

from __future__ import annotations

from pushcast.handover.healing import left_to_heal


class Tenure:
    number = 0

    def __init__(self, healed: dict[bytes, int]) -> None:
        self.healed = healed


def test_a_row_is_left_until_it_is_overwritten_and_again_when_it_is_void_anew() -> None:
    assert left_to_heal(Tenure({b"a": 1, b"b": 2}), {b"a": 1, b"b": 5, b"c": 3}) == {b"b": 5, b"c": 3}


def test_what_the_table_has_seen_overwritten_is_forgotten() -> None:
    tenure = Tenure({b"a": 1, b"b": 2})
    assert left_to_heal(tenure, {b"b": 2}) == {}
    assert tenure.healed == {b"b": 2}
