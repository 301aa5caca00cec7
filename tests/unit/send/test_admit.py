from __future__ import annotations

from collections.abc import Callable

import pytest

from pushcast.model.batch import KINDS, Message
from pushcast.model.errors import InvalidInput
from pushcast.model.words import Lane, Platform
from pushcast.send.admit import admit
from pushcast.wire.sending.batches import MAX_BATCH_RECORD_BYTES, encode_batch
from unit.send.twin import message, send_batch


def refused(value: bytes | None) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        admit(value, Platform.APNS, Lane.URGENT)
    return caught.value


def test_a_good_record_is_taken_as_it_is() -> None:
    batch = send_batch(message(3), message(1, app="chat"))
    assert admit(encode_batch(batch), Platform.APNS, Lane.URGENT) == batch


def test_a_tombstone_and_bytes_that_are_no_batch_are_refused_with_their_reason() -> None:
    assert refused(None).reason == "tombstone"
    assert refused(b"").reason == "unknown_frame"
    assert refused(b"\xc3\x01" + bytes(8)).reason == "unknown_schema"
    assert refused(encode_batch(send_batch(message()))[:-3]).reason == "undecodable"


def test_a_batch_of_another_platform_or_lane_is_refused_by_name() -> None:
    for wrong, field in ((send_batch(platform="fcm"), "platform"), (send_batch(lane="bulk"), "lane")):
        error = refused(encode_batch(wrong))
        assert (error.reason, error.field) == ("invalid_field", field)


def _set(column: str, value: object) -> Callable[[Message], None]:
    def change(message: Message) -> None:
        getattr(message.targets, column)[0] = value

    return change


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda m: m.targets.user.append("more"), "targets"),
        (lambda m: m.targets.expires_at.clear(), "targets"),
        (lambda m: m.created_at.clear(), "notifications"),
        (lambda m: m.traces.append(""), "notifications"),
        (_set("notification", 1), "notification"),
        (_set("notification", -1), "notification"),
        (_set("kind", len(KINDS)), "kind"),
        (_set("delivery_id", b"short"), "delivery_id"),
        (_set("attempt", -1), "attempt"),
    ],
)
def test_columns_that_would_fail_in_an_engine_are_refused_by_name(
    change: Callable[[Message], None], field: str
) -> None:
    wrong = message(2)
    change(wrong)
    error = refused(encode_batch(send_batch(wrong)))
    assert (error.reason, error.field) == ("invalid_field", field)


def test_a_message_without_targets_is_no_error() -> None:
    assert admit(encode_batch(send_batch(message(0))), Platform.APNS, Lane.URGENT).target_count == 0


def test_a_record_too_large_to_be_passed_on_is_refused_with_the_limit() -> None:
    value = encode_batch(send_batch(message()))
    fits = [("note", b"x" * (MAX_BATCH_RECORD_BYTES - len(value) - 16))]
    assert admit(value, Platform.APNS, Lane.URGENT, fits).target_count
    with pytest.raises(InvalidInput, match=str(MAX_BATCH_RECORD_BYTES)) as caught:
        admit(value, Platform.APNS, Lane.URGENT, [*fits, ("more", b"")])
    assert caught.value.reason == "too_large"
