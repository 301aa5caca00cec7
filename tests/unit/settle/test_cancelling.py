"""Cancels in SETTLE: what was called off while it waited (reference/time.md, C3)."""

from __future__ import annotations

from pushcast.stream.cancelling import NothingCancelled
from pushcast.wire import topics
from pushcast.wire.answers.counted import decode_counted
from pushcast.wire.control.cancel_state import CancelRecord
from pushcast.wire.sending.batches import decode_batch
from unit.send.twin import T0, message, send_batch
from unit.settle.twin import Harness, waiting


def harness_of() -> tuple[Harness, NothingCancelled]:
    cancels = NothingCancelled()
    cancels.state.begin(3)
    return Harness(cancels=cancels), cancels


def cancel(cancels: NothingCancelled, user: str) -> None:
    cancels.state.apply(3, [CancelRecord(user.encode(), b'{"ids": ["n"]}', T0)], T0)


async def test_c3_on_a_rung_the_cancelled_end_with_their_attempts_and_the_others_go_on() -> None:
    harness, cancels = harness_of()
    batch = send_batch(message(3))
    batch.messages[0].targets.attempt[1] = 1
    await harness.feed(waiting(100, batch, T0 + 10_000))
    cancel(cancels, "u1")
    await harness.pass_time(10)
    [receipt] = harness.outbox.receipts()
    assert (receipt["user"], receipt["outcome"], receipt["reason"], receipt["attempts"]) == (
        "u1",
        "cancelled",
        "cancelled",
        1,
    )
    [sent] = harness.outbox.of("push.send.apns.urgent.v1")
    assert decode_batch(sent.value or b"").messages[0].targets.user == ["u0", "u2"]
    assert harness.counters["ended", "cancelled"] == 1
    assert harness.low() == 101


async def test_what_may_have_arrived_in_an_earlier_round_is_not_called_cancelled() -> None:
    harness, cancels = harness_of()
    cancel(cancels, "u0")
    await harness.feed(waiting(100, send_batch(message(1)), T0 - 1, doubtful=True))
    [receipt] = harness.outbox.receipts()
    assert (receipt["outcome"], receipt["reason"]) == ("dead", "unknown_outcome")


async def test_c3_parked_work_ends_in_the_next_pass() -> None:
    harness, cancels = harness_of()
    cancel(cancels, "u0")
    harness.end = 101
    await harness.feed(waiting(100, send_batch(message(1)), T0, topic=topics.PARKED))
    await harness.pass_time(61)
    assert [(r["user"], r["outcome"]) for r in harness.outbox.receipts()] == [("u0", "cancelled")]
    assert harness.low(topics.PARKED) == 101


async def test_what_is_cancelled_and_expired_ends_once() -> None:
    harness, cancels = harness_of()
    cancel(cancels, "u0")
    await harness.feed(waiting(100, send_batch(message(2, expires_at=T0 - 1)), T0 - 1))
    assert harness.outbox.outcomes() == {"u0": ("cancelled", "cancelled"), "u1": ("expired", "expired")}


async def test_k3_the_keeper_hears_of_what_ends_here_when_caps_count_it() -> None:
    harness, cancels = harness_of()
    batch = send_batch(message(2))
    batch.messages[0].counted = True
    cancel(cancels, "u1")
    await harness.feed(waiting(100, batch, T0 - 1))
    [told] = harness.outbox.of(topics.COUNTED)
    said = decode_counted(told.value)
    assert (told.key, said.notification_id, said.accepted) == (b"u1", "n", False)
    [sent] = harness.outbox.of("push.send.apns.urgent.v1")
    assert decode_batch(sent.value or b"").messages[0].counted
