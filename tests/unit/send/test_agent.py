from __future__ import annotations

import asyncio

from pushcast.model.notification import Options
from pushcast.providers.port import Disposition
from pushcast.send.budget import Budget
from pushcast.stream.batch import TP, Committed
from pushcast.wire import topics
from pushcast.wire.answers.ledger import LedgerEntry, parse
from unit.send.twin import T0, TOPIC, Harness, TwinProvider, failed, message, ok, send_batch


async def test_every_target_gets_a_receipt_and_then_the_record_is_done() -> None:
    provider = TwinProvider(accept=True)
    harness = Harness(provider)
    await harness.feed(send_batch(message(3)), send_batch(message(2, name="m")))
    receipts = harness.outbox.receipts()
    assert [r["user"] for r in receipts] == ["u0", "u1", "u2", "u0", "u1"]
    assert {r["outcome"] for r in receipts} == {"accepted"}
    assert harness.committable() == 102
    assert harness.budget.held == 0
    assert harness.figures.outcomes == {("news", "apns", "urgent", "accepted", ""): 5}


async def test_a_receipt_says_all_that_is_known_of_its_delivery() -> None:
    harness = Harness(TwinProvider(accept=True))
    sent = message(2, options=Options(dry_run=True))
    await harness.feed(send_batch(sent, run=1))
    produced = harness.outbox.of(topics.RECEIPT)[1]
    delivery = sent.targets.delivery_id[1]
    assert (produced.partition, produced.key) == (3, b"u1")
    assert [(name, parse(value or b"")) for name, value in produced.headers] == [
        ("push-ledger", LedgerEntry("pushcast-send-apns-urgent", 100, delivery))
    ]
    assert harness.outbox.receipts()[1] == {
        "delivery_id": delivery.hex(),
        "notification_id": "n",
        "user": "u1",
        "app": "news",
        "device": "d1",
        "platform": "apns",
        "lane": "urgent",
        "class": "default",
        "outcome": "accepted",
        "reason": None,
        "provider_id": "apns-1",
        "provider_status": 200,
        "attempts": 1,
        "dry_run": True,
        "run": 1,
        "source_partition": 3,
        "source_offset": 8,
        "created_at": T0 - 50,
        "ended_at": T0 + 21,
        "replay_of": None,
        "source": 0,
        "due_at": None,
        "campaign": None,
        "variant": None,
        "app_version": None,
    }


async def test_a_record_is_not_done_before_kafka_has_acknowledged_its_last_receipt() -> None:
    harness = Harness(TwinProvider(accept=True), acks=False)
    await harness.feed(send_batch(message(3)))
    assert harness.committable() == 100
    harness.outbox.acknowledge([0, 2])
    await harness.settle()
    assert harness.committable() == 100
    assert harness.stage.in_flight("news") == 3
    harness.outbox.acknowledge()
    await harness.settle()
    assert harness.committable() == 101
    assert harness.stage.in_flight("news") == 0


async def test_results_may_come_in_any_order_and_in_parts() -> None:
    provider = TwinProvider()
    harness = Harness(provider)
    await harness.feed(send_batch(message(3), message(1, app="news", name="m", first_user=9)))
    first, second = provider.calls
    second.answer(ok(0))
    first.answer(ok(2), ok(0))
    await harness.settle()
    assert set(harness.outbox.outcomes()) == {"u9", "u0", "u2"}
    assert harness.committable() == 100
    first.answer(ok(1))
    await harness.settle()
    assert harness.committable() == 101


async def test_a_result_that_comes_twice_makes_one_receipt() -> None:
    provider = TwinProvider()
    harness = Harness(provider)
    await harness.feed(send_batch(message(2)))
    provider.calls[0].answer(ok(0))
    provider.calls[0].answer(ok(0))
    await harness.settle()
    assert len(harness.outbox.receipts()) == 1
    assert harness.committable() == 100


async def test_an_app_that_is_not_configured_is_rejected_and_the_others_go_on() -> None:
    harness = Harness(TwinProvider(accept=True))
    await harness.feed(send_batch(message(1, app="gone"), message(1, first_user=5)))
    assert harness.outbox.outcomes() == {"u0": ("rejected", "not_configured"), "u5": ("accepted", None)}
    assert [r["attempts"] for r in harness.outbox.receipts() if r["user"] == "u0"] == [0]
    assert harness.committable() == 101


async def test_what_is_past_its_expiry_is_never_sent() -> None:
    provider = TwinProvider(accept=True)
    harness = Harness(provider)
    mixed = message(3)
    mixed.targets.expires_at[1] = T0
    mixed.targets.expires_at[2] = T0 + 1
    await harness.feed(send_batch(mixed), send_batch(message(1, expires_at=T0 - 1, first_user=8)))
    assert provider.seen == ["u0", "u2"]
    assert harness.outbox.outcomes()["u1"] == ("expired", "expired")
    assert harness.outbox.outcomes()["u8"] == ("expired", "expired")
    assert harness.committable() == 102


async def test_a_dead_token_is_reported_with_its_receipt() -> None:
    gone = failed(
        Disposition.INVALID,
        "device_unregistered",
        status=410,
        invalid_since=T0 - 99,
        sent_at=T0 + 1,
        answered_at=T0 + 2,
    )
    harness = Harness(TwinProvider(script={"u1": [gone]}), acks=False)
    sent = message(2)
    await harness.feed(send_batch(sent))
    assert harness.committable() == 100
    harness.outbox.acknowledge([n for n, (_, r) in enumerate(harness.outbox.pending) if r.topic == topics.RECEIPT])
    await harness.settle()
    assert harness.committable() == 100, "the token report is not acknowledged"
    harness.outbox.acknowledge()
    await harness.settle()
    assert harness.committable() == 100, "the receipt that waited for it is not"
    harness.outbox.acknowledge()
    await harness.settle()
    assert harness.committable() == 101
    assert harness.outbox.outcomes() == {"u0": ("accepted", None), "u1": ("invalid", "device_unregistered")}
    produced = harness.outbox.of(topics.TOKEN_INVALID)[0]
    assert (produced.key, produced.partition) == (b"u1", 3)
    event = harness.outbox.invalid_tokens()[0]
    assert (event.user, event.app, event.device, event.platform) == ("u1", "news", "d1", "apns")
    assert (event.token_hash, event.reason) == (sent.targets.token_hash[1], "device_unregistered")
    assert (event.provider_status, event.invalid_since) == (410, T0 - 99)
    assert (event.sent_at, event.at) == (T0 + 1, T0 + 2)
    assert event.delivery_id == sent.targets.delivery_id[1].hex()


async def test_without_a_time_of_sending_the_token_report_says_when_it_was_handed_over() -> None:
    harness = Harness(TwinProvider(script={"u0": [failed(Disposition.INVALID)]}))
    await harness.feed(send_batch(message(1)))
    assert harness.outbox.invalid_tokens()[0].sent_at == T0


async def test_a_dry_run_reports_no_token() -> None:
    harness = Harness(TwinProvider(script={"u0": [failed(Disposition.INVALID)]}))
    await harness.feed(send_batch(message(1, options=Options(dry_run=True))))
    assert harness.outbox.outcomes() == {"u0": ("invalid", "device_unregistered")}
    assert harness.outbox.invalid_tokens() == []


async def test_a_passing_error_is_tried_again_and_only_for_the_target_that_had_it() -> None:
    provider = TwinProvider(script={"u1": [failed(Disposition.RETRY, "rate_limited"), ok(0)]})
    harness = Harness(provider)
    await harness.feed(send_batch(message(3)))
    assert set(harness.outbox.outcomes()) == {"u0", "u2"}
    assert harness.stage.in_flight("news") == 1, "what waits for its second try is still under way"
    assert harness.fire() == 1
    await harness.settle()
    assert provider.seen == ["u0", "u1", "u2", "u1"]
    assert provider.attempts == [0, 0, 0, 1], "the second try has another apns-id"
    assert harness.outbox.outcomes()["u1"] == ("accepted", None)
    assert [r["attempts"] for r in harness.outbox.receipts() if r["user"] == "u1"] == [2]
    assert harness.committable() == 101
    assert harness.figures.tries_again == {("news", "apns", "urgent", "retry"): 1}


async def test_after_the_last_try_a_delivery_is_dead_with_the_last_reason() -> None:
    script = {
        "u0": [failed(Disposition.RETRY, "provider_unavailable", status=503)],
        "u1": [failed(Disposition.CREDENTIAL, "invalid_provider_token", status=403)],
        "u2": [failed(Disposition.UNKNOWN, "timeout"), failed(Disposition.RETRY, "rate_limited")],
    }
    provider = TwinProvider(script=script)
    harness = Harness(provider)
    await harness.feed(send_batch(message(3)))
    harness.fire()
    await harness.settle()
    assert harness.outbox.outcomes() == {
        "u0": ("dead", "provider_unavailable"),
        "u1": ("dead", "credential_refused"),
        "u2": ("dead", "unknown_outcome"),
    }
    assert len(provider.seen) == 6
    assert harness.timers == []
    assert harness.committable() == 101


async def test_a_second_try_past_the_expiry_does_not_leave() -> None:
    script = {"u0": [failed(Disposition.RETRY)], "u1": [failed(Disposition.UNKNOWN)]}
    provider = TwinProvider(script=script)
    harness = Harness(provider)
    await harness.feed(send_batch(message(2, expires_at=T0 + 10)))
    harness.fire()
    await harness.settle()
    assert provider.seen == ["u0", "u1"]
    assert harness.outbox.outcomes() == {"u0": ("expired", "expired"), "u1": ("dead", "unknown_outcome")}
    assert harness.committable() == 101


async def test_targets_that_a_provider_forgot_are_unknown() -> None:
    provider = TwinProvider()
    harness = Harness(provider)
    await harness.feed(send_batch(message(2, options=Options(at_most_once=True))))
    provider.calls[0].answer(ok(1))
    provider.calls[0].returned.set_result(None)
    await harness.settle()
    assert harness.outbox.outcomes() == {"u0": ("rejected", "unknown_outcome"), "u1": ("accepted", None)}


async def test_a_send_that_was_cancelled_by_someone_else_leaves_no_record_open() -> None:
    provider = TwinProvider()
    harness = Harness(provider)
    await harness.feed(send_batch(message(2, options=Options(at_most_once=True))))
    provider.calls[0].answer(ok(0))
    provider.calls[0].returned.cancel()
    await harness.settle()
    assert harness.outbox.outcomes() == {"u0": ("accepted", None), "u1": ("rejected", "unknown_outcome")}
    assert harness.committable() == 101


async def test_an_engine_that_raises_ends_the_process() -> None:
    class Broken(TwinProvider):
        async def send(self, *_: object) -> None:
            raise KeyError("defect")

    harness = Harness(Broken())
    await harness.stage.handle(harness.next_batch(send_batch(message(1, options=Options(at_most_once=True)))))
    for _ in range(8):
        await asyncio.sleep(0)
    assert isinstance(harness.fatal[0][1], KeyError)
    assert harness.outbox.log == []
    assert harness.committable() == 100


async def test_a_step_that_fails_ends_the_process_instead_of_leaving_records_open() -> None:
    provider = TwinProvider()
    harness = Harness(provider)
    await harness.feed(send_batch(message(1)))
    provider.calls[0].on_results([ok(0)._replace(provider_id=7)])  # type: ignore[arg-type]
    for _ in range(8):
        await asyncio.sleep(0)
    assert isinstance(harness.fatal[0][1], AttributeError)
    assert harness.committable() == 100


async def test_a_record_that_is_no_batch_is_a_dead_letter_and_the_stream_goes_on() -> None:
    harness = Harness(TwinProvider(accept=True), acks=False)
    await harness.feed(b"\xff\x00junk", send_batch(message(1)), None)
    harness.outbox.acknowledge([n for n, (_, r) in enumerate(harness.outbox.pending) if r.topic == topics.RECEIPT])
    await harness.settle()
    assert harness.committable() == 100, "the dead letter is not acknowledged"
    harness.outbox.acknowledge()
    await harness.settle()
    letters = harness.outbox.of(topics.dead_letter(TOPIC))
    assert [(letter.partition, letter.value) for letter in letters] == [(3, b"\xff\x00junk"), (3, None)]
    assert [dict(letter.headers)["push.errors.reason"] for letter in letters] == [b"unknown_frame", b"tombstone"]
    assert harness.outbox.outcomes() == {"u0": ("accepted", None)}
    assert harness.committable() == 103


async def test_a_record_without_targets_is_done_at_once() -> None:
    harness = Harness(TwinProvider())
    await harness.feed(send_batch(), send_batch(message(0)))
    assert harness.committable() == 102


async def test_no_more_than_the_budget_is_under_way() -> None:
    provider = TwinProvider()
    harness = Harness(provider, capacity=250, acks=False)
    await harness.feed(send_batch(message(200)), send_batch(message(200, name="m")))
    assert [len(call.indices) for call in provider.calls] == [200]
    assert harness.stage.waiting() == 200
    provider.calls[0].answer(*[ok(i) for i in range(120)])
    await harness.settle()
    assert len(provider.calls) == 1, "answered, but not acknowledged"
    harness.outbox.acknowledge()
    await harness.settle()
    assert [call.indices for call in provider.calls[1:]] == [list(range(170))]
    assert harness.budget.held == 250


async def test_a_slow_app_leaves_room_for_the_others() -> None:
    slow, quick = TwinProvider("slow"), TwinProvider("quick", accept=True)
    harness = Harness(slow, quick, capacity=1000)
    await harness.feed(send_batch(message(900, app="slow"), message(900, app="quick")))
    assert len(harness.outbox.receipts()) == 900
    assert sum(len(call.indices) for call in slow.calls) == 500
    assert harness.stage.in_flight("quick") == 0


async def test_a_partition_decodes_no_more_than_it_has_room_for_and_the_others_go_on() -> None:
    provider = TwinProvider()
    harness = Harness(provider, max_open_targets=100)
    await harness.feed(*[send_batch(message(60, name=f"n{n}")) for n in range(5)], partition=3)
    await harness.feed(send_batch(message(60, name="other")), partition=4)
    assert [len(call.indices) for call in provider.calls] == [60, 60, 60]
    provider.calls[0].answer(*[ok(i) for i in range(60)])
    await harness.settle()
    assert len(provider.calls) == 4
    while any(call.left for call in provider.calls):
        for call in provider.calls:
            call.answer(*[ok(i) for i in call.left])
        await harness.settle()
    assert (harness.committable(3), harness.committable(4)) == (105, 101)


async def test_what_is_not_decoded_yet_goes_with_its_partition() -> None:
    provider = TwinProvider()
    harness = Harness(provider, max_open_targets=10, quiesce_seconds=0.0)
    await harness.feed(*[send_batch(message(10, name=f"n{n}")) for n in range(3)])
    await harness.stage.revoking({TP(TOPIC, 3)})
    await harness.settle()
    assert len(provider.calls) == 1
    assert harness.committable() == 100


async def test_revoking_finishes_what_has_begun_and_drops_the_rest() -> None:
    provider = TwinProvider()
    harness = Harness(provider, capacity=250)
    await harness.feed(send_batch(message(200)), send_batch(message(200, name="m")), send_batch(message(9, name="o")))
    # The first record is under way, the second has begun (50 of its targets), the third has not.
    provider.calls[0].answer(*[ok(i) for i in range(110)])
    await harness.settle()
    revoking = asyncio.create_task(harness.stage.revoking({TP(TOPIC, 3)}))
    await harness.settle()
    assert not revoking.done()
    while any(call.left for call in provider.calls):
        for call in provider.calls:
            call.answer(*[ok(i) for i in call.left])
        await harness.settle()
    await revoking
    assert len(harness.outbox.receipts()) == 400
    assert harness.committable() == 102
    assert (harness.budget.held, harness.stage.waiting()) == (0, 0)
    assert harness.figures.dropped == {("apns", "urgent"): 9}


async def test_revoking_gives_up_after_its_bound_and_leaves_the_record_undone() -> None:
    provider = TwinProvider(script=None)
    harness = Harness(provider, quiesce_seconds=0.0)
    await harness.feed(send_batch(message(3)))
    call = provider.calls[0]
    call.answer(ok(0))
    await harness.settle()
    await harness.stage.revoking({TP(TOPIC, 3)})
    await harness.settle()
    assert provider.cancelled == 1
    call.on_results([ok(1)])
    await harness.settle()
    assert set(harness.outbox.outcomes()) == {"u0"}
    assert harness.committable() == 100
    assert harness.budget.held == 0


async def test_nothing_leaves_so_late_that_its_answer_would_come_too_late() -> None:
    """What waits within a provider when a partition goes leaves at once or not at all."""
    provider = TwinProvider()
    harness = Harness(provider, quiesce_seconds=30.0)
    await harness.feed(send_batch(message(2)))
    assert provider.may_leave()

    revoking = asyncio.create_task(harness.stage.revoking({TP(TOPIC, 3)}))
    await harness.settle()
    assert provider.may_leave()
    harness.fire()
    assert not provider.may_leave()
    provider.calls[0].answer(ok(0), ok(1))
    await revoking
    assert provider.may_leave()


async def test_revoking_one_partition_leaves_the_others_alone() -> None:
    provider = TwinProvider()
    harness = Harness(provider, quiesce_seconds=0.0)
    await harness.feed(send_batch(message(1)), partition=3)
    await harness.feed(send_batch(message(1, name="m")), partition=4)
    await harness.stage.revoking({TP(TOPIC, 3)})
    provider.calls[1].answer(ok(0))
    await harness.settle()
    assert (harness.committable(3), harness.committable(4)) == (100, 101)


async def test_what_waits_for_its_second_try_is_dropped_with_its_partition() -> None:
    provider = TwinProvider(script={"u0": [failed(Disposition.RETRY)]})
    harness = Harness(provider, quiesce_seconds=0.0)
    await harness.feed(send_batch(message(1)))
    await harness.stage.revoking({TP(TOPIC, 3)})
    assert harness.fire() == 0
    assert harness.budget.held == 0
    assert provider.seen == ["u0"]


async def test_nothing_more_leaves_for_a_partition_that_was_lost() -> None:
    provider = TwinProvider()
    harness = Harness(provider, capacity=100)
    await harness.feed(send_batch(message(100)), send_batch(message(5, name="m")))
    harness.trackers[3].lost = True
    provider.calls[0].answer(*[ok(i) for i in range(100)])
    await harness.settle()
    assert len(provider.calls) == 1
    assert harness.budget.held == 0


async def test_a_partition_that_comes_back_is_taken_from_the_start() -> None:
    provider = TwinProvider()
    harness = Harness(provider)
    batch = await harness.feed(send_batch(message(1)))
    harness.trackers[3].lost = True
    await harness.stage.assigned({TP(TOPIC, 3): Committed(None, "")})
    harness.trackers.clear()
    again = harness.batch(batch.records)
    await harness.stage.handle(again)
    await harness.settle()
    assert provider.seen == ["u0", "u0"]
    provider.calls[1].answer(ok(0))
    await harness.settle()
    assert harness.committable() == 101


async def test_closing_cancels_what_is_under_way_and_gives_all_budget_back() -> None:
    provider = TwinProvider()
    harness = Harness(provider)
    await harness.feed(send_batch(message(5)))
    await harness.stage.close()
    assert (provider.cancelled, harness.budget.held) == (1, 0)


async def test_latencies_are_told_in_seconds_for_answers_with_both_times() -> None:
    told: list[tuple[str, str, list[float]]] = []
    provider = TwinProvider()
    harness = Harness(provider)
    harness.figures.latencies = lambda app, platform, seconds: told.append((app, platform, seconds))
    await harness.feed(send_batch(message(3)))
    provider.calls[0].answer(ok(0, T0, T0 + 40), ok(1, 0, 0), ok(2, T0, T0 + 250))
    await harness.settle()
    assert told == [("news", "apns", [0.04, 0.25])]


async def test_two_stages_of_one_process_share_a_budget_and_wake_each_other() -> None:
    one, other = TwinProvider(), TwinProvider()
    budget = Budget(10)
    first, second = Harness(one, budget=budget), Harness(other, budget=budget)
    await first.feed(send_batch(message(10)))
    await second.feed(send_batch(message(10)))
    assert (one.seen, other.seen) == ([f"u{n}" for n in range(10)], [])
    one.calls[0].answer(*[ok(i) for i in range(10)])
    await first.settle()
    assert len(other.seen) == 10


async def test_whoever_traces_is_told_of_every_answer_with_the_traces_of_its_message() -> None:
    harness = Harness(TwinProvider(accept=True))
    told: list[tuple[str, str, int]] = []
    harness.figures.spans = lambda app, platform, traces, notification, answers: told.append(
        (app, traces[notification[answers[0].target]], len(answers))
    )
    sent = message(3)
    sent.traces = ["00-trace"]
    await harness.feed(send_batch(sent))
    assert told == [("news", "00-trace", 3)]
