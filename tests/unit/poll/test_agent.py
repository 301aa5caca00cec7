from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from pushcast.config.stages import Flood
from pushcast.model.ids import delivery_id
from pushcast.model.words import Platform
from pushcast.poll.asker import MAX_DELAY_SECONDS, MAX_PARTS, PAUSE_SECONDS, TRIES
from pushcast.providers.expo.receipts import IDS_PER_REQUEST, KEPT_SECONDS, Polled
from pushcast.providers.port import Disposition
from pushcast.providers.verdict import Verdict
from pushcast.stream.batch import TP, Committed
from pushcast.stream.errors import Flooded
from pushcast.wire import topics
from pushcast.wire.control.control import BreakerRecord, Kind, Subject
from pushcast.wire.control.control_reader import decode, parse_key
from pushcast.wire.sending.retries import DUE_AT
from unit.poll.twin import DEAD, OK, T0, TOPIC, Harness, TwinSource, record, refused, tickets

AWAY = refused(Disposition.UNSENT, "connection_failed")


async def test_tickets_are_asked_about_when_they_are_due_and_not_before() -> None:
    source = TwinSource(says={"t0": OK, "t1": OK})
    harness = Harness(news=source)
    await harness.feed(record(100, tickets(2)))
    await harness.pass_time(899)
    assert (source.asked, harness.low(), harness.stage.waiting()) == ([], 100, 1)
    await harness.pass_time(1)
    assert source.asked == [["t0", "t1"]]
    assert (harness.low(), harness.stage.waiting(), harness.outbox.log) == (101, 0, [])
    assert harness.figures.receipts == {("news", "expo", "accepted", ""): 2}
    assert harness.figures.asked == {("news", "expo", "answered"): 1}


async def test_a_device_that_is_no_more_is_told_as_send_tells_it() -> None:
    harness = Harness(news=TwinSource(says={"t0": OK, "t1": DEAD}))
    batch = tickets(2)
    await harness.feed(record(100, batch))
    await harness.pass_time(900)
    [event] = harness.invalid()
    [produced] = harness.outbox.of(topics.TOKEN_INVALID)
    assert (produced.partition, produced.key) == (3, b"u1")
    assert event._asdict() == {
        "user": "u1",
        "app": "news",
        "device": "d1",
        "platform": "expo",
        "token_hash": batch.token_hash[1],
        "reason": "device_unregistered",
        "provider_status": 200,
        "invalid_since": None,  # so a token that was registered after sent_at stays
        "sent_at": T0,
        "at": T0 + 900_000,
        "delivery_id": delivery_id("n", "u1", "news", "d1").hex(),
    }


@pytest.mark.parametrize(
    ("disposition", "reason"),
    [
        (Disposition.REJECTED, "payload_too_large"),
        (Disposition.RETRY, "rate_limited"),
        (Disposition.RETRY, "provider_error"),
        (Disposition.RETRY, "third_party_credential_refused"),
        (Disposition.REJECTED, "bad_request"),
    ],
)
async def test_other_errors_are_counted_and_logged_and_cost_no_token(disposition: Disposition, reason: str) -> None:
    harness = Harness(news=TwinSource(says={f"t{n}": Verdict(disposition, reason) for n in range(3)}))
    with capture_logs() as logs:
        await harness.feed(record(100, tickets(3)))
        await harness.pass_time(900)
    assert harness.figures.receipts == {("news", "expo", disposition, reason): 3}
    assert [(entry["event"], entry["app"], entry[reason]) for entry in logs] == [
        ("pushes_failed_after_their_ticket", "news", 3)
    ]
    assert (harness.outbox.log, harness.low()) == ([], 101)


async def test_what_fails_often_is_one_line_a_minute() -> None:
    harness = Harness(news=TwinSource(says={f"t{n}": Verdict(Disposition.RETRY, "rate_limited") for n in range(9)}))
    with capture_logs() as logs:
        for offset in range(3):
            await harness.feed(record(100 + offset, tickets(1, first=offset), timestamp=T0 - 900_000))
        await harness.pass_time(60)
        await harness.feed(record(103, tickets(1, first=3), timestamp=T0 - 900_000))
    assert [entry["rate_limited"] for entry in logs] == [1, 3]


async def test_a_receipt_that_is_not_there_is_asked_for_again_and_the_record_is_done() -> None:
    source = TwinSource(says={"t1": OK})
    harness = Harness(news=source)
    await harness.feed(record(100, tickets(3)))
    await harness.pass_time(900)
    [(due_at, again)] = harness.again()
    assert (due_at, again.ticket_id, again.asks, again.sent_at) == (1_800_000, ["t0", "t2"], 1, T0)
    [produced] = harness.outbox.of(TOPIC)
    assert (produced.partition, produced.key, harness.low()) == (3, b"news", 101)


async def test_a_record_that_is_due_much_later_goes_to_the_end_meanwhile() -> None:
    source = TwinSource(says={"t0": OK})
    harness = Harness(news=source)
    due = record(100, tickets(1), headers=[("traceparent", b"00-1"), (DUE_AT, str(T0 + 3_600_000).encode())])
    await harness.feed(due, record(101, tickets(1, first=7)))
    await harness.pass_time(900)
    assert source.asked == [["t7"]]
    produced, _ = harness.outbox.of(TOPIC)  # the second is u7's, whose receipt is not there
    assert (produced.value, list(produced.headers)) == (due.value, list(due.headers))
    assert harness.low() == 102


async def test_tickets_that_stay_silent_until_their_receipts_are_gone_are_given_up() -> None:
    harness = Harness(news=TwinSource())
    with capture_logs() as logs:
        await harness.feed(record(100, tickets(2, sent_at=T0 - KEPT_SECONDS * 1000), timestamp=T0 - 900_000))
    assert harness.figures.receipts == {("news", "expo", "unknown", "no_receipt"): 2}
    assert (harness.outbox.log, harness.low(), logs[0]["no_receipt"]) == ([], 101, 2)


async def test_small_records_share_a_question_and_a_question_is_no_longer_than_expos_own() -> None:
    source = TwinSource(says={f"t{number}": OK for number in range(1000)})
    harness = Harness(news=source)
    sizes = [1] * 50 + [200, 100, 300]
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    batches = [tickets(size, first=start) for size, start in zip(sizes, starts, strict=True)]
    await harness.feed(*(record(100 + number, batch) for number, batch in enumerate(batches)))
    await harness.pass_time(900)
    assert [len(question) for question in source.asked] == [250, 100, 300]
    assert max(map(len, source.asked)) <= IDS_PER_REQUEST
    assert harness.low() == 153


async def test_a_record_is_not_done_before_kafka_has_what_follows_from_it() -> None:
    harness = Harness(acks=False, news=TwinSource(says={"t0": DEAD}))
    await harness.feed(record(100, tickets(1)), record(101, tickets(1, first=1)))
    await harness.pass_time(900)
    assert (len(harness.outbox.pending), harness.low()) == (2, 100)
    harness.outbox.acknowledge()
    await harness.settle()
    assert harness.low() == 102


async def test_a_provider_that_is_away_is_asked_again_with_back_off() -> None:
    source = TwinSource(AWAY, AWAY, says={"t0": OK})
    harness = Harness(news=source)
    await harness.feed(record(100, tickets(1)))
    await harness.pass_time(900)
    assert source.asked == [["t0"]] * 3
    assert 0.5 <= harness.slept[0] < harness.slept[1] <= 2.0
    assert (harness.low(), harness.outbox.log) == (101, [])
    assert harness.figures.asked == {("news", "expo", "connection_failed"): 2, ("news", "expo", "answered"): 1}


async def test_a_provider_that_stays_away_is_left_alone_and_nothing_is_lost() -> None:
    source = TwinSource(*[AWAY] * TRIES, says={f"t{number}": OK for number in range(3)})
    harness = Harness(news=source)
    await harness.feed(record(100, tickets(1)))
    await harness.pass_time(900)
    assert len(source.asked) == TRIES
    [(due_at, again)] = harness.again()
    assert (again.ticket_id, again.asks, harness.low()) == (["t0"], 0, 101)
    assert due_at >= 2 * 900_000
    # What becomes due meanwhile is not asked about either.
    await harness.feed(record(101, tickets(1, first=1), timestamp=T0 - 900_000))
    assert (len(source.asked), len(harness.again()), harness.low()) == (TRIES, 2, 102)
    await harness.pass_time(PAUSE_SECONDS)
    await harness.feed(record(102, tickets(1, first=2), timestamp=T0 - 900_000))
    assert (source.asked[-1], harness.low()) == (["t2"], 103)


async def test_a_refused_credential_is_not_tried_again_at_once() -> None:
    source = TwinSource(refused(Disposition.CREDENTIAL, "credential_refused"))
    harness = Harness(news=source)
    with capture_logs() as logs:
        await harness.feed(record(100, tickets(1)))
        await harness.pass_time(900)
    assert (len(source.asked), harness.slept, harness.low()) == (1, [], 101)
    assert [entry["reason"] for entry in logs] == ["credential_refused"]
    assert len(harness.again()) == 1


async def test_the_providers_own_delay_is_kept_up_to_a_bound() -> None:
    late = refused(Disposition.RETRY, "rate_limited", 7.0)
    later = refused(Disposition.RETRY, "rate_limited", 500.0)
    harness = Harness(news=TwinSource(late, later, later))
    await harness.feed(record(100, tickets(1)))
    await harness.pass_time(900)
    assert harness.slept == [7.0, MAX_DELAY_SECONDS]
    [(due_at, _)] = harness.again()
    assert due_at - (harness.clock.now_ms() - T0) == 900_000


async def test_one_apps_provider_that_never_answers_holds_up_no_other_app() -> None:
    silent, chat = TwinSource(), TwinSource(says={"t1": OK})
    silent.held = asyncio.Event()
    harness = Harness(news=silent, chat=chat)
    await harness.feed(record(100, tickets(1)), record(101, tickets(1, app="chat", first=1)))
    await harness.pass_time(900)
    assert harness.figures.receipts == {("chat", "expo", "accepted", ""): 1}
    assert harness.low() == 100
    silent.held.set()
    await harness.settle()
    assert harness.low() == 102


async def test_one_id_that_expo_does_not_take_is_found_by_halving() -> None:
    def answer(ids: list[str]) -> Polled:
        wrong = refused(Disposition.REJECTED, "bad_request")
        return wrong if "t7" in ids else Polled(dict.fromkeys(ids, OK))

    source = TwinSource(*[answer] * 50)
    harness = Harness(news=source)
    await harness.feed(record(100, tickets(20)))
    await harness.pass_time(900)
    assert harness.figures.receipts == {
        ("news", "expo", "accepted", ""): 19,
        ("news", "expo", "rejected", "bad_request"): 1,
    }
    assert (harness.low(), harness.outbox.log) == (101, [])


async def test_when_expo_takes_no_part_of_a_question_it_is_asked_later() -> None:
    source = TwinSource(*[refused(Disposition.REJECTED, "bad_request")] * 500)
    harness = Harness(news=source)
    await harness.feed(record(100, tickets(300)))
    await harness.pass_time(900)
    await harness.settle(400)
    assert len(source.asked) == MAX_PARTS
    assert [len(again) for _, again in harness.again()] == [300]
    assert harness.low() == 101


@pytest.mark.parametrize(
    ("value", "key", "reason"),
    [
        (b"junk", b"news", b"unknown_frame"),
        (None, b"news", b"tombstone"),
        (tickets(1, app="chat"), b"news", b"invalid_field"),
    ],
)
async def test_a_record_that_is_no_tickets_is_a_dead_letter_and_the_others_go_on(
    value: bytes | None, key: bytes, reason: bytes
) -> None:
    harness = Harness(news=TwinSource(says={"t5": OK}))
    await harness.feed(record(100, value, key=key), record(101, tickets(1, first=5)))
    await harness.pass_time(900)
    [letter] = harness.outbox.of(TOPIC + ".dlq")
    headers = dict(letter.headers)
    assert (headers["push.errors.reason"], headers["push.errors.stage"]) == (reason, b"poll")
    assert harness.figures.edge == {("dead_letters", reason.decode()): 1}
    assert (harness.figures.receipts.total(), harness.low()) == (1, 102)


async def test_a_flood_of_records_that_are_no_tickets_ends_the_process() -> None:
    harness = Harness(news=TwinSource())
    least = Flood().least_records
    records = [record(100 + n, b"junk", key=b"news", timestamp=T0 - 900_000) for n in range(least + 10)]
    await harness.stage.handle(harness.batch(*records))
    with pytest.raises(AssertionError, match="records are invalid"):
        await harness.settle(200)
    assert isinstance(harness.fatal[0][1], Flooded)
    assert len(harness.outbox.of(TOPIC + ".dlq")) < least


async def test_tickets_of_an_app_that_is_not_configured_are_given_up() -> None:
    harness = Harness()
    with capture_logs() as logs:
        await harness.feed(record(100, tickets(2, app="gone")))
        await harness.pass_time(900)
    assert harness.figures.receipts == {("", "expo", "unknown", "not_configured"): 2}
    assert (harness.low(), logs[0]["not_configured"]) == (101, 2)


async def test_revoking_leaves_what_waits_undone_and_gives_up_questions() -> None:
    source = TwinSource()
    source.held = asyncio.Event()
    harness = Harness(news=source)
    await harness.feed(record(100, tickets(1), timestamp=T0 - 900_000), record(101, tickets(1, first=1)))
    assert len(source.asked) == 1
    await harness.stage.revoking({TP(TOPIC, 3)})
    await harness.settle()
    source.held.set()
    await harness.pass_time(900)
    assert (len(source.asked), harness.low(), harness.stage.waiting(), harness.outbox.log) == (1, 100, 0, [])


async def test_a_question_goes_on_for_the_partitions_that_stay() -> None:
    source = TwinSource(says={"t0": DEAD, "t1": DEAD})
    source.held = asyncio.Event()
    harness = Harness(news=source)
    old = T0 - 900_000
    await harness.stage.handle(harness.batch(record(100, tickets(1), timestamp=old)))
    await harness.stage.handle(harness.batch(record(100, tickets(1, first=1), partition=4, timestamp=old)))
    await harness.settle()
    await harness.stage.revoking({TP(TOPIC, 3)})
    source.held.set()
    await harness.settle()
    assert [event.user for event in harness.invalid()] == ["u1"]
    assert (harness.low(3), harness.low(4)) == (100, 101)


async def test_revoking_waits_for_what_is_on_its_way_to_kafka() -> None:
    harness = Harness(acks=False, news=TwinSource(says={"t0": DEAD}))
    await harness.feed(record(100, tickets(1), timestamp=T0 - 900_000))
    revoking = asyncio.create_task(harness.stage.revoking({TP(TOPIC, 3)}))
    await harness.settle()
    assert not revoking.done()
    harness.outbox.acknowledge()
    await harness.settle()
    assert revoking.done()
    assert harness.low() == 101


async def test_a_partition_that_comes_back_is_taken_from_the_start() -> None:
    source = TwinSource(says={"t0": OK})
    harness = Harness(news=source)
    await harness.feed(record(100, tickets(1)))
    await harness.stage.revoking({TP(TOPIC, 3)})
    harness.trackers.clear()
    await harness.stage.assigned({TP(TOPIC, 3): Committed(100, "")})
    await harness.feed(record(100, tickets(1)))
    await harness.pass_time(900)
    assert (source.asked, harness.low()) == ([["t0"]], 101)


async def test_records_that_come_while_a_question_is_given_up_are_asked_about() -> None:
    source = TwinSource(says={"t1": OK})
    source.held = asyncio.Event()
    harness = Harness(news=source)
    old = T0 - 900_000
    await harness.feed(record(100, tickets(1), timestamp=old))
    source.held.set()
    forget = asyncio.create_task(harness.stage.revoking({TP(TOPIC, 3)}))
    await harness.stage.handle(harness.batch(record(100, tickets(1, first=1), partition=4, timestamp=old)))
    await harness.settle()
    assert forget.done()
    assert source.asked[-1] == ["t1"]
    assert harness.low(4) == 101


async def test_an_unexpected_error_ends_the_process_and_completes_nothing() -> None:
    def broken(_: list[str]) -> Polled:
        raise RuntimeError("a defect")

    harness = Harness(news=TwinSource(broken))
    await harness.stage.handle(harness.batch(record(100, tickets(1), timestamp=T0 - 900_000)))
    with pytest.raises(AssertionError, match="a defect"):
        await harness.settle()
    assert [what for what, _ in harness.fatal] == ["pushcast-poll-expo: receipts of 'news'"]
    assert harness.low() == 100


async def test_an_answer_that_cannot_be_read_says_nothing_about_a_ticket() -> None:
    unreadable = refused(Disposition.UNKNOWN, "answer_unreadable")
    harness = Harness(news=TwinSource(*[unreadable] * TRIES, says={"t0": OK}))
    await harness.feed(record(100, tickets(1)))
    await harness.pass_time(900)
    assert harness.figures.receipts == {}
    assert ([len(again) for _, again in harness.again()], harness.low()) == ([1], 101)


async def test_tokens_that_are_dead_in_masses_are_not_believed_and_the_breaker_is_announced() -> None:
    source = TwinSource(says={f"t{number}": DEAD if number else OK for number in range(400)})
    harness = Harness(news=source)
    old = T0 - 900_000
    await harness.feed(record(100, tickets(41), timestamp=old))
    assert len(harness.invalid()) == 40
    with capture_logs() as logs:
        await harness.feed(record(101, tickets(100, first=41), timestamp=old))
    assert len(harness.invalid()) == 40, "no more tokens are reported"
    assert [len(again) for _, again in harness.again()] == [100]
    [control] = harness.outbox.of(topics.CONTROL)
    subject = parse_key(control.key)
    entry = decode(subject, control.value or b"")
    assert (subject, control.partition) == (Subject(Kind.BREAKER, "news", Platform.EXPO), 0)
    assert isinstance(entry, BreakerRecord)
    now_ms = harness.clock.now_ms()
    assert (entry.state, entry.reason) == ("open", "mass_invalid_tokens")
    assert (entry.abnormal_since_ms, entry.opened_at_ms) == (now_ms - 60_000, now_ms)
    assert [line["event"] for line in logs] == ["receipts_call_masses_of_tokens_dead"]
    # It is announced once, and ends when most tokens of a hundred answers are alive.
    await harness.feed(record(102, tickets(50, first=141), timestamp=old))
    source.says = {f"t{number}": OK if number % 10 else DEAD for number in range(400)}
    await harness.feed(record(103, tickets(100, first=200), timestamp=old))
    await harness.feed(record(104, tickets(2, first=300), timestamp=old))
    assert (len(harness.outbox.of(topics.CONTROL)), harness.low()) == (1, 105)
    assert len(harness.invalid()) == 40 + 10 + 1


async def test_dead_tokens_without_a_live_one_between_are_not_believed_however_slowly_they_come() -> None:
    source = TwinSource(says={f"t{number}": DEAD for number in range(40)})
    harness = Harness(news=source)
    for number in range(30):
        await harness.feed(record(100 + number, tickets(1, first=number), timestamp=T0 - 900_000))
        await harness.pass_time(120)
    assert len(harness.invalid()) == 19
    [control] = harness.outbox.of(topics.CONTROL)
    entry = decode(parse_key(control.key), control.value or b"")
    assert isinstance(entry, BreakerRecord)
    assert entry.is_open
    assert entry.opened_at_ms > max(each.at for each in harness.invalid()), "REGISTER lifts what they suspended"
    source.says |= {"t30": OK}
    await harness.feed(record(130, tickets(1, first=30), timestamp=T0 - 900_000))
    await harness.feed(record(131, tickets(1, first=31), timestamp=T0 - 900_000))
    assert len(harness.invalid()) == 20
    assert len(harness.outbox.of(topics.CONTROL)) == 1


async def test_some_dead_tokens_among_many_are_believed() -> None:
    source = TwinSource(says={f"t{number}": DEAD if number % 10 else OK for number in range(95)})
    harness = Harness(news=source)
    await harness.feed(record(100, tickets(95), timestamp=T0 - 900_000))
    assert len(harness.invalid()) == 85, "fewer than a hundred answers say nothing about all of them"
    assert harness.outbox.of(topics.CONTROL) == []


async def test_the_dead_tokens_of_one_user_are_believed_however_many_they_are() -> None:
    harness = Harness(news=TwinSource(says={f"t{number}": DEAD for number in range(300)}))
    for number in range(3):
        anna = tickets(100, first=100 * number)
        anna.user[:] = ["anna"] * 100
        await harness.feed(record(100 + number, anna, timestamp=T0 - 900_000))
    assert len(harness.invalid()) == 300
    assert harness.outbox.of(topics.CONTROL) == []
