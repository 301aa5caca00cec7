from __future__ import annotations

import pytest

from pushcast.model.batch import Message, SendBatch
from pushcast.model.errors import InvalidInput
from pushcast.settle.decide import End, read, settle, wait_seconds
from pushcast.wire.sending.batches import encode_batch
from unit.send.twin import T0, message, send_batch


def test_a_record_waits_until_its_header_says_so() -> None:
    due = [("push-due-at", str(T0 + 4_000).encode())]
    assert wait_seconds(due, T0 - 6_000, T0, 100.0) == 4.0
    assert wait_seconds(due, T0 - 6_000, T0 + 9_000, 100.0) == 0.0


@pytest.mark.parametrize("headers", [[], [("push-due-at", b"soon")], [("push-due-at", b"9" * 40)]])
def test_a_header_that_is_missing_or_broken_makes_nobody_wait(headers: list[tuple[str, bytes]]) -> None:
    assert wait_seconds(headers, T0, T0, 100.0) == 0.0


def test_a_clock_that_jumped_holds_a_record_no_longer_than_the_longest_rung() -> None:
    due = [("push-due-at", str(T0 + 3_600_000).encode())]
    assert wait_seconds(due, T0, T0, 100.0) == 100.0, "the sender's clock was ahead"
    assert wait_seconds(due, T0 + 3_600_000, T0 - 3_600_000, 100.0) == 100.0, "our clock is behind"


def test_a_batch_without_expired_targets_goes_on_as_it_came() -> None:
    batch = send_batch(message(3))
    settled = settle(batch, T0)
    assert settled.again is batch
    assert settled.expired == []


def test_what_expires_at_this_very_moment_has_expired_and_the_rest_goes_on() -> None:
    late, both = message(2, name="late", expires_at=T0), message(3, name="both", expires_at=T0 + 1)
    both.targets.expires_at[1] = T0 - 1
    settled = settle(send_batch(late, both, run=1), T0)
    assert settled.again is not None
    assert settled.again.run == 1
    assert [part.targets.user for part in settled.again.messages] == [["u0", "u2"]]
    assert [part.targets.user for part in settled.expired] == [["u0", "u1"], ["u1"]]


def test_nothing_goes_on_when_everything_has_expired_or_there_is_nothing() -> None:
    assert settle(send_batch(message(2, expires_at=T0)), T0).again is None
    assert settle(send_batch(), T0).again is None


def _broken(part: str) -> SendBatch:
    sent = message(2)
    if part == "notification":
        sent.targets.notification[1] = 1
    elif part == "delivery_id":
        sent.targets.delivery_id[0] = b"short"
    elif part == "targets":
        sent.targets.user.append("u9")
    elif part == "notifications":
        sent.traces.append("")
    return send_batch(sent, platform="pager" if part == "platform" else "apns", lane="x" if part == "lane" else "bulk")


@pytest.mark.parametrize("part", ["notification", "delivery_id", "targets", "notifications", "platform", "lane"])
def test_what_could_not_be_passed_on_is_refused_by_field(part: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(encode_batch(_broken(part)), [])
    assert (caught.value.reason, caught.value.field) == ("invalid_field", part)


@pytest.mark.parametrize(
    ("value", "headers", "reason"),
    [
        (None, [], "tombstone"),
        (b"junk", [], "unknown_frame"),
        (encode_batch(send_batch(message(1))), [("push-due-at", b"soon")], "invalid_field"),
    ],
)
def test_a_record_that_is_no_waiting_batch_is_refused(
    value: bytes | None, headers: list[tuple[str, bytes]], reason: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(value, headers)
    assert caught.value.reason == reason


def test_what_is_held_is_not_asked_for_its_user_before_it_may_go() -> None:
    """A pass may go over a million of them."""
    asked: list[str] = []

    def gone(message: Message) -> dict[int, End]:
        asked.append(message.app)
        return {}

    held, free, late = message(2, name="held"), message(1, name="free"), message(1, name="late", expires_at=T0)
    held.app, free.app, late.app = "held", "free", "late"
    settled = settle(send_batch(held, free, late), T0, lambda each: each.app == "held", gone=gone)
    assert asked == ["free"], "what has expired is asked no more"
    assert settled.held is not None
    assert [each.app for each in settled.held.messages] == ["held"]
