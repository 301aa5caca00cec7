"""What holds for POLL whatever its provider answers, Kafka acknowledges, and whoever takes the partition over."""

from __future__ import annotations

import asyncio
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from pushcast.providers.expo.receipts import Polled
from pushcast.providers.port import Disposition
from pushcast.providers.verdict import Verdict
from pushcast.stream.batch import TP, Committed
from pushcast.stream.tracker import Record
from pushcast.wire.sending.tickets import decode_tickets
from unit.poll.twin import DEAD, OK, TOPIC, Harness, TwinSource, record, refused, tickets

FIRST_OFFSET = 100
REFUSALS = (
    (Disposition.UNSENT, "connection_failed"),
    (Disposition.RETRY, "rate_limited"),
    (Disposition.CREDENTIAL, "credential_refused"),
    (Disposition.UNKNOWN, "answer_unreadable"),
)


class Moody(TwinSource):
    """Knows the fate of every ticket, and tells it when it likes to. `told`: what it told so far."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.random = random
        self.willing = False
        self.fates: dict[str, Verdict] = {}
        self.told: set[str] = set()

    async def receipts(self, ticket_ids: object) -> Polled:
        await asyncio.sleep(0)
        assert isinstance(ticket_ids, list)
        if not self.willing and self.random.random() < 0.4:
            return refused(*self.random.choice(REFUSALS))
        chosen = [name for name in ticket_ids if self.willing or self.random.random() < 0.6]
        self.told.update(chosen)
        return Polled({name: self.fates[name] for name in chosen})


class Run:
    """A topic of one partition, its records as Kafka has them, and a poller that comes and goes."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.source = Moody(random)
        self.harness = Harness(acks=False, news=self.source)
        self.log: list[Record] = []
        self.fed = 0
        self._seen = 0
        self._tickets = 0

    def send(self) -> None:
        """SEND writes a record."""
        count = self.random.randint(1, 4)
        batch = tickets(count, first=self._tickets, sent_at=self.harness.clock.now_ms())
        self._tickets += count
        for name in batch.ticket_id:
            self.source.fates[name] = self.random.choice((OK, DEAD))
        self.log.append(record(self._end, batch, timestamp=self.harness.clock.now_ms()))

    @property
    def _end(self) -> int:
        return FIRST_OFFSET + len(self.log)

    async def acknowledge(self, share: float = 1.0) -> None:
        pending = len(self.harness.outbox.pending)
        count = pending if share == 1.0 else self.random.randint(0, pending)
        self.harness.outbox.acknowledge(self.random.sample(range(pending), count))
        produced = self.harness.outbox.of(TOPIC)
        for each in produced[self._seen :]:
            now_ms = self.harness.clock.now_ms()
            self.log.append(record(self._end, each.value, key=each.key, headers=each.headers, timestamp=now_ms))
        self._seen = len(produced)
        await self.harness.settle()

    async def feed(self) -> None:
        new, self.fed = self.log[self.fed :], len(self.log)
        if new:
            await self.harness.feed(*new)

    async def take_over(self) -> None:
        """In order, or by a crash that leaves what was not acknowledged where it is."""
        tp = TP(TOPIC, 3)
        if tp not in self.harness.trackers:
            return
        if self.random.random() < 0.5:
            revoking = asyncio.create_task(self.harness.stage.revoking({tp}))
            await self.harness.settle()
            await self.acknowledge()
            await revoking
        tracker = self.harness.trackers.pop(tp)
        tracker.lost = True
        await self.harness.stage.assigned({tp: Committed(tracker.low, "")})
        self.fed = tracker.low - FIRST_OFFSET
        await self.feed()

    def holds(self) -> None:
        """A record is done only when each of its tickets is told, and reported if dead, or stands further on."""
        if TP(TOPIC, 3) not in self.harness.trackers:
            return
        done = self.harness.low() - FIRST_OFFSET
        reported = {event.user for event in self.harness.invalid()}
        later: set[str] = set()
        for index in range(len(self.log) - 1, -1, -1):
            batch = decode_tickets(self.log[index].value)
            for name, user in zip(batch.ticket_id, batch.user, strict=True):
                dead = self.source.fates[name] is DEAD
                settled = name in self.source.told and (not dead or user in reported)
                assert index >= done or settled or name in later, f"{name} is lost"
            later.update(batch.ticket_id)
        live = {f"u{name[1:]}" for name, fate in self.source.fates.items() if fate is OK}
        assert not live & reported, "a good token was reported"


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_no_ticket_is_lost_and_no_good_token_is_reported(seed: int) -> None:
    asyncio.run(_run(Random(seed)))


async def _run(random: Random) -> None:
    """Records, answers, refusals, acknowledgements and take-overs as they come; then everything is let go."""
    run = Run(random)
    for _ in range(random.randint(5, 60)):
        what = random.random()
        if what < 0.25:
            run.send()
        elif what < 0.5:
            await run.feed()
        elif what < 0.7:
            await run.harness.pass_time(random.choice([1.0, 60.0, 300.0, 900.0]))
        elif what < 0.9:
            await run.acknowledge(random.choice([0.5, 1.0]))
        else:
            await run.take_over()
        run.holds()
    run.source.willing = True
    for _ in range(40):
        await run.feed()
        await run.harness.pass_time(900.0)
        await run.acknowledge()
    run.holds()
    assert run.harness.stage.waiting() == 0
    assert run.fed == len(run.log)
    if TP(TOPIC, 3) in run.harness.trackers:  # not where all was done before a take-over, and nothing came after it
        assert run.harness.low() == FIRST_OFFSET + len(run.log)
    assert run.source.told == set(run.source.fates)
    dead = {f"u{name[1:]}" for name, fate in run.source.fates.items() if fate is DEAD}
    assert {event.user for event in run.harness.invalid()} == dead
