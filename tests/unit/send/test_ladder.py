"""SEND with a retry ladder: what waits on a rung, what is tried at once, and what is dead after the last round."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from pushcast.model.batch import SendBatch
from pushcast.model.words import Outcome
from pushcast.providers.port import Disposition, Result
from pushcast.send.decide import Again, End, Later, Park, Policy, decide
from pushcast.stream.tracker import Record
from pushcast.wire import topics
from pushcast.wire.sending.batches import decode_batch, encode_batch
from pushcast.wire.sending.retries import DEFAULT_RUNGS, Ladder, Round, round_of
from unit.send.twin import T0, TOPIC, Harness, TwinProvider, failed, message, ok, record, send_batch

LADDER = Ladder(DEFAULT_RUNGS)
RETRY_10S = topics.retry("10s")


def verdict(disposition: Disposition, tries: int = 1, **kw: Any) -> End | Again | Later | Park:
    given = {"doubtful": False, "at_most_once": False, "dry_run": False, "rounds_made": 0} | kw
    retry_after = given.pop("retry_after", None)
    result = Result(0, disposition, None, retry_after_seconds=retry_after)
    return decide(result, tries=tries, policy=Policy(2, LADDER), random=Random(1), **given)


def test_only_what_certainly_did_not_arrive_is_tried_again_at_once() -> None:
    assert isinstance(verdict(Disposition.UNSENT), Again)
    assert verdict(Disposition.UNSENT, tries=2) == Later(DEFAULT_RUNGS[0], False)
    for disposition in (Disposition.RETRY, Disposition.CREDENTIAL):
        assert verdict(disposition) == Later(DEFAULT_RUNGS[0], False)


def test_an_unknown_outcome_waits_in_doubt_unless_at_most_once_was_asked_for() -> None:
    assert verdict(Disposition.UNKNOWN) == Later(DEFAULT_RUNGS[0], True)
    assert verdict(Disposition.UNKNOWN, at_most_once=True) == End(Outcome.REJECTED, "unknown_outcome")
    assert verdict(Disposition.RETRY, at_most_once=True) == Later(DEFAULT_RUNGS[0], False)


def test_the_providers_delay_picks_the_rung() -> None:
    assert verdict(Disposition.RETRY, retry_after=61.0) == Later(DEFAULT_RUNGS[2], False)


def test_the_last_round_is_dead_with_its_reason() -> None:
    assert verdict(Disposition.RETRY, rounds_made=4) == End(Outcome.DEAD, "provider_error")
    assert verdict(Disposition.RETRY, rounds_made=4, doubtful=True) == End(Outcome.DEAD, "unknown_outcome")


async def feed(harness: Harness, batch: SendBatch, *headers: tuple[str, bytes]) -> Record:
    """The record at offset 100 of partition 3."""
    source = record(TOPIC, 3, 100, encode_batch(batch), None, headers)
    await harness.stage.handle(harness.batch([source]))
    await harness.settle()
    return source


async def test_only_the_failed_targets_wait_with_their_whole_content_and_a_raised_attempt() -> None:
    script = {"u1": [failed(Disposition.RETRY)], "u3": [failed(Disposition.RETRY)]}
    harness = Harness(TwinProvider(script=script), ladder=LADDER)
    sent = message(4)
    await feed(
        harness, send_batch(sent), ("traceparent", b"00-1"), ("push-origin", b"plan-urgent/3"), ("push-epoch", b"1")
    )
    [waiting] = harness.outbox.of(RETRY_10S)
    assert (waiting.partition, waiting.key) == (3, None)
    batch = decode_batch(waiting.value or b"")
    [part] = batch.messages
    assert (part.targets.user, part.targets.attempt) == (["u1", "u3"], [1, 1])
    assert (part.content, part.options, part.targets.expires_at) == (
        sent.content,
        sent.options,
        sent.targets.expires_at[:2],
    )
    assert batch.first_seen_at == T0
    headers = dict(waiting.headers)
    due_at = int(headers.pop("push-due-at") or 0)
    assert T0 + 10_000 <= due_at <= T0 + 11_000
    assert headers == {
        "traceparent": b"00-1",
        "push-platform": b"apns",
        "push-lane": b"urgent",
        "push-attempt": b"1",
        "push-first-seen": str(T0).encode(),
        "push-sent-from": b"pushcast-send-apns-urgent|100",
    }
    assert harness.outbox.outcomes() == {"u0": ("accepted", None), "u2": ("accepted", None)}
    assert harness.committable() == 101
    assert harness.budget.held == 0
    assert harness.figures.tries_again == {("news", "apns", "urgent", "retry"): 2}


async def test_the_record_is_not_done_before_kafka_has_the_retry() -> None:
    harness = Harness(TwinProvider(script={"u0": [failed(Disposition.RETRY)]}), ladder=LADDER, acks=False)
    await feed(harness, send_batch(message(1)))
    assert (harness.committable(), harness.budget.held) == (100, 1)
    harness.outbox.acknowledge()
    await harness.settle()
    assert (harness.committable(), harness.budget.held) == (101, 0)


async def test_messages_of_one_record_that_fail_together_are_one_retry_record() -> None:
    script = {user: [failed(Disposition.RETRY)] for user in ("u0", "u5")}
    harness = Harness(TwinProvider(script=script), ladder=LADDER)
    await feed(harness, send_batch(message(1), message(1, name="m", first_user=5)))
    batches = [decode_batch(waiting.value or b"") for waiting in harness.outbox.of(RETRY_10S)]
    users = sorted(user for batch in batches for part in batch.messages for user in part.targets.user)
    assert users == ["u0", "u5"]
    assert len(batches) == 1


async def test_what_is_in_doubt_waits_apart_and_stays_in_doubt() -> None:
    script = {"u0": [failed(Disposition.UNKNOWN)], "u1": [failed(Disposition.RETRY)]}
    harness = Harness(TwinProvider(script=script), ladder=LADDER)
    await feed(harness, send_batch(message(2)))
    rounds = {
        decode_batch(waiting.value or b"").messages[0].targets.user[0]: round_of(waiting.headers)
        for waiting in harness.outbox.of(RETRY_10S)
    }
    assert rounds == {"u0": Round(1, True, 0), "u1": Round(1, False, 0)}


async def test_a_later_round_goes_further_up_and_keeps_when_it_was_first_seen() -> None:
    harness = Harness(TwinProvider(script={"u0": [failed(Disposition.RETRY)]}), ladder=LADDER)
    batch = send_batch(message(1), run=1)
    batch.first_seen_at = T0 - 99
    await feed(harness, batch, ("push-attempt", b"3"), ("push-doubtful", b"1"))
    [waiting] = harness.outbox.of(topics.retry("30m"))
    assert round_of(waiting.headers) == Round(4, True, 1)
    again = decode_batch(waiting.value or b"")
    assert (again.run, again.first_seen_at) == (1, T0 - 99)


async def test_after_the_last_round_there_is_a_dead_receipt_and_a_dead_letter_of_the_failed_targets() -> None:
    script = {"u1": [failed(Disposition.RETRY, "rate_limited")]}
    harness = Harness(TwinProvider(script=script), ladder=LADDER)
    await feed(harness, send_batch(message(3)), ("push-attempt", b"4"))
    assert harness.outbox.outcomes()["u1"] == ("dead", "rate_limited")
    [letter] = harness.outbox.of(TOPIC + ".dlq")
    assert letter.partition == 3
    assert [part.targets.user for part in decode_batch(letter.value or b"").messages] == [["u1"]]
    headers = dict(letter.headers)
    assert (headers["push.errors.reason"], headers["push.errors.attempts"]) == (b"rate_limited", b"5")
    assert headers["__streams.errors.offset"] == b"100"
    assert "push-attempt" not in headers, "a redrive climbs the ladder anew"
    assert harness.committable() == 101


async def test_a_run_in_the_header_counts_in_receipts() -> None:
    harness = Harness(TwinProvider(accept=True), ladder=LADDER)
    await feed(harness, send_batch(message(1)), ("push-run", b"2"))
    assert [receipt["run"] for receipt in harness.outbox.receipts()] == [2]


async def test_a_round_that_is_no_number_makes_a_dead_letter() -> None:
    harness = Harness(TwinProvider(accept=True), ladder=LADDER)
    await feed(harness, send_batch(message(1)), ("push-attempt", b"many"))
    [letter] = harness.outbox.of(TOPIC + ".dlq")
    assert dict(letter.headers)["push.errors.field"] == b"push-attempt"
    assert harness.committable() == 101


async def test_what_was_in_doubt_before_and_expires_here_is_not_called_expired() -> None:
    harness = Harness(TwinProvider(accept=True), ladder=LADDER)
    await feed(harness, send_batch(message(1, expires_at=T0)), ("push-doubtful", b"1"))
    assert harness.outbox.outcomes() == {"u0": ("dead", "unknown_outcome")}


async def test_a_try_at_once_that_succeeds_needs_no_rung() -> None:
    harness = Harness(TwinProvider(script={"u0": [failed(Disposition.UNSENT), ok(0)]}), ladder=LADDER)
    await feed(harness, send_batch(message(1)))
    harness.fire()
    await harness.settle()
    assert harness.outbox.outcomes() == {"u0": ("accepted", None)}
    assert harness.outbox.of(RETRY_10S) == []


@pytest.mark.parametrize("rounds", [0, 3])
async def test_a_partition_that_goes_away_leaves_no_retry_of_what_it_dropped(rounds: int) -> None:
    provider = TwinProvider()
    harness = Harness(provider, ladder=LADDER, quiesce_seconds=0.0)
    await feed(harness, send_batch(message(1)), ("push-attempt", str(rounds).encode()))
    await harness.stage.close()
    provider.calls[0].on_results([failed(Disposition.RETRY)])
    await harness.settle()
    assert harness.outbox.log == []
