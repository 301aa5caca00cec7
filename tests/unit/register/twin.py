"""A Kafka for REGISTER's tests: a log, an outbox that acknowledges on demand, a table that tails on demand."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from pushcast.handover.guard import RowGuard
from pushcast.model.clock import ManualClock
from pushcast.model.device import DeviceRow
from pushcast.model.ids import is_user_row, partition_of
from pushcast.model.ownership import Claim
from pushcast.model.words import Platform
from pushcast.register.admit import Admission
from pushcast.register.agent import RegisterStage
from pushcast.register.names import STAGE, Topics
from pushcast.register.ports import Counters
from pushcast.register.sweep import DEFAULT_RULES, SweepRules
from pushcast.register.tokens import PLAIN, Tokens
from pushcast.stream.assignment import boottime_seconds
from pushcast.stream.batch import TP, Batch, Committed
from pushcast.stream.errors import RecordTooLarge
from pushcast.stream.ports import Barrier
from pushcast.stream.tracker import Record, Tracker
from pushcast.wire.control.control import BreakerRecord, Kind, Subject, encode
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.devices import row_fences
from pushcast.wire.devices.devices import DeviceChangeDecoder, decode_row
from pushcast.wire.devices.ownership import decode_claims
from pushcast.wire.schemas import released
from pushcast.wire.topics import DEVICE, DEVICE_CHANGED, TOKEN_CLAIM, TOKEN_HOLD, TOKEN_INVALID
from twins.kafka import OPEN, Headers, ManualTimers, TwinBarrier, settled
from twins.kafka import record as twin_record

PARTITIONS = 8
T0 = 1_800_000_000_000
HOLD_SECONDS = 600
KNOWN = frozenset(b"\xc3\x01" + fingerprint for fingerprint in released())


def record(
    topic: str,
    partition: int,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    headers: Headers = (),
    timestamp: int = T0,
) -> Record:
    """As `twins.kafka.record`, written at T0."""
    return twin_record(topic, partition, offset, key, value, headers, timestamp)


@dataclass
class TwinKafka:
    """Log, outbox and table in one. `limits`: largest value plus key plus headers in bytes, by topic.

    The table is that of `stage`, over `table`.
    """

    acks: bool = True  # acknowledge at once; otherwise the test calls `acknowledge`
    limits: dict[str, int] = field(default_factory=dict)
    log: dict[tuple[str, int], list[Record]] = field(default_factory=lambda: defaultdict(list))
    table: str = DEVICE
    now_ms: Callable[[], int] = lambda: T0
    stage: str = STAGE
    missing: set[int] = field(default_factory=set)  # partitions that this process has no table for
    rows: dict[int, dict[bytes, bytes]] = field(default_factory=lambda: defaultdict(dict))
    _pending: list[tuple[TwinBarrier, Record]] = field(default_factory=list)
    _hooks: list[Callable[[int, Sequence[Any]], None]] = field(default_factory=list)
    _applied: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    _guards: dict[int, RowGuard] = field(default_factory=dict)
    _void_hooks: list[Callable[[int, int], None]] = field(default_factory=list)

    async def room(self) -> None:
        return

    def barrier(self) -> TwinBarrier:
        return TwinBarrier()

    def put(
        self,
        barrier: Barrier,
        topic: str,
        partition: int,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        assert isinstance(barrier, TwinBarrier), "of another outbox"
        barrier.puts += 1
        written_at = self.now_ms() if timestamp_ms is None else timestamp_ms
        produced = record(topic, partition, -1, key, value, headers or (), written_at)
        self._pending.append((barrier, produced))
        if self.acks:
            self.acknowledge()

    def acknowledge(self, count: int | None = None) -> None:
        """Writes the oldest `count` records to the log, or refuses them, and settles their barriers."""
        taken, self._pending = self._pending[:count], self._pending[len(self._pending[:count]) :]
        for barrier, produced in taken:
            size = len(produced.key or b"") + len(produced.value or b"")
            size += sum(len(name) + len(value or b"") for name, value in produced.headers)
            if size > self.limits.get(produced.topic, size):
                barrier.refusal = RecordTooLarge(produced.topic, produced.partition, size, "Message size too large")
            else:
                self.append(produced)
            barrier.reports += 1
            barrier.settle()

    def append(self, produced: Record) -> None:
        """Adds to the log, as any writer might."""
        entries = self.log[produced.topic, produced.partition]
        entries.append(
            record(
                produced.topic,
                produced.partition,
                len(entries),
                produced.key,
                produced.value,
                produced.headers,
                produced.timestamp,
            )
        )

    def tail(self, partition: int, count: int | None = None) -> None:
        """Lets the table apply the next `count` records of the devices topic."""
        start = self._applied[partition]
        records = self.log[self.table, partition][start : None if count is None else start + count]
        self._applied[partition] += len(records)
        judged = self._guard(partition).judge(records)
        rows = self.rows[partition]
        for key, value in judged.rows:
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = value
        for hook in self._hooks:
            hook(partition, [records[index] for index in judged.admitted])
        if judged.void:
            for void_hook in self._void_hooks:
                void_hook(partition, judged.void)

    def _guard(self, partition: int) -> RowGuard:
        return self._guards.setdefault(partition, RowGuard(f"{self.stage}/{partition}"))

    def held(self, partition: int) -> bool:
        return partition not in self.missing

    def fenced(self, partition: int) -> int:
        return self._guard(partition).epoch

    def void(self, partition: int) -> Mapping[bytes, int]:
        return self._guard(partition).void

    def on_void(self, hook: Callable[[int, int], None]) -> None:
        self._void_hooks.append(hook)

    def get(self, partition: int, key: bytes) -> bytes | None:
        return self.rows[partition].get(key)

    def get_many(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.get(partition, key) for key in keys]

    def scan(self, partition: int, prefix: bytes) -> list[tuple[bytes, bytes]]:
        return sorted(item for item in self.rows[partition].items() if item[0].startswith(prefix))

    def rows_after(self, partition: int, key: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return sorted(item for item in self.rows[partition].items() if item[0] > key)[:limit]

    def multi_scan(self, partition: int, prefixes: Sequence[bytes]) -> list[list[tuple[bytes, bytes]]]:
        return [self.scan(partition, prefix) for prefix in prefixes]

    def on_applied(self, callback: Callable[[int, Sequence[Any]], None]) -> None:
        self._hooks.append(callback)

    def compacted(self, partition: int) -> dict[bytes, bytes]:
        """What the table's topic holds once compacted."""
        last = {entry.key or b"": entry.value for entry in self.log[self.table, partition]}
        return {key: value for key, value in last.items() if value is not None and row_fences.is_row(key)}


class TwinWork:
    """The transport's side of a claim: takes it, unless the test says no."""

    def __init__(self) -> None:
        self.refuses = False
        self.claims: list[set[TP]] = []
        self.silent_seconds = 0.0

    def last_heartbeat_at(self) -> float:
        return boottime_seconds() - self.silent_seconds

    async def commit_now(self, partitions: Iterable[TP]) -> bool:
        self.claims.append(set(partitions))
        return not self.refuses

    async def drained(self, partitions: Iterable[TP]) -> None:
        return


class Harness:
    """A stage on the twin, fed by user, topic and value; offsets count up per partition of a topic."""

    def __init__(
        self,
        kafka: TwinKafka | None = None,
        max_rows_in_flight: int = 100_000,
        max_per_user: int | None = None,
        *,
        tokens: Tokens = PLAIN,
        decoder: DeviceChangeDecoder | None = None,
        withholds: Callable[[Record], bool] | None = None,
        clock: ManualClock | None = None,
        rules: SweepRules = DEFAULT_RULES,
        mirrored: Set[str] = frozenset(),
    ) -> None:
        self.kafka = kafka or TwinKafka()
        self.counters = Counters()
        self.clock = clock or ManualClock(T0)
        self.control = ControlState()
        self.control.live = True
        self.timers = ManualTimers(self.clock.monotonic_seconds)
        self.failures: list[BaseException] = []
        decoder = decoder or DeviceChangeDecoder({"news", "chat"})
        admission = Admission(decoder, Topics(), PARTITIONS, self.clock)
        self.stage = RegisterStage(
            admission,
            cast(Any, self.kafka),
            self.kafka,
            self.clock,
            self.counters,
            control=self.control,
            hold_seconds=HOLD_SECONDS,
            tokens=tokens,
            withholds=withholds,
            max_rows_in_flight=max_rows_in_flight,
            max_per_user=max_per_user,
            mirrored=mirrored,
            rules=rules,
            fatal=lambda _, error: self.failures.append(error),
            call_later=self.timers,
        )
        self.work = TwinWork()
        self.stage.work = self.work  # type: ignore[assignment]
        self.trackers: dict[TP, Tracker] = {}

    @property
    def rows_in_flight(self) -> int:
        """Rows produced that the table has not applied yet."""
        return len(self.stage._in_flight)

    @property
    def holds_waiting(self) -> int:
        """Suspensions whose hold is running."""
        return sum(len(tenure.holds) for tenure in self.stage._tenures)

    def batch(self, records: Sequence[Record]) -> Batch:
        """A batch under the real tracker."""
        tp = TP(records[0].topic, records[0].partition)
        tracker = self.trackers.setdefault(tp, Tracker(0, OPEN))
        return Batch(tp, tracker, tracker.hand_over(records, tracker.arrive(records)), lambda: None)

    async def feed(self, topic: str, *events: tuple[bytes, bytes] | Record) -> Batch:
        """Handles events of one partition as one batch: (key, value), or whole records."""
        records: list[Record] = []
        for event in events:
            if isinstance(event, tuple):
                key, value = event
                partition = partition_of(key, PARTITIONS)
                records.append(record(topic, partition, self.next_offset(topic, partition) + len(records), key, value))
            else:
                records.append(event)
        batch = self.batch(records)
        await self.stage.handle(batch)
        await settled()  # what acknowledged outputs complete
        return batch

    async def change(self, *events: tuple[bytes, bytes] | Record) -> Batch:
        return await self.feed(DEVICE_CHANGED, *events)

    async def take_over(self, partition: int, metadata: str = "") -> None:
        """Claims the partition, with the table tailing as it does."""
        sources = (DEVICE_CHANGED, TOKEN_INVALID, TOKEN_HOLD)
        assigned = asyncio.ensure_future(
            self.stage.assigned({TP(topic, partition): Committed(0, metadata) for topic in sources})
        )
        while not assigned.done():
            await settled()
            self.kafka.acknowledge()
            self.kafka.tail(partition)
            await settled()
        await assigned

    async def follow_holds(self, partition: int) -> None:
        """Hands over what the hold topic has beyond what came already, as the transport does."""
        seen = self.next_offset(TOKEN_HOLD, partition)
        records = self.kafka.log[TOKEN_HOLD, partition][seen:]
        if records:
            await self.stage.handle(self.batch(records))
        await settled()

    async def pass_time(self, seconds: float = HOLD_SECONDS) -> None:
        """Moves the clock and lets everything happen that is due then."""
        self.clock.advance(seconds)
        self.timers.fire()
        await settled()
        assert not self.failures

    async def announce(self, state: Literal["open", "closed"], since: int, opened: int, closed: int | None) -> None:
        """A breaker record about (news, apns)."""
        subject = Subject(Kind.BREAKER, "news", Platform.APNS)
        self.control.apply(subject.key(), encode(BreakerRecord(state, "invalid_share", since, opened, closed)))
        await settled()

    def next_offset(self, topic: str, partition: int) -> int:
        tracker = self.trackers.get(TP(topic, partition))
        return 0 if tracker is None else tracker.next_offset

    def committable(self, topic: str, partition: int) -> int:
        """The offset that Kafka would be told."""
        return self.trackers[TP(topic, partition)].low

    def row_values(self, user: str) -> dict[bytes, bytes]:
        """The user's devices once everything is applied; without those that are gone."""
        compacted = self.kafka.compacted(partition_of(user.encode(), PARTITIONS))
        mine = {key: value for key, value in compacted.items() if key.startswith(user.encode() + b"\0")}
        return {key: value for key, value in mine.items() if not is_user_row(key) and not is_gone(value)}

    def claims(self) -> list[Claim]:
        """What was told to OWN, by partition."""
        return [
            claim
            for partition in range(PARTITIONS)
            for each in self.kafka.log[TOKEN_CLAIM, partition]
            for claim in decode_claims(each.key, each.value)
        ]

    def gone_rows(self, user: str) -> dict[bytes, DeviceRow]:
        """The markers of the user's removed devices."""
        compacted = self.kafka.compacted(partition_of(user.encode(), PARTITIONS))
        mine = {key: value for key, value in compacted.items() if key.startswith(user.encode() + b"\0")}
        return {key: decode_row(value) for key, value in mine.items() if not is_user_row(key) and is_gone(value)}


def is_gone(value: bytes) -> bool:
    """Of a row's value, whatever it is."""
    return value[:2] == b"\xc3\x01" and value[:10] in KNOWN and decode_row(value).is_gone
