"""Records of what people did."""

from __future__ import annotations

import pytest

from pushcast.model.errors import InvalidInput
from pushcast.wire.control.actions import KEPT, Actions, OperatorAction, decode, encode

ACTION = OperatorAction(1_790_000_000_000, "abcdefgh", "anna", "pause", "news/apns", address="127.0.0.1")


def test_an_action_is_read_as_it_was_written() -> None:
    assert decode(encode(ACTION)) == ACTION


def test_fields_of_a_later_release_are_left_out() -> None:
    assert decode(encode(ACTION)[:-1] + b',"later":1}') == ACTION


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b'{"at":-1}', b"\xff"])
def test_what_is_no_action_is_refused_and_counted(value: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode(value)
    actions = Actions()
    actions.apply(b"abcdefgh", value)
    assert (actions.ignored, actions.newest()) == (1, [])


def test_the_newest_are_kept_newest_first() -> None:
    actions = Actions()
    for at in range(KEPT + 2):
        actions.apply(b"abcdefgh", encode(OperatorAction(at, "abcdefgh", "", "pause", "")))
    assert [each.at for each in actions.newest()] == list(range(KEPT + 1, 1, -1))
