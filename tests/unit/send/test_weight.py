"""What an open record weighs against the bounds of its partition."""

from __future__ import annotations

from unit.send.twin import Harness, TwinProvider, message, ok, send_batch


async def test_a_record_weighs_what_is_left_of_it() -> None:
    slow = TwinProvider("chat")
    harness = Harness(TwinProvider("news", accept=True), slow)
    await harness.feed(send_batch(message(50), message(30, app="chat", first_user=50)))
    tracker = harness.trackers[3]
    assert tracker.targets == 30, "those of the app that is well are over"
    slow.calls[0].answer(*(ok(target) for target in range(20)))
    await harness.settle()
    assert (tracker.targets, harness.committable()) == (10, 100)
    slow.calls[0].answer(*(ok(target) for target in range(20, 30)))
    await harness.settle()
    assert (tracker.targets, harness.committable()) == (0, 101)


async def test_what_is_not_acknowledged_still_weighs() -> None:
    harness = Harness(TwinProvider("news", accept=True), acks=False)
    await harness.feed(send_batch(message(50)))
    assert harness.trackers[3].targets == 50
