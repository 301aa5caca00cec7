"""What holds for SEND whatever providers answer, in whatever order, and whenever Kafka acknowledges."""

from __future__ import annotations

import asyncio
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.model.batch import SendBatch
from pushcast.model.notification import Options
from pushcast.model.words import Outcome
from pushcast.providers.port import Disposition, Result
from pushcast.send.budget import Budget
from pushcast.send.decide import Again, End, Policy, decide
from pushcast.stream.batch import TP, Committed
from unit.send.twin import T0, TOPIC, Harness, TwinProvider, failed, message, ok, send_batch

ANSWERS = [*Disposition]


@given(
    st.lists(st.sampled_from(ANSWERS), min_size=12, max_size=12),
    st.integers(1, 10),
    st.booleans(),
    st.booleans(),
    st.none() | st.floats(0, 1e6),
    st.integers(0, 2**32),
)
def test_every_sequence_of_answers_ends_within_the_allowed_tries(
    answers: list[Disposition], attempts: int, at_most_once: bool, dry_run: bool, retry_after: float | None, seed: int
) -> None:
    policy, random, doubtful = Policy(attempts), Random(seed), False
    for tries, disposition in enumerate(answers, 1):
        verdict = decide(
            Result(0, disposition, None, retry_after_seconds=retry_after),
            tries=tries,
            doubtful=doubtful,
            at_most_once=at_most_once,
            dry_run=dry_run,
            policy=policy,
            random=random,
        )
        if isinstance(verdict, End):
            break
        assert isinstance(verdict, Again)
        assert 0 < verdict.delay_seconds <= policy.max_delay_seconds
        assert verdict.doubtful >= doubtful, "doubt does not go away"
        assert not (at_most_once and disposition is Disposition.UNKNOWN), "at most once was sent again in doubt"
        doubtful = verdict.doubtful
    else:
        raise AssertionError("never ended")
    assert tries <= attempts
    assert verdict.token_invalid == (disposition is Disposition.INVALID and not dry_run)
    assert (verdict.outcome is Outcome.ACCEPTED) == (disposition is Disposition.ACCEPTED)
    assert (verdict.reason is None) == (verdict.outcome is Outcome.ACCEPTED)


@given(st.integers(1, 60), st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 40), st.booleans()), max_size=60))
def test_a_budget_is_never_exceeded_and_never_starves_who_holds_nothing(
    capacity: int, steps: list[tuple[str, int, bool]]
) -> None:
    budget = Budget(capacity)
    for key in "abcd":
        budget.register(key)
    for key, count, takes in steps:
        held = budget.held_by(key)
        if takes:
            free = capacity - budget.held
            granted = budget.take(key, count, least=10)
            assert 0 <= granted <= min(count, free)
            assert granted or held or not free
            assert held + granted <= max(1, free - granted, held)
        else:
            budget.release(key, min(count, held))
        assert 0 <= budget.held <= capacity
        assert budget.held == sum(budget.held_by(key) for key in "abcd")


def _result(disposition: Disposition, target: int) -> Result:
    return ok(target) if disposition is Disposition.ACCEPTED else failed(disposition, target=target)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 3))
def test_every_target_ends_in_exactly_one_receipt_and_a_record_is_done_only_after_its_last(
    seed: int, capacity: int, attempts: int
) -> None:
    asyncio.run(_run(Random(seed), capacity, attempts))


async def _run(random: Random, capacity: int, attempts: int) -> None:
    """Random batches, answers, acknowledgements, timers and a rebalance; then everything is let go and counted."""
    providers = [TwinProvider("news"), TwinProvider("chat")]
    harness = Harness(
        *providers,
        acks=False,
        capacity=capacity,
        attempts=attempts,
        quiesce_seconds=0.0,
        max_open_targets=random.choice([1, 20, 1000]),
    )
    batches = [_batch(random, number) for number in range(random.randint(1, 6))]
    first_user = {100 + n: _users(batch) for n, batch in enumerate(batches)}
    batch = harness.next_batch(*batches)
    await harness.stage.handle(batch)
    for _ in range(random.randint(0, 60)):
        await _step(random, harness, providers)
        _holds(harness, first_user, capacity)
    if random.random() < 0.3:
        await harness.stage.revoking({TP(TOPIC, 3)})
        harness.trackers[3].lost = True
        await harness.stage.assigned({TP(TOPIC, 3): Committed(None, "")})
        committed = harness.trackers.pop(3).low
        left = [record for record in batch.records if record.offset >= committed]
        if left:
            await harness.stage.handle(harness.batch(left))
    for _ in range(2000):
        if harness.trackers.get(3) is None or harness.committable() == 100 + len(batches):
            break
        await _step(random, harness, providers, hurry=True)
    harness.outbox.acknowledge()
    await harness.settle()
    ended = {r["delivery_id"] for r in harness.outbox.receipts()}
    assert ended == {i.hex() for b in batches for m in b.messages for i in m.targets.delivery_id}
    assert (harness.budget.held, harness.stage.waiting()) == (0, 0)
    tries = [attempt for provider in providers for attempt in provider.attempts]
    assert all(attempt < attempts for attempt in tries)
    dead_tokens = {
        r["delivery_id"] for r in harness.outbox.receipts() if r["outcome"] == "invalid" and not r["dry_run"]
    }
    assert {event.delivery_id for event in harness.outbox.invalid_tokens()} == dead_tokens


def _batch(random: Random, number: int) -> SendBatch:
    return send_batch(
        *(
            message(
                random.randint(0, 30),
                app=random.choice(["news", "chat", "gone"]),
                name=f"{number}/{part}",
                first_user=1000 * number + 100 * part,
                expires_at=T0 + random.choice([-1, 200, 10**9]),
                options=Options(dry_run=random.random() < 0.2, at_most_once=random.random() < 0.2),
            )
            for part in range(random.randint(0, 4))
        )
    )


def _users(batch: SendBatch) -> set[str]:
    return {user for part in batch.messages for user in part.targets.user}


async def _step(random: Random, harness: Harness, providers: list[TwinProvider], hurry: bool = False) -> None:
    calls = [call for provider in providers for call in provider.calls if call.left and not call.returned.done()]
    what = random.random()
    if calls and what < 0.5:
        call = random.choice(calls)
        some = random.sample(sorted(call.left), random.randint(1, len(call.left)))
        call.answer(
            *[_result(random.choice(ANSWERS) if random.random() < 0.4 else Disposition.ACCEPTED, i) for i in some]
        )
    elif what < 0.6 or (hurry and not calls):
        harness.fire()
    if what > 0.6 or hurry:
        pending = len(harness.outbox.pending)
        harness.outbox.acknowledge(random.sample(range(pending), random.randint(0, pending)))
    await harness.settle(6)


def _holds(harness: Harness, users: dict[int, set[str]], capacity: int) -> None:
    assert harness.budget.held <= capacity
    done = harness.committable()
    acknowledged = {r["user"] for r in harness.outbox.receipts()}
    for offset, mine in users.items():
        assert offset >= done or mine <= acknowledged, "done before its last outcome was acknowledged"
    outcomes = [r["delivery_id"] for r in harness.outbox.receipts()]
    assert len(outcomes) == len(set(outcomes)), "a delivery ended twice"
