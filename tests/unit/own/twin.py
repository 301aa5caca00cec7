"""OWN on a Kafka twin: claims of tokens in, owners and evictions out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

from pushcast.model.clock import ManualClock
from pushcast.model.ids import partition_of, token_hash
from pushcast.model.ownership import Claim, Evict, Mark, Registration, Token, token_of
from pushcast.own.agent import OwnStage
from pushcast.own.token_marks import STAGE
from pushcast.stream.batch import TP, Batch, Committed
from pushcast.stream.tracker import Record, Tracker
from pushcast.wire.devices.ownership import decode_evict, decode_mark, encode_claims
from pushcast.wire.topics import TOKEN_CLAIM, TOKEN_EVICT, TOKEN_OWNER
from twins.kafka import OPEN, ManualTimers, settled
from unit.register.twin import PARTITIONS, T0, TwinKafka, TwinWork, record

DIGEST = token_hash(b"ab12" * 16)
TOKEN = Token("news", "apns", DIGEST)
VACANT_DAYS = 30
HOME = partition_of(DIGEST, PARTITIONS)


def own_kafka(**options: Any) -> TwinKafka:
    """With the owners table."""
    return TwinKafka(table=TOKEN_OWNER, stage=STAGE, **options)


def claim(user: str, at: int, token: Token = TOKEN, *, over: bool = False) -> Claim:
    """Of the user's device `d`, or of nobody for an empty user; `at` counts from T0."""
    return Claim(token, Registration(T0 + at, f"{user}\0{token.app}\0d".encode() if user else b""), over)


class OwnHarness:
    """A stage on the twin; offsets count up per partition."""

    def __init__(self, kafka: TwinKafka | None = None, clock: ManualClock | None = None) -> None:
        self.kafka = kafka or own_kafka()
        self.counters: Counter[tuple[str, str]] = Counter()
        self.clock = clock or ManualClock(T0)
        self.timers = ManualTimers(self.clock.monotonic_seconds)
        self.failures: list[BaseException] = []
        self.stage = OwnStage(
            cast(Any, self.kafka),
            self.kafka,
            self.clock,
            self.counters,
            partitions=PARTITIONS,
            vacant_seconds=VACANT_DAYS * 86_400,
            fatal=lambda _, error: self.failures.append(error),
            call_later=self.timers,
        )
        self.work = TwinWork()
        self.stage.work = self.work  # type: ignore[assignment]
        self.trackers: dict[TP, Tracker] = {}

    def batch(self, records: Sequence[Record]) -> Batch:
        """A batch under the real tracker."""
        tp = TP(records[0].topic, records[0].partition)
        tracker = self.trackers.setdefault(tp, Tracker(0, OPEN))
        return Batch(tp, tracker, tracker.hand_over(records, tracker.arrive(records)), lambda: None)

    async def feed(self, *claims: Claim | Record) -> Batch:
        """Handles claims of one partition as one batch."""
        records: list[Record] = []
        for each in claims:
            if isinstance(each, Claim):
                partition = partition_of(each.token.digest, PARTITIONS)
                offset = self.next_offset(partition) + len(records)
                records.append(record(TOKEN_CLAIM, partition, offset, each.token.digest, encode_claims([each])))
            else:
                records.append(each)
        batch = self.batch(records)
        await self.stage.handle(batch)
        await settled()
        return batch

    async def take_over(self, partition: int, metadata: str = "") -> None:
        """Claims the partition, with the table tailing as it does."""
        assigned = asyncio.ensure_future(self.stage.assigned({TP(TOKEN_CLAIM, partition): Committed(0, metadata)}))
        while not assigned.done():
            await settled()
            self.kafka.acknowledge()
            self.kafka.tail(partition)
            await settled()
        await assigned

    def next_offset(self, partition: int) -> int:
        tracker = self.trackers.get(TP(TOKEN_CLAIM, partition))
        return 0 if tracker is None else tracker.next_offset

    def committable(self, partition: int) -> int:
        return self.trackers[TP(TOKEN_CLAIM, partition)].low

    def owners(self) -> dict[Token, Mark]:
        """The owners topic, compacted."""
        found: dict[Token, Mark] = {}
        for partition in range(PARTITIONS):
            for key, value in self.kafka.compacted(partition).items():
                token = token_of(key)
                found[token] = decode_mark(token, value)
        return found

    def evicted(self) -> list[Evict]:
        """In the order of their users' partitions."""
        return [
            decode_evict((each.key or b"").decode(), each.value)
            for partition in range(PARTITIONS)
            for each in self.kafka.log.get((TOKEN_EVICT, partition), [])
        ]
