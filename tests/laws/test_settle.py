"""What holds for SETTLE and for the ladder whatever is due when, acknowledged when, and taken away when."""

from __future__ import annotations

import asyncio
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.model.words import Outcome
from pushcast.providers.port import Disposition, Result
from pushcast.send.decide import Again, End, Later, Policy, decide
from pushcast.stream.batch import TP, Committed
from pushcast.stream.tracker import Record
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.sending.retries import Ladder, Rung, rungs_of
from unit.send.twin import T0, message, record, send_batch
from unit.settle.twin import RUNG, Harness, waiting

SEND = "push.send.apns.urgent.v1"


@given(
    st.lists(st.floats(0.1, 1000), min_size=4, max_size=4).map(sorted),
    st.integers(1, 9),
    st.lists(st.none() | st.floats(0, 1e6), min_size=12, max_size=12),
)
def test_the_ladder_ends_never_goes_down_and_waits_as_long_as_it_was_asked_to_when_it_can(
    seconds: list[float], attempts: int, asked: list[float | None]
) -> None:
    ladder = Ladder(rungs_of(seconds), attempts)
    below: Rung | None = None
    for rounds, wish in enumerate(asked, 1):
        rung = ladder.rung_after(rounds, wish)
        if rung is None:
            assert rounds == attempts
            return
        plain = ladder.rung_after(rounds)
        assert plain is not None
        assert rung.seconds >= plain.seconds
        assert wish is None or rung.seconds >= min(wish, seconds[-1])
        assert below is None or plain.seconds >= below.seconds
        below = plain
    raise AssertionError("never ended")


@given(
    st.lists(st.sampled_from([*Disposition]), min_size=60, max_size=60),
    st.integers(1, 4),
    st.integers(1, 6),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_every_sequence_of_answers_ends_within_the_rounds_of_the_ladder(
    answers: list[Disposition], tries: int, rounds: int, at_most_once: bool, seed: int
) -> None:
    policy, random = Policy(tries, Ladder(rungs_of([1, 2, 3, 4]), rounds)), Random(seed)
    doubtful, made, here = False, 0, 1
    for disposition in answers:
        verdict = decide(
            Result(0, disposition),
            tries=here,
            doubtful=doubtful,
            at_most_once=at_most_once,
            dry_run=False,
            policy=policy,
            random=random,
            rounds_made=made,
        )
        if isinstance(verdict, End):
            assert made < rounds
            assert not (doubtful and verdict.outcome is Outcome.DEAD) or verdict.reason == "unknown_outcome"
            return
        assert verdict.doubtful >= doubtful, "doubt does not go away"
        assert not (at_most_once and verdict.doubtful), "at most once was sent again in doubt"
        doubtful = verdict.doubtful
        if isinstance(verdict, Again):
            assert disposition is Disposition.UNSENT, "only what certainly did not arrive is tried again at once"
            here += 1
            assert here <= tries
        else:
            assert isinstance(verdict, Later)
            made, here = made + 1, 1
            assert made < rounds
    raise AssertionError("never ended")


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_every_waiting_delivery_is_sent_or_ends_and_a_record_is_done_only_after_that(seed: int) -> None:
    asyncio.run(_run(Random(seed)))


async def _run(random: Random) -> None:
    """Random waits, expiries, poison, acknowledgements and take-overs; then everything is let go and counted."""
    harness = Harness(acks=False)
    log = [_record(random, 100 + number) for number in range(random.randint(1, 25))]
    fed, takeovers = 0, 0
    for _ in range(random.randint(0, 80)):
        what = random.random()
        if what < 0.3 and fed < len(log):
            count = random.randint(1, len(log) - fed)
            await harness.feed(*log[fed : fed + count])
            fed += count
        elif what < 0.6:
            await harness.pass_time(random.choice([0.1, 1.0, 5.0]))
        elif what < 0.9:
            pending = len(harness.outbox.pending)
            harness.outbox.acknowledge(random.sample(range(pending), random.randint(0, pending)))
            await harness.settle()
        elif fed:
            fed = await _take_over(random, harness, log)
            takeovers += 1
        _holds(harness, log)
    if fed < len(log):
        await harness.feed(*log[fed:])
    for _ in range(40):
        await harness.pass_time(1.0)
        harness.outbox.acknowledge()
        await harness.settle()
    _holds(harness, log)
    assert harness.low() == 100 + len(log)
    assert harness.stage.waiting() == 0
    if not takeovers:
        every = _sent(harness) + [r["user"] for r in harness.outbox.receipts()]
        assert len(every) == len(set(every)), "a delivery was passed on twice without any fault"


async def _take_over(random: Random, harness: Harness, log: list[Record]) -> int:
    """The partition goes, in order or by a crash, and comes back from where it was committed."""
    tp = TP(RUNG, 3)
    low = harness.low()
    if random.random() < 0.5:
        revoking = asyncio.create_task(harness.stage.revoking({tp}))
        await harness.settle()
        harness.outbox.acknowledge()
        await harness.settle()
        await revoking
        low = harness.low()
    harness.trackers.pop(tp).lost = True
    await harness.stage.assigned({tp: Committed(low, "")})
    left = log[low - 100 :]
    if left:
        await harness.feed(*left)
    else:
        await harness.feed(record(RUNG, 3, 100 + len(log), b"junk"))
        log.append(record(RUNG, 3, 100 + len(log), b"junk"))
    return len(log)


def _record(random: Random, offset: int) -> Record:
    if random.random() < 0.1:
        return record(RUNG, 3, offset, random.choice([None, b"junk"]))
    expires_at = T0 + random.choice([-1, 3_000, 10**9])
    parts = [
        message(
            random.randint(0, 4), name=f"{offset}/{part}", first_user=100 * offset + 10 * part, expires_at=expires_at
        )
        for part in range(random.randint(0, 3))
    ]
    return waiting(offset, send_batch(*parts), T0 + random.randint(-2_000, 12_000))


def _users(entry: Record) -> list[str]:
    if entry.value in (None, b"junk"):
        return []
    return [user for part in decode_batch(entry.value or b"").messages for user in part.targets.user]


def _sent(harness: Harness) -> list[str]:
    return [user for entry in harness.outbox.of(SEND) for user in _users(entry)]


def _holds(harness: Harness, log: list[Record]) -> None:
    if not harness.trackers:
        return
    acknowledged = set(_sent(harness)) | {r["user"] for r in harness.outbox.receipts()}
    for entry in log[: max(0, harness.low() - 100)]:
        assert set(_users(entry)) <= acknowledged, "done before what it became was acknowledged"
    now_ms = harness.clock.now_ms()
    for entry in harness.outbox.of(SEND):
        came = int((dict(entry.headers)["push-came-from"] or b"").rsplit(b"|", 1)[1])
        due_at = int(dict(log[came - 100].headers)["push-due-at"] or 0)
        assert due_at <= now_ms, "sent before it was due"
