"""Retries and parked work go through the gate of quiet hours: fact Q9 of reference/time.md, at the settler."""

from __future__ import annotations

import pytest

from pushcast.model.batch import Message
from pushcast.model.quiet import DAYS, Quiet, QuietTerms, spread_after
from pushcast.model.user import QuietHours
from pushcast.model.words import Lane, Platform
from pushcast.settle.decide import settle
from pushcast.wire import topics
from pushcast.wire.sending.batches import decode_batch, encode_batch
from pushcast.wire.sending.parked import Why, parked_of, parked_record, time_of
from pushcast.wire.sending.retries import Round, round_of
from unit.send.twin import T0, message, record, send_batch
from unit.settle.test_parked import Lab
from unit.settle.twin import waiting

PARKED = topics.PARKED
MINUTE = 60_000
#: T0 is 08:00 in UTC.
NINE, TEN = T0 + 60 * MINUTE, T0 + 120 * MINUTE
TERMS = QuietTerms(Quiet.HOLD, "UTC", (QuietHours(DAYS, "08:01", "10:00"),))


def quiet(terms: QuietTerms = TERMS, expires_at: int = TEN + 1, first_user: int = 0) -> Message:
    made = message(1, expires_at=expires_at, first_user=first_user)
    made.quiet = terms
    return made


async def test_q9_a_retry_that_comes_due_in_quiet_hours_waits_for_their_end_with_its_attempts() -> None:
    lab = Lab()
    await lab.feed(waiting(100, send_batch(quiet()), T0 + 70_000))
    await lab.pass_time(70)
    [held] = lab.outbox.of(PARKED)
    assert lab.sent() == []
    assert (parked_of(held.headers).why, time_of(held.headers)) == (Why.QUIET_HOURS, TEN)
    assert round_of(held.headers) == Round(2), "a wait for quiet hours is no round"
    assert lab.stage.counters["carried", "apns"] == 1
    await lab.bring_back()
    await lab.pass_time(120 * 60 - 71)
    assert lab.sent() == []
    await lab.bring_back()
    await lab.pass_time(1)
    assert lab.sent() == ["u0"]
    assert lab.outbox.outcomes() == {}, "its one receipt is the sender's"


async def test_q9_before_they_begin_it_is_sent_again_at_once() -> None:
    lab = Lab()
    await lab.feed(waiting(100, send_batch(quiet()), T0 + 10_000))
    await lab.pass_time(10)
    assert lab.sent() == ["u0"]
    [sent] = [each for each in lab.outbox.log if each.topic != PARKED]
    [again] = decode_batch(sent.value or b"").messages
    assert again.quiet == TERMS, "the next try is judged, too"


@pytest.mark.parametrize(
    ("policy", "expires_at", "doubtful", "outcome"),
    [
        (Quiet.HOLD, NINE, False, ("expired", "quiet_hours")),
        (Quiet.HOLD, NINE, True, ("dead", "unknown_outcome")),
        (Quiet.DROP, TEN + 1, False, ("suppressed", "quiet_hours")),
    ],
)
async def test_what_cannot_wait_for_their_end_ends_at_once(
    policy: Quiet, expires_at: int, doubtful: bool, outcome: tuple[str, str]
) -> None:
    lab = Lab()
    terms = QuietTerms(policy, TERMS.zone, TERMS.windows)
    await lab.feed(waiting(100, send_batch(quiet(terms, expires_at)), T0 + 70_000, doubtful=doubtful))
    await lab.pass_time(70)
    assert lab.outbox.outcomes() == {"u0": outcome}
    assert lab.outbox.of(PARKED) == []


async def test_parked_work_of_a_paused_app_that_resumes_at_night_waits_for_the_morning() -> None:
    lab = Lab()
    lab.pause()
    value, headers = parked_record(
        app="news",
        lane=Lane.URGENT,
        platform=Platform.APNS,
        messages=[quiet()],
        why=Why.PAUSED,
        run=0,
        first_seen_at=T0,
        rounds_made=0,
        doubtful=False,
        sent_from="pushcast-send-apns-urgent|7",
    )
    await lab.park(record(PARKED, 3, 100, value, None, headers))
    await lab.pass_time(70)
    await lab.bring_back()
    lab.resume()
    await lab.settle()
    assert lab.sent() == []
    await lab.bring_back()
    await lab.pass_time(2 * 3600 - 70)
    assert lab.sent() == ["u0"]
    assert lab.outbox.outcomes() == {}


def test_each_user_of_a_batch_leaves_at_an_instant_of_its_own() -> None:
    both = message(2, expires_at=TEN + 600_000)
    both.quiet = TERMS
    first = settle(send_batch(both), NINE, quiet_spread_ms=300_000)
    times = {user: TEN + spread_after(user, 300_000) for user in ("u0", "u1")}
    assert (first.again, first.quiet_until_ms) == (None, min(times.values()))
    early, late = sorted(times, key=lambda user: times[user])
    later = settle(send_batch(both), times[early], quiet_spread_ms=300_000)
    assert later.again is not None
    assert later.quiet is not None
    assert later.again.messages[0].targets.user == [early]
    assert (later.quiet.messages[0].targets.user, later.quiet_until_ms) == ([late], times[late])


def test_a_zone_that_this_process_does_not_know_counts_as_utc() -> None:
    gone = quiet(QuietTerms(Quiet.HOLD, "Mars/Gone", TERMS.windows))
    assert settle(send_batch(gone), NINE).quiet_until_ms == TEN


def test_quiet_hours_travel_with_the_message_and_cost_nothing_without_them() -> None:
    [again] = decode_batch(encode_batch(send_batch(quiet()))).messages
    assert again.quiet == TERMS
    [plain] = decode_batch(encode_batch(send_batch(message(1)))).messages
    assert plain.quiet is None
