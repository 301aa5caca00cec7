from __future__ import annotations

from pushcast.model.batch import Notes
from pushcast.providers.identity import HOLE, NAME_CHARS, automatic_names, filled_size
from unit.providers.messages import message

TWO = [b"ab" * 32] * 2


def test_each_delivery_has_a_name_of_its_own_though_the_texts_are_equal() -> None:
    names = automatic_names(message(TWO), [0, 1], "notification")
    assert names == [each.hex().encode() for each in message(TWO).targets.delivery_id]


def test_a_delivery_keeps_its_name_when_it_comes_again_in_another_message() -> None:
    first, again = message(TWO, body="1:0"), message(TWO, body="2:0", content_hash=bytes(16))
    assert automatic_names(first, [1], "notification") == automatic_names(again, [1], "notification")


def test_a_broadcast_has_one_name_on_all_its_devices_and_in_every_lane() -> None:
    first, again, other = message(TWO), message(TWO, body="2:0"), message(TWO)
    first.notes = again.notes = Notes(broadcast=["b-1"])
    other.notes = Notes(broadcast=["b-2"])
    names = automatic_names(first, [0, 1], "notification")
    assert names == automatic_names(again, [0, 1], "notification")
    assert (len(set(names)), len(names[0])) == (1, NAME_CHARS)
    assert names[0] != automatic_names(other, [0], "notification")[0]


def test_by_content_equal_texts_share_a_name_and_others_do_not() -> None:
    one, other = message(TWO), message(TWO, content_hash=bytes(16))
    assert len(set(automatic_names(one, [0, 1], "content"))) == 1
    assert automatic_names(one, [0], "content") != automatic_names(other, [0], "content")


def test_the_size_of_a_text_is_that_of_its_filled_form() -> None:
    text = b'{"tag":"' + HOLE + b'","collapseId":"' + HOLE + b'"}'
    assert filled_size(text, message()) == len(text.replace(HOLE, automatic_names(message(), [0], "notification")[0]))
    assert filled_size(b"{}", message()) == 2
    assert len(automatic_names(message(), [0], "content")[0]) == NAME_CHARS
