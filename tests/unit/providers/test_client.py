"""How parts are cut to the pieces that a pace grants."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pushcast.providers.client import _first
from pushcast.providers.port import Part
from unit.providers.messages import message

MESSAGES = [message() for _ in range(8)]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.data())
def test_every_target_leaves_once_in_its_order_and_pieces_are_as_large_as_granted(
    sizes: list[int], data: st.DataObject
) -> None:
    parts = [Part(MESSAGES[number], range(size), lambda _: None) for number, size in enumerate(sizes)]
    rest = iter(parts)
    left, cut = sum(sizes), None
    gone: list[tuple[int, int]] = []
    while left:
        granted = data.draw(st.integers(1, left))
        pieces, cut = _first(granted, cut, rest)
        assert sum(len(piece.indices) for piece in pieces) == granted
        gone += [(id(piece.message), index) for piece in pieces for index in piece.indices]
        left -= granted
    assert cut is None
    assert next(rest, None) is None
    assert gone == [(id(MESSAGES[number]), index) for number, size in enumerate(sizes) for index in range(size)]
