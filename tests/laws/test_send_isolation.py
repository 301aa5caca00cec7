"""What holds for SEND whatever breakers, pauses and budgets do: every target ends in exactly one place."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.model.batch import SendBatch
from pushcast.model.notification import Options
from pushcast.model.words import Platform
from pushcast.providers.breadth import WantedBreadth
from pushcast.providers.port import Disposition, Result
from pushcast.send.abnormal import Limits
from pushcast.wire import topics
from pushcast.wire.answers.receipts import decode_token_invalid
from pushcast.wire.control.control import BreakerRecord, Kind, Pause, Subject, encode
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.headers import Headers
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.sending.parked import parked_of
from pushcast.wire.sending.retries import ATTEMPT, DEFAULT_RUNGS, REFUSED, Ladder, round_of
from unit.send.twin import T0, Harness, TwinProvider, failed, message, ok, send_batch

APPS = ("news", "chat")
LIMITS = Limits(
    least_answers=5,
    sustained_seconds=0.0,
    least_tokens=5,
    open_seconds=1.0,
    probes=3,
    wanted=WantedBreadth(tokens=5, users=5, records=2),
)
BAD = [
    failed(Disposition.CREDENTIAL, "expired_key", status=403),
    failed(Disposition.CREDENTIAL, "mass_invalid_tokens"),
    failed(Disposition.RETRY, "provider_unavailable", status=503),
    failed(Disposition.RETRY, "rate_limited", status=429),
    failed(Disposition.UNSENT, "connection_failed"),
    failed(Disposition.UNKNOWN, "unknown_outcome"),
    failed(Disposition.INVALID, "device_unregistered", status=410),
    failed(Disposition.REJECTED, "payload_too_large", status=413),
    failed(Disposition.RETRY, "third_party_credential_refused", status=401),
    failed(Disposition.RETRY, "project_unknown", status=404),
]


class World:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.control = ControlState()
        self.control.live = True
        self.providers = [TwinProvider(app) for app in APPS]
        self.rounds = random.randint(1, 4)
        self.harness = Harness(
            *self.providers,
            acks=False,
            capacity=random.choice([3, 20, 500]),
            attempts=random.randint(1, 3),
            max_open_targets=random.choice([4, 60, 1000]),
            ladder=Ladder(DEFAULT_RUNGS, attempts=self.rounds),
            control=self.control,
            limits=LIMITS,
        )
        self.batches = [self._batch(number) for number in range(random.randint(1, 8))]
        self.share = {app: random.choice([0.0, 0.2, 1.0]) for app in APPS}  # of bad answers
        self.heard = 0  # records of the control topic that came back

    def _batch(self, number: int) -> SendBatch:
        random = self.random
        return send_batch(
            *(
                message(
                    random.randint(0, 12),
                    app=random.choice([*APPS, "gone"]),
                    name=f"{number}/{part}",
                    first_user=1000 * number + 100 * part,
                    expires_at=T0 + random.choice([-1, 2000, 10**9]),
                    options=Options(dry_run=random.random() < 0.2, at_most_once=random.random() < 0.2),
                )
                for part in range(random.randint(0, 4))
            )
        )

    def ends(self) -> Counter[bytes]:
        """How often each delivery ended, acknowledged: in a receipt, on a rung or in the parked topic."""
        found = Counter(bytes.fromhex(receipt["delivery_id"]) for receipt in self.harness.outbox.receipts())
        carried = [topics.retry(delay) for delay in topics.RETRY_DELAY_SECONDS]
        for topic in (*carried, topics.PARKED):
            for record in self.harness.outbox.of(topic):
                for part in decode_batch(record.value or b"").messages:
                    found.update(part.targets.delivery_id)
        return found

    def answer(self, result: Result | None = None) -> bool:
        calls = [call for each in self.providers for call in each.calls if call.left and not call.returned.done()]
        if not calls:
            return False
        call = self.random.choice(calls)
        bad = self.share[call.message.app]
        some = self.random.sample(sorted(call.left), self.random.randint(1, len(call.left)))
        call.answer(
            *[
                (result or self.random.choice(BAD))._replace(target=index) if self.random.random() < bad else ok(index)
                for index in some
            ]
        )
        return True

    def hear(self) -> None:
        """The control topic, read by this process; and now and then the word of another sender."""
        written = self.harness.outbox.of(topics.CONTROL)
        for record in written[self.heard :]:
            self.control.apply(record.key, record.value)
        self.heard = len(written)
        if self.random.random() < 0.2:
            now = self.harness.clock.now_ms()
            other = self.random.choice(
                [BreakerRecord("open", "x", now, now), BreakerRecord("closed", "x", T0, T0, now)]
            )
            self.control.apply(Subject(Kind.BREAKER, self.random.choice(APPS), Platform.APNS).key(), encode(other))

    def operate(self) -> None:
        subject = Subject(Kind.PAUSE, self.random.choice(APPS), Platform.APNS)
        self.control.apply(subject.key(), self.random.choice([None, encode(Pause(1))]))

    async def step(self) -> None:
        random, what = self.random, self.random.random()
        if what < 0.4:
            self.answer()
        elif what < 0.5:
            self.harness.clock.advance(random.choice([0.3, 2.0, 8.0]))
        elif what < 0.6:
            self.harness.fire()
        elif what < 0.65:
            self.operate()
        elif what < 0.7:
            self.hear()
        elif what < 0.75:
            self.share[random.choice(APPS)] = random.choice([0.0, 0.2, 1.0])
        else:
            pending = len(self.harness.outbox.pending)
            self.harness.outbox.acknowledge(random.sample(range(pending), random.randint(0, pending)))
        await self.harness.settle(6)

    def reports(self) -> Counter[str]:
        """Tokens called dead so far by app, acknowledged or not."""
        records = [*self.harness.outbox.of(topics.TOKEN_INVALID), *(each for _, each in self.harness.outbox.pending)]
        written = [each for each in records if each.topic == topics.TOKEN_INVALID]
        return Counter(decode_token_invalid(each.value or b"").app for each in written)

    async def step_and_check(self) -> None:
        open_before = {app for app in APPS if self.harness.figures.breakers.get((app, Platform.APNS)) == "open"}
        reported = self.reports()
        await self.step()
        for app in open_before:
            if self.harness.figures.breakers[app, Platform.APNS] != "closed":
                assert self.reports()[app] == reported[app], "a verdict on a token was passed on by an open breaker"
        self.check()

    def check(self) -> None:
        ends = self.ends()
        assert set(ends.values()) <= {1}, "a delivery ended twice"
        assert self.harness.budget.held <= self.harness.budget.capacity
        done = self.harness.committable() - 100
        for batch in self.batches[:done]:
            for part in batch.messages:
                assert all(each in ends for each in part.targets.delivery_id), "done before all had ended"


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32))
def test_every_target_ends_in_exactly_one_of_receipt_rung_and_parked_topic(seed: int) -> None:
    asyncio.run(_run(Random(seed)))


async def _run(random: Random) -> None:
    world = World(random)
    harness = world.harness
    await harness.stage.handle(harness.next_batch(*world.batches))
    for _ in range(random.randint(0, 80)):
        await world.step_and_check()
    for _ in range(3000):
        if harness.committable() == 100 + len(world.batches):
            break
        world.answer()
        harness.fire()
        harness.outbox.acknowledge()
        await harness.settle(6)
    await harness.settle()
    wanted = {each for batch in world.batches for part in batch.messages for each in part.targets.delivery_id}
    assert world.ends() == Counter(dict.fromkeys(wanted, 1))
    assert (harness.budget.held, harness.stage.waiting()) == (0, 0)
    for record in harness.outbox.of(topics.PARKED):
        assert parked_of(record.headers).app in APPS, "what has no provider ends"
        assert round_of(record.headers).rounds == 0, "parking spent a round"
    dead = [each for each in harness.outbox.receipts() if each["outcome"] == "dead"]
    if world.rounds > 1:
        assert all(each["reason"] != "credential_refused" for each in dead), "one refusal cost a delivery its life"
    removals = {event.delivery_id for event in harness.outbox.invalid_tokens()}
    assert removals <= {each["delivery_id"] for each in harness.outbox.receipts() if each["outcome"] == "invalid"}


def test_refused_deliveries_that_only_ever_serve_as_probes_end_with_a_receipt() -> None:
    for seed in range(20):
        assert asyncio.run(rounds_until_ended(Random(seed), told=True)) <= MOST_ROUNDS


def test_without_word_of_an_earlier_refusal_they_would_be_asked_about_for_ever() -> None:
    assert asyncio.run(rounds_until_ended(Random(1), told=False)) > MOST_ROUNDS


#: Of a minute each: more than any ladder here has.
MOST_ROUNDS = 20


async def rounds_until_ended(random: Random, *, told: bool) -> int:
    """How often everything that is parked or due comes back until each delivery has ended; the key is always refused.

    `told`: what comes back says what was refused before.
    """
    refused = failed(Disposition.CREDENTIAL, "expired_key", status=403)
    users = random.randint(1, 4)
    control = ControlState()
    control.live = True
    harness = Harness(
        TwinProvider(script={f"u{n}": [refused] for n in range(users)}),
        ladder=Ladder(DEFAULT_RUNGS, attempts=random.randint(1, 4)),
        control=control,
    )
    carried = [topics.PARKED, *map(topics.retry, topics.RETRY_DELAY_SECONDS)]
    waiting: list[tuple[SendBatch, Headers]] = [
        (send_batch(message(1, first_user=n, name=f"n{n}")), ()) for n in range(users)
    ]
    for number in range(MOST_ROUNDS + 1):
        batch = harness.next_batch(*[each for each, _ in waiting])
        for record, (_, headers) in zip(batch.records, waiting, strict=True):
            object.__setattr__(record, "headers", headers)
        harness.outbox.log.clear()
        await harness.stage.handle(batch)
        await harness.settle()
        back = [each for each in harness.outbox.log if each.topic in carried]
        if not back:
            return number
        words = {REFUSED, ATTEMPT} if told else {ATTEMPT}
        waiting = [
            (decode_batch(each.value or b""), tuple(header for header in each.headers if header[0] in words))
            for each in back
        ]
        random.shuffle(waiting)
        harness.clock.advance(100)
    return MOST_ROUNDS + 1
