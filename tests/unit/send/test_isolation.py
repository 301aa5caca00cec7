"""Pauses and breakers in the stage: what is blocked is kept aside, and the others go on."""

from __future__ import annotations

import asyncio

import pytest

from pushcast.model.batch import SendBatch
from pushcast.model.notification import Options
from pushcast.model.words import Lane, Platform
from pushcast.providers.port import Disposition
from pushcast.send.abnormal import Limits
from pushcast.stream.batch import TP, Committed
from pushcast.wire import topics
from pushcast.wire.control.control import BreakerRecord, Kind, Pause, Subject, encode
from pushcast.wire.control.control_reader import decode, parse_key
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.headers import RUN, first
from pushcast.wire.sending.parked import Why, parked_of
from pushcast.wire.sending.retries import ATTEMPT, DEFAULT_RUNGS, DOUBTFUL, FIRST_SEEN, SENT_FROM, Ladder, round_of
from pushcast.wire.sending.retries import REFUSED as REFUSED_BEFORE
from unit.send.twin import T0, TOPIC, Harness, TwinProvider, failed, message, ok, send_batch

NEWS = Subject(Kind.PAUSE, "news", Platform.APNS)
BREAKER = Subject(Kind.BREAKER, "news", Platform.APNS)
REFUSED = failed(Disposition.CREDENTIAL, "expired_key", status=403)
DOWN = failed(Disposition.RETRY, "provider_unavailable", status=503)
GONE = failed(Disposition.INVALID, "device_unregistered", status=410)
PROBES = Limits().probes
LADDER = Ladder(DEFAULT_RUNGS)


def in_records(targets: int, records: int = 3, first_user: int = 0) -> list[SendBatch]:
    """As many targets of as many users, in some records."""
    part = targets // records
    return [send_batch(message(part, name=f"r{at}", first_user=first_user + at * part)) for at in range(records)]


def of_one_user(batch: SendBatch, user: str) -> SendBatch:
    """The same, but all devices are his."""
    for part in batch.messages:
        part.targets.user[:] = [user] * len(part.targets)
    return batch


def live() -> ControlState:
    control = ControlState()
    control.live = True
    return control


def isolated(
    *providers: TwinProvider, control: ControlState | None = None, ladder: Ladder = LADDER, **other: object
) -> Harness:
    control = control or live()
    return Harness(*providers, control=control, ladder=ladder, **other)  # type: ignore[arg-type]


def pause(control: ControlState, subject: Subject = NEWS) -> None:
    control.apply(subject.key(), encode(Pause(T0)))


def resume(control: ControlState, subject: Subject = NEWS) -> None:
    control.apply(subject.key(), None)


def announced(harness: Harness) -> list[BreakerRecord]:
    entries = []
    for record in harness.outbox.of(topics.CONTROL):
        entry = decode(parse_key(record.key), record.value or b"")
        assert isinstance(entry, BreakerRecord)
        assert (record.key, record.partition) == (BREAKER.key(), 0)
        entries.append(entry)
    return entries


async def test_what_is_paused_is_parked_and_the_other_apps_go_on() -> None:
    news, chat = TwinProvider("news", accept=True), TwinProvider("chat", accept=True)
    control = live()
    pause(control)
    harness = isolated(news, chat, control=control)
    await harness.feed(send_batch(message(2), message(1, app="chat", first_user=9)), send_batch(message(1, name="m")))
    assert (news.seen, chat.seen) == ([], ["u9"])
    assert harness.outbox.parked() == ["u0", "u1", "u0"]
    assert set(harness.outbox.outcomes()) == {"u9"}
    assert harness.committable() == 102
    assert harness.figures.parked == {("news", "apns", "urgent", "paused"): 3}
    resume(control)
    await harness.feed(send_batch(message(1, first_user=5)))
    assert news.seen == ["u5"]


async def test_a_pause_of_another_lane_or_platform_is_none() -> None:
    control = live()
    pause(control, Subject(Kind.PAUSE, "news", Platform.APNS, Lane.BULK))
    pause(control, Subject(Kind.PAUSE, "news", Platform.FCM))
    harness = isolated(TwinProvider(accept=True), control=control)
    await harness.feed(send_batch(message(1)))
    assert harness.outbox.parked() == []


async def test_a_pause_catches_what_waits_for_the_budget_and_what_waits_for_its_second_try() -> None:
    provider, control = TwinProvider(), live()
    harness = isolated(provider, control=control, capacity=2)
    await harness.feed(send_batch(message(4)))
    provider.calls[0].answer(failed(Disposition.UNSENT, target=0), ok(1))
    await harness.settle()
    pause(control)
    harness.fire()
    await harness.settle()
    provider.calls[-1].answer(*[ok(i) for i in provider.calls[-1].left])
    await harness.settle()
    left = [user for call in provider.calls for user in (call.message.targets.user[i] for i in call.indices)]
    assert sorted(left + harness.outbox.parked()) == ["u0", "u0", "u1", "u2", "u3"]
    assert "u0" in harness.outbox.parked()
    assert harness.committable() == 101
    assert harness.budget.held == 0


async def test_a_parked_record_says_all_that_the_next_round_needs() -> None:
    control = live()
    pause(control)
    harness = isolated(TwinProvider(), control=control)
    sent = send_batch(message(2), run=2)
    batch = harness.next_batch(sent)
    record = batch.records[0]
    headers = [("traceparent", b"t"), (ATTEMPT, b"3"), (DOUBTFUL, b"1")]
    object.__setattr__(record, "headers", tuple(headers))
    await harness.stage.handle(batch)
    await harness.settle()
    [parked] = harness.outbox.of(topics.PARKED)
    assert (parked.partition, parked.key) == (3, None)
    assert parked_of(parked.headers) == ("news", "apns", "urgent", Why.PAUSED)
    found = dict(parked.headers)
    assert found["traceparent"] == b"t"
    assert (found[ATTEMPT], found[DOUBTFUL], found[RUN]) == (b"3", b"1", b"2")
    assert found[FIRST_SEEN] == str(T0).encode()
    assert first(parked.headers, SENT_FROM) == b"pushcast-send-apns-urgent|100"


async def test_a_record_is_not_done_before_its_parked_part_is_acknowledged() -> None:
    control = live()
    pause(control)
    harness = isolated(TwinProvider(), control=control, acks=False)
    await harness.feed(send_batch(message(2)))
    assert harness.committable() == 100
    harness.outbox.acknowledge()
    await harness.settle()
    assert harness.committable() == 101


async def test_a_refused_key_parks_its_work_and_says_so_to_everyone() -> None:
    provider = TwinProvider(script={"u0": [REFUSED]})
    harness = isolated(provider)
    await harness.feed(send_batch(message(1)))
    await harness.feed(send_batch(message(2, first_user=1)))
    assert (harness.outbox.receipts(), provider.seen) == ([], ["u0"])
    assert harness.outbox.parked() == ["u0", "u1", "u2"]
    assert announced(harness) == [BreakerRecord("open", "expired_key", T0 - 2000, T0, None, "me")]
    assert harness.figures.breakers == {("news", "apns"): "open"}
    assert harness.figures.breakers_opened == {("news", "apns", "expired_key"): 1}


async def test_a_refused_key_costs_no_delivery_its_life_even_in_the_last_round() -> None:
    provider = TwinProvider(script={"u0": [REFUSED]})
    harness = isolated(provider)
    batch = harness.next_batch(send_batch(message(1)))
    object.__setattr__(batch.records[0], "headers", ((ATTEMPT, b"99"),))
    await harness.stage.handle(batch)
    await harness.settle()
    assert (harness.outbox.receipts(), harness.outbox.parked()) == ([], ["u0"])
    assert harness.committable() == 101


async def test_while_it_is_open_a_few_probe_and_most_of_them_answered_well_close_it() -> None:
    provider = TwinProvider(script={"u0": [REFUSED]})
    harness = isolated(provider)
    await harness.feed(send_batch(message(1)))
    await harness.feed(send_batch(message(50, first_user=1)))
    assert provider.seen == ["u0"], "no probe before the interval is over"
    harness.clock.advance(10)
    await harness.feed(send_batch(message(50, first_user=100)))
    assert provider.seen[1:] == [f"u{100 + n}" for n in range(PROBES)]
    assert set(harness.outbox.outcomes()) == set(provider.seen[1:])
    assert len(harness.outbox.parked()) == 1 + 50 + (50 - PROBES), "the rest did not wait for the probes"
    assert [entry.state for entry in announced(harness)] == ["open", "closed"]
    assert announced(harness)[1] == BreakerRecord("closed", "expired_key", T0 - 2000, T0, T0 + 10_000, "me")
    await harness.feed(send_batch(message(1, first_user=200)))
    assert provider.seen[-1] == "u200"
    assert harness.budget.held == 0


async def test_probes_that_fail_are_parked_again() -> None:
    provider = TwinProvider(script={f"u{n}": [REFUSED] for n in range(100)})
    harness = isolated(provider)
    await harness.feed(send_batch(message(1)))
    harness.clock.advance(10)
    await harness.feed(send_batch(message(50, first_user=1)))
    assert len(provider.seen) == 1 + PROBES
    assert sorted(harness.outbox.parked()) == sorted(f"u{n}" for n in range(51))
    assert [entry.state for entry in announced(harness)] == ["open"]
    assert harness.committable() == 102


async def test_disbelieved_tokens_are_parked_and_no_token_is_reported() -> None:
    mass = failed(Disposition.CREDENTIAL, "mass_invalid_tokens")
    provider = TwinProvider(script={f"u{n}": [mass if n else GONE] for n in range(20)})
    harness = isolated(provider)
    await harness.feed(*in_records(21))
    assert harness.outbox.invalid_tokens() == []
    assert sorted(harness.outbox.parked()) == sorted(f"u{n}" for n in range(20))
    assert harness.outbox.outcomes() == {"u20": ("accepted", None)}
    assert announced(harness)[0].reason == "mass_invalid_tokens"


async def test_an_abnormal_share_of_invalid_tokens_reports_none_of_those_that_opened_it() -> None:
    harness = isolated(TwinProvider(script={f"u{n}": [GONE] for n in range(201)}))
    await harness.feed(*in_records(201))
    assert (harness.outbox.receipts(), harness.outbox.invalid_tokens()) == ([], [])
    assert len(harness.outbox.parked()) == 201
    assert announced(harness)[0].reason == "tokens_invalid"


async def test_few_invalid_tokens_are_reported_as_ever() -> None:
    gone = failed(Disposition.INVALID, "device_unregistered", status=410)
    harness = isolated(TwinProvider(script={"u1": [gone]}))
    await harness.feed(send_batch(message(3)))
    assert len(harness.outbox.invalid_tokens()) == 1
    assert harness.outbox.outcomes()["u1"] == ("invalid", "device_unregistered")


async def test_an_invalid_token_while_the_key_is_refused_ends_and_is_not_reported() -> None:
    gone = failed(Disposition.INVALID, "device_unregistered", status=410)
    harness = isolated(TwinProvider(script={"u0": [REFUSED], "u1": [gone]}))
    await harness.feed(send_batch(message(2)))
    assert harness.outbox.outcomes() == {"u1": ("invalid", "device_unregistered")}
    assert harness.outbox.invalid_tokens() == []
    assert harness.outbox.parked() == ["u0"]


async def test_a_provider_that_fails_for_a_while_opens_and_spends_no_more_rounds() -> None:
    provider = TwinProvider(script={f"u{n}": [DOWN] for n in range(200)})
    harness = isolated(provider, attempts=1)
    await harness.feed(send_batch(message(60)))
    assert len(harness.outbox.of(topics.retry("10s"))) == 1
    harness.clock.advance(4)
    await harness.feed(send_batch(message(60, first_user=60)))
    assert len(harness.outbox.of(topics.retry("10s"))) == 1
    assert harness.outbox.parked() == [f"u{n}" for n in range(60, 120)]
    assert announced(harness)[0].reason == "provider_failing"
    [parked] = harness.outbox.of(topics.PARKED)
    assert ATTEMPT not in dict(parked.headers)


@pytest.mark.parametrize("reason", ["not_sent_in_time", "rate_limited"])
async def test_what_waited_too_long_for_its_turn_at_our_own_pace_opens_nothing(reason: str) -> None:
    """Expo's line gives back what waits for a minute: a sender with a small share of the project's rate has plenty."""
    late = failed(Disposition.UNSENT, reason)
    harness = isolated(TwinProvider(script={f"u{n}": [late] for n in range(200)}), attempts=1)
    for first_user in (0, 60, 120):
        await harness.feed(send_batch(message(60, first_user=first_user)))
        harness.clock.advance(4)
    assert announced(harness) == []
    assert harness.outbox.parked() == []


async def test_what_may_have_arrived_is_parked_with_that_doubt_and_never_sent_again_when_at_most_once() -> None:
    lost = failed(Disposition.UNKNOWN, "unknown_outcome")
    once = Options(at_most_once=True)
    provider = TwinProvider(script={"u0": [REFUSED], "u1": [lost], "u2": [lost]})
    harness = isolated(provider)
    batch = send_batch(message(2), message(1, first_user=2, options=once, name="m"))
    await harness.feed(batch)
    assert harness.outbox.outcomes() == {"u2": ("rejected", "unknown_outcome")}
    doubts = {DOUBTFUL in dict(record.headers): record for record in harness.outbox.of(topics.PARKED)}
    assert set(doubts) == {False, True}


async def test_being_told_to_slow_down_while_open_goes_to_the_ladder() -> None:
    slow = failed(Disposition.RETRY, "rate_limited", status=429)
    harness = isolated(TwinProvider(script={"u0": [REFUSED], "u1": [slow]}))
    await harness.feed(send_batch(message(2)))
    assert harness.outbox.parked() == ["u0"]
    assert len(harness.outbox.of(topics.retry("10s"))) == 1


async def test_another_sender_that_opened_makes_this_one_careful() -> None:
    provider, control = TwinProvider(accept=True), live()
    harness = isolated(provider, control=control)
    await harness.feed(send_batch(message(1)))
    control.apply(BREAKER.key(), encode(BreakerRecord("open", "expired_key", T0 - 5, T0, by="other")))
    await harness.feed(send_batch(message(30, first_user=100)))
    assert (len(provider.seen), len(harness.outbox.parked())) == (1, 30)
    harness.clock.advance(2)
    await harness.feed(send_batch(message(30, first_user=200)))
    assert [entry.state for entry in announced(harness)] == ["closed"]
    assert announced(harness)[0].abnormal_since_ms == T0 - 5


async def test_another_sender_that_closed_frees_one_that_only_believed_it() -> None:
    provider, control = TwinProvider(accept=True), live()
    harness = isolated(provider, control=control)
    await harness.stage.assigned({TP(TOPIC, 3): Committed(None, "")})
    control.apply(BREAKER.key(), encode(BreakerRecord("open", "expired_key", T0 - 5, T0, by="other")))
    control.apply(BREAKER.key(), encode(BreakerRecord("closed", "expired_key", T0 - 5, T0, T0 + 1, by="other")))
    await harness.feed(send_batch(message(1)))
    assert provider.seen == ["u0"]
    assert announced(harness) == []


async def test_its_own_word_coming_back_changes_nothing() -> None:
    provider, control = TwinProvider(script={"u0": [REFUSED]}), live()
    harness = isolated(provider, control=control)
    await harness.feed(send_batch(message(1)))
    for record in harness.outbox.of(topics.CONTROL):
        control.apply(record.key, record.value)
    harness.clock.advance(1.5)
    await harness.feed(send_batch(message(1, first_user=5)))
    assert provider.seen == ["u0"]


async def test_what_was_open_before_this_process_started_is_open() -> None:
    provider, control = TwinProvider(accept=True), ControlState()
    control.apply(BREAKER.key(), encode(BreakerRecord("open", "expired_key", T0 - 5, T0, by="other")))
    control.live = True
    harness = isolated(provider, control=control)
    await harness.stage.assigned({TP(TOPIC, 3): Committed(None, "")})
    assert harness.figures.breakers == {("news", "apns"): "open"}


async def test_apps_that_are_not_configured_have_no_breaker_and_end_as_ever() -> None:
    control = live()
    pause(control, Subject(Kind.PAUSE, "gone", Platform.APNS))
    harness = isolated(TwinProvider(accept=True), control=control)
    await harness.feed(send_batch(message(1, app="gone")))
    assert harness.outbox.outcomes() == {"u0": ("rejected", "not_configured")}
    assert harness.figures.breakers == {}


async def test_what_is_on_its_way_into_the_parked_topic_is_waited_for_when_the_partition_goes() -> None:
    control = live()
    pause(control)
    harness = isolated(TwinProvider(), control=control, acks=False, quiesce_seconds=30.0)
    await harness.feed(send_batch(message(2)))

    revoking = asyncio.create_task(harness.stage.revoking({TP(TOPIC, 3)}))
    await harness.settle()
    harness.outbox.acknowledge()
    await revoking
    assert harness.committable() == 101
    assert harness.figures.dropped == {}


def news_and_chat() -> tuple[TwinProvider, TwinProvider]:
    """One that answers when it is told to, and one that answers at once."""
    return TwinProvider("news"), TwinProvider("chat", accept=True)


async def test_work_of_a_slow_app_that_fills_the_partition_is_parked_and_the_others_go_on() -> None:
    news, chat = news_and_chat()
    harness = isolated(news, chat, capacity=200, max_open_targets=2000)
    await harness.feed(*[send_batch(message(500, name=f"n{n}")) for n in range(6)], send_batch(message(9, app="chat")))
    assert chat.seen == [], "its record is not even decoded"
    harness.clock.advance(6)
    assert harness.fire() == 1
    await harness.settle()
    assert len(chat.seen) == 9
    parked = len(harness.outbox.parked())
    assert harness.figures.parked == {("news", "apns", "urgent", "budget"): parked}
    assert parked + harness.stage.waiting() + harness.stage.in_flight("news") == 3000
    assert 0 < harness.stage.waiting() <= 1000, "the provider has enough to do"


async def test_what_comes_for_a_slow_app_is_parked_as_it_comes_until_it_is_quick_again() -> None:
    news, chat = news_and_chat()
    harness = isolated(news, chat, capacity=20, max_open_targets=400)
    await harness.feed(*[send_batch(message(50, name=f"n{n}")) for n in range(4)])
    harness.clock.advance(6)
    harness.fire()
    await harness.settle()
    before = len(harness.outbox.parked())
    await harness.feed(send_batch(message(50, name="late", first_user=900)))
    assert harness.outbox.parked()[before:] == [f"u{900 + n}" for n in range(50)]
    news.accept = True
    while news.calls:
        call = news.calls.pop(0)
        call.answer(*[ok(i) for i in call.left])
        await harness.settle(400)
    assert harness.stage.waiting() == 0
    before = len(harness.outbox.parked())
    await harness.feed(send_batch(message(50, name="later", first_user=2000)))
    assert len(harness.outbox.parked()) == before
    assert harness.budget.held == 0
    assert harness.committable() == 106


async def test_a_record_whose_last_target_waits_for_a_slow_provider_holds_little_of_its_partition() -> None:
    news, chat = news_and_chat()
    harness = isolated(news, chat)
    await harness.feed(send_batch(message(1), message(99, app="chat")))
    tracker = harness.trackers[3]
    assert tracker.targets == 1
    assert tracker.bytes < 1000


async def test_an_app_that_is_alone_is_never_parked_for_being_slow() -> None:
    harness = isolated(TwinProvider(), capacity=20, max_open_targets=400)
    await harness.feed(*[send_batch(message(50, name=f"n{n}")) for n in range(4)])
    harness.clock.advance(60)
    harness.fire()
    await harness.settle()
    assert harness.outbox.parked() == []


async def test_work_that_waits_but_not_for_long_is_not_parked() -> None:
    harness = isolated(*news_and_chat(), capacity=20, max_open_targets=400)
    await harness.feed(*[send_batch(message(50, name=f"n{n}")) for n in range(4)])
    harness.clock.advance(3)
    harness.fire()
    await harness.settle()
    assert harness.outbox.parked() == []


async def test_work_that_waits_for_us_is_not_parked_however_long() -> None:
    news, chat = news_and_chat()
    news.slow = False
    harness = isolated(news, chat, capacity=20, max_open_targets=400)
    await harness.feed(*[send_batch(message(50, name=f"n{n}")) for n in range(8)])
    harness.clock.advance(60)
    harness.fire()
    await harness.settle()
    assert harness.outbox.parked() == []


async def test_one_user_with_many_dead_devices_holds_nobody_up_and_his_tokens_are_reported() -> None:
    anna = {f"u{n}": [GONE] for n in range(100)}
    provider = TwinProvider(script={**anna, "anna": [GONE]})
    harness = isolated(provider)
    await harness.feed(*[of_one_user(each, "anna") for each in in_records(75)])
    await harness.feed(send_batch(message(1, first_user=500)))
    assert len(harness.outbox.invalid_tokens()) == 75
    assert (harness.outbox.parked(), announced(harness)) == ([], [])
    assert harness.outbox.receipts()[-1]["outcome"] == "accepted"


@pytest.mark.parametrize("reason", ["third_party_credential_refused", "project_unknown", "answer_without_details"])
async def test_what_concerns_one_target_waits_on_the_ladder_and_ends_and_holds_nobody_up(reason: str) -> None:
    odd = failed(Disposition.RETRY, reason, status=404)
    harness = isolated(TwinProvider(script={"u0": [odd]}), ladder=Ladder(DEFAULT_RUNGS, attempts=3))
    for rounds in range(3):
        await feed_with(harness, send_batch(message(1)), ATTEMPT, str(rounds).encode())
        await harness.feed(send_batch(message(1, name=f"m{rounds}", first_user=1)))
    assert [len(harness.outbox.of(topics.retry(rung))) for rung in ("10s", "1m")] == [1, 1]
    assert [each["reason"] for each in harness.outbox.receipts() if each["user"] == "u0"] == [reason]
    assert (harness.outbox.parked(), announced(harness)) == ([], [])


async def test_a_refused_key_among_many_that_are_taken_waits_on_the_ladder_and_is_not_asked_for_again_at_once() -> None:
    harness = isolated(TwinProvider(script={"u0": [REFUSED]}))
    await harness.feed(send_batch(message(9)))
    assert harness.outbox.parked() == []
    assert len(harness.outbox.of(topics.retry("10s"))) == 1


async def test_work_that_a_provider_refused_says_so_when_it_is_parked_and_what_never_left_does_not() -> None:
    harness = isolated(TwinProvider(script={"u0": [REFUSED]}))
    await harness.feed(send_batch(message(1)))
    await harness.feed(send_batch(message(1, name="m", first_user=1)))
    assert harness.outbox.parked() == ["u0", "u1"]
    assert [round_of(each.headers).refused for each in harness.outbox.of(topics.PARKED)] == [True, False]


async def test_a_probe_that_was_refused_before_spends_a_round_of_its_ladder_and_so_it_ends() -> None:
    provider = TwinProvider(script={"u0": [REFUSED], "u1": [REFUSED]})
    harness = isolated(provider, ladder=Ladder(DEFAULT_RUNGS, attempts=2))
    await harness.feed(send_batch(message(1)))
    harness.clock.advance(10)
    await feed_with(harness, send_batch(message(1)), REFUSED_BEFORE, b"1")
    assert len(harness.outbox.of(topics.retry("10s"))) == 1
    harness.clock.advance(10)
    await feed_with(harness, send_batch(message(1)), ATTEMPT, b"1")
    assert harness.outbox.outcomes() == {"u0": ("dead", "credential_refused")}


async def test_a_probe_is_rather_made_of_work_that_was_not_refused_before() -> None:
    provider = TwinProvider(script={"u0": [REFUSED]})
    harness = isolated(provider, limits=Limits(probes=1))
    await harness.feed(send_batch(message(1)))
    harness.clock.advance(10)
    batch = harness.next_batch(send_batch(message(1)), send_batch(message(1, name="m", first_user=1)))
    object.__setattr__(batch.records[0], "headers", ((REFUSED_BEFORE, b"1"),))
    await harness.stage.handle(batch)
    await harness.settle()
    assert provider.seen[:2] == ["u0", "u1"]
    assert [each.state for each in announced(harness)] == ["open", "closed"]


async def feed_with(harness: Harness, sent: SendBatch, name: str, value: bytes) -> None:
    """Handles this as the next record, with a header."""
    batch = harness.next_batch(sent)
    object.__setattr__(batch.records[0], "headers", ((name, value),))
    await harness.stage.handle(batch)
    await harness.settle()
