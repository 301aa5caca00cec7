from __future__ import annotations

import asyncio

from pushcast.stream.batch import TP, Committed
from pushcast.wire import topics
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.sending.retries import Round, round_of
from unit.send.twin import T0, message, record, send_batch
from unit.settle.twin import RUNG, Harness, waiting

SEND = "push.send.apns.urgent.v1"


async def test_a_record_is_passed_on_when_it_is_due_and_not_before() -> None:
    harness = Harness()
    source = waiting(100, send_batch(message(2)), T0 + 10_000)
    await harness.feed(source)
    assert (harness.outbox.log, harness.stage.waiting(), harness.low()) == ([], 1, 100)
    await harness.pass_time(9.5)
    assert harness.outbox.log == []
    await harness.pass_time(0.5)
    [sent] = harness.outbox.log
    assert (sent.topic, sent.partition, sent.key, sent.value) == (SEND, 3, None, source.value)
    assert (harness.stage.waiting(), harness.low()) == (0, 101)
    assert harness.counters == {("settled", "apns"): 2}


async def test_what_is_passed_on_keeps_its_round_and_says_where_it_waited() -> None:
    harness = Harness()
    await harness.feed(waiting(100, send_batch(message(1)), T0, doubtful=True))
    [sent] = harness.outbox.log
    assert round_of(sent.headers) == Round(2, True, 0)
    headers = dict(sent.headers)
    assert (headers["traceparent"], headers["push-came-from"]) == (b"00-1", f"{RUNG}|3|100".encode())
    assert headers["push-first-seen"] == str(T0 - 5).encode()
    assert "push-due-at" not in headers, "it is due"


async def test_records_leave_in_order_even_when_a_later_one_is_due_first() -> None:
    harness = Harness()
    await harness.feed(
        waiting(100, send_batch(message(1, first_user=0)), T0 + 11_000),
        waiting(101, send_batch(message(1, first_user=1)), T0 + 10_000),
    )
    await harness.pass_time(10.5)
    assert harness.outbox.log == []
    await harness.pass_time(0.5)
    users = [decode_batch(sent.value or b"").messages[0].targets.user for sent in harness.outbox.log]
    assert users == [["u0"], ["u1"]]


async def test_a_partition_that_waits_delays_no_other_and_no_other_rung() -> None:
    harness = Harness()
    minute = topics.retry("1m")
    await harness.feed(waiting(100, send_batch(message(1, first_user=0)), T0 + 10_000))
    await harness.feed(waiting(100, send_batch(message(1, first_user=1)), T0 - 1, partition=4))
    await harness.feed(waiting(100, send_batch(message(1, first_user=2)), T0 - 1, topic=minute))
    assert [sent.partition for sent in harness.outbox.log] == [4, 3]
    assert (harness.low(), harness.low(RUNG, 4), harness.low(minute)) == (100, 101, 101)


async def test_a_record_is_not_done_before_kafka_has_acknowledged_what_it_became() -> None:
    harness = Harness(acks=False)
    await harness.feed(waiting(100, send_batch(message(1)), T0), waiting(101, send_batch(message(1)), T0 + 5_000))
    assert harness.low() == 100
    harness.outbox.acknowledge()
    await harness.settle()
    assert harness.low() == 101


async def test_what_is_past_its_expiry_when_due_ends_and_the_others_are_sent() -> None:
    harness = Harness()
    late, live = message(2, expires_at=T0 + 5_000), message(1, name="live", first_user=7)
    await harness.feed(waiting(100, send_batch(late, live, run=1), T0 + 6_000))
    await harness.pass_time(6)
    assert harness.outbox.outcomes() == {"u0": ("expired", "expired"), "u1": ("expired", "expired")}
    receipt = harness.outbox.receipts()[1]
    assert (receipt["source_partition"], receipt["source_offset"], receipt["run"]) == (3, 8, 1)
    assert (receipt["platform"], receipt["lane"], receipt["class"]) == ("apns", "urgent", "default")
    assert [entry.key for entry in harness.outbox.of(topics.RECEIPT)] == [b"u0", b"u1"]
    [sent] = harness.outbox.of(SEND)
    batch = decode_batch(sent.value or b"")
    assert [part.targets.user for part in batch.messages] == [["u7"]]
    assert (batch.run, batch.first_seen_at) == (1, T0 - 5)
    assert harness.low() == 101


async def test_what_may_have_arrived_earlier_is_not_called_expired() -> None:
    harness = Harness()
    await harness.feed(waiting(100, send_batch(message(1, expires_at=T0)), T0, doubtful=True))
    assert harness.outbox.outcomes() == {"u0": ("dead", "unknown_outcome")}
    assert harness.low() == 101


async def test_a_record_that_is_no_batch_is_a_dead_letter_and_the_others_go_on() -> None:
    harness = Harness()
    await harness.feed(record(RUNG, 3, 100, b"junk"), waiting(101, send_batch(message(1)), T0))
    [letter] = harness.outbox.of(RUNG + ".dlq")
    assert (letter.partition, letter.value) == (3, b"junk")
    headers = dict(letter.headers)
    assert (headers["push.errors.reason"], headers["push.errors.stage"]) == (b"unknown_frame", b"settle")
    assert len(harness.outbox.of(SEND)) == 1
    assert harness.low() == 102


async def test_a_backlog_of_many_turns_is_passed_on_whole_and_in_order() -> None:
    harness = Harness()
    await harness.feed(*(waiting(100 + n, send_batch(message(1, first_user=n)), T0 - 1) for n in range(1200)))
    await harness.settle(200)
    users = [decode_batch(sent.value or b"").messages[0].targets.user[0] for sent in harness.outbox.log]
    assert users == [f"u{n}" for n in range(1200)]
    assert harness.low() == 1300


async def test_revoking_passes_nothing_more_on_and_leaves_what_waits_undone() -> None:
    harness = Harness()
    await harness.feed(waiting(100, send_batch(message(1)), T0), waiting(101, send_batch(message(1)), T0 + 5_000))
    await harness.stage.revoking({TP(RUNG, 3)})
    await harness.pass_time(60)
    assert (len(harness.outbox.log), harness.low(), harness.stage.waiting()) == (1, 101, 0)


async def test_revoking_waits_for_what_is_on_its_way_to_kafka() -> None:
    harness = Harness(acks=False)
    await harness.feed(waiting(100, send_batch(message(1)), T0))
    revoking = asyncio.create_task(harness.stage.revoking({TP(RUNG, 3)}))
    await harness.settle()
    assert not revoking.done()
    harness.outbox.acknowledge()
    await harness.settle()
    assert revoking.done()
    assert harness.low() == 101


async def test_revoking_one_partition_leaves_the_others_waiting() -> None:
    harness = Harness()
    await harness.feed(waiting(100, send_batch(message(1)), T0 + 5_000))
    await harness.feed(waiting(100, send_batch(message(1)), T0 + 5_000, partition=4))
    await harness.stage.revoking({TP(RUNG, 3)})
    await harness.pass_time(5)
    assert [sent.partition for sent in harness.outbox.log] == [4]


async def test_a_partition_that_comes_back_is_taken_from_the_start() -> None:
    harness = Harness()
    source = waiting(100, send_batch(message(1)), T0 + 5_000)
    await harness.feed(source)
    await harness.stage.revoking({TP(RUNG, 3)})
    harness.trackers.pop(TP(RUNG, 3)).lost = True
    await harness.stage.assigned({TP(RUNG, 3): Committed(100, "")})
    await harness.feed(source)
    await harness.pass_time(5)
    assert (len(harness.outbox.log), harness.low()) == (1, 101)


async def test_nothing_leaves_for_a_partition_that_was_lost() -> None:
    harness = Harness()
    await harness.feed(waiting(100, send_batch(message(1)), T0 + 5_000))
    harness.trackers[TP(RUNG, 3)].lost = True
    await harness.pass_time(5)
    assert harness.outbox.log == []


async def test_a_wall_clock_that_jumps_moves_nothing_that_waits() -> None:
    harness = Harness()
    await harness.feed(waiting(100, send_batch(message(1)), T0 + 5_000))
    harness.clock.jump_wall(-3600)
    await harness.pass_time(5)
    assert len(harness.outbox.log) == 1


async def test_a_step_that_fails_ends_the_process_instead_of_leaving_records_waiting() -> None:
    harness = Harness()
    harness.outbox.put = None  # type: ignore[assignment, method-assign]
    await harness.stage.handle(harness.batch(waiting(100, send_batch(message(1)), T0)))
    for _ in range(20):
        await asyncio.sleep(0)
    [(what, error)] = harness.fatal
    assert what == f"pushcast-settle: {RUNG}[3]"
    assert isinstance(error, TypeError)
    assert harness.low() == 100
