"""An outbox that acknowledges when and in the order a test says, and a devices table, in memory."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from aiokafka import ConsumerRecord

from pushcast.stream.batch import Bounds
from pushcast.stream.errors import Full, RecordRefused, RecordTooLarge
from pushcast.stream.ports import Barrier
from pushcast.stream.tracker import Record

Headers = Sequence[tuple[str, bytes | None]]
#: Bounds that nothing reaches.
OPEN = Bounds(records=1_000_000, bytes=1 << 40, targets=1_000_000)


def record(
    topic: str,
    partition: int,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    headers: Headers = (),
    timestamp: int = 0,
) -> Record:
    """As aiokafka hands it over."""
    key_size, value_size = (-1 if part is None else len(part) for part in (key, value))
    return ConsumerRecord(
        topic,
        partition,
        offset,
        timestamp,
        0,
        key,
        value,
        None,
        key_size,
        value_size,
        cast(Any, tuple(headers)),  # null values are missing in its types
    )


class Produced(NamedTuple):
    """A record as it was put."""

    topic: str
    partition: int
    value: bytes | None
    key: bytes | None
    headers: Headers
    timestamp_ms: int | None


class TwinBarrier:
    """Calls back when everything put under it is acknowledged; as `pushcast.kafka.barrier.KafkaBarrier`."""

    def __init__(self) -> None:
        self.puts = 0
        self.reports = 0
        self.refusal: RecordRefused | None = None
        self._callbacks: list[tuple[Callable[[], None], Callable[[RecordRefused], None] | None]] = []

    async def wait(self) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def acked() -> None:
            if not done.cancelled():  # whoever waited is gone
                done.set_result(None)

        self.on_acked(acked, done.set_exception)
        await done

    def on_acked(self, callback: Callable[[], None], on_refused: Callable[[RecordRefused], None] | None = None) -> None:
        self._callbacks.append((callback, on_refused))
        if self.reports == self.puts:
            asyncio.get_running_loop().call_soon(self.settle)

    def settle(self) -> None:
        if self.reports != self.puts:
            return
        callbacks, self._callbacks = self._callbacks, []
        for callback, on_refused in callbacks:
            if self.refusal is None:
                callback()
            else:
                assert on_refused is not None, "the real outbox ends the process here"
                on_refused(self.refusal)


@dataclass
class TwinOutbox:
    """`log` holds what was acknowledged, `pending` what waits; `limits` are topics' largest records in bytes."""

    limits: dict[str, int] = field(default_factory=dict)
    max_records: int = 100_000
    full: bool = False  # no room until `let_in`
    log: list[Produced] = field(default_factory=list)
    pending: list[tuple[TwinBarrier, Produced]] = field(default_factory=list)
    _waiters: list[asyncio.Future[None]] = field(default_factory=list)

    async def room(self) -> None:
        while self.full or len(self.pending) >= self.max_records:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def let_in(self) -> None:
        self.full = False
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

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
        if len(self.pending) >= 2 * self.max_records:
            raise Full("room was not awaited")
        assert isinstance(barrier, TwinBarrier), "of another outbox"
        assert headers is None or isinstance(headers, list), "confluent-kafka takes no other sequence"
        barrier.puts += 1
        self.pending.append((barrier, Produced(topic, partition, value, key, headers or (), timestamp_ms)))

    def acknowledge(self, index: int = 0) -> Produced:
        """One of the pending records becomes part of the log, or is refused when it is too large."""
        barrier, produced = self.pending.pop(index)
        size = sum(len(part) for part in (produced.key, produced.value) if part is not None)
        size += sum(len(name.encode()) + len(value or b"") for name, value in produced.headers)
        if size > self.limits.get(produced.topic, size):
            barrier.refusal = RecordTooLarge(produced.topic, produced.partition, size, "Message size too large")
        else:
            self.log.append(produced)
        barrier.reports += 1
        barrier.settle()
        self.let_in() if not self.full else None
        return produced

    def nobody_waits(self) -> None:
        """The process is gone: what it had under way may still land, and nothing of it goes on."""
        landing = [produced for _, produced in self.pending]
        self.pending = []
        for produced in landing:
            barrier = TwinBarrier()
            barrier.puts = 1
            self.pending.append((barrier, produced))

    async def acknowledge_all(self) -> None:
        """Until nothing is pending, what callbacks put included."""
        await settled()
        while self.pending:
            self.acknowledge()
            await settled()

    def values(self, topic: str) -> list[bytes]:
        """Values of the acknowledged records of topics that begin with `topic`."""
        return [each.value for each in self.log if each.topic.startswith(topic) and each.value is not None]


async def settled() -> None:
    """Lets everything that is ready to run on the loop run."""
    for _ in range(5):
        await asyncio.sleep(0)


@dataclass
class TwinTable:
    """Rows by partition, as `pushcast.transport.table.SourceTable` reads them."""

    rows: dict[int, dict[bytes, bytes]] = field(default_factory=lambda: defaultdict(dict))
    failures: list[Exception] = field(default_factory=list)  # raised by the next scans
    scans: int = 0
    at: int = 10**9  # how far the copy has come

    def held(self, partition: int) -> bool:
        return True

    def multi_scan(self, partition: int, prefixes: Iterable[bytes]) -> list[list[tuple[bytes, bytes]]]:
        self.scans += 1
        if self.failures:
            raise self.failures.pop(0)
        rows = sorted(self.rows[partition].items())
        return [[row for row in rows if row[0].startswith(prefix)] for prefix in prefixes]

    def rows_after(self, partition: int, key: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return [row for row in sorted(self.rows[partition].items()) if row[0] > key][:limit]

    def count(self, partition: int) -> int:
        return len(self.rows[partition])

    def position(self, partition: int) -> int:
        return self.at


class ManualTimers:
    """`call_later` that fires when the test says so, at the manual clock's time."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._due: list[tuple[float, Callable[[], None], list[bool]]] = []

    def __call__(self, delay: float, callback: Callable[[], None]) -> ManualTimer:
        cancelled = [False]
        self._due.append((self._now() + delay, callback, cancelled))
        return ManualTimer(cancelled)

    def fire(self) -> None:
        """Calls everything that is due."""
        due = [entry for entry in self._due if entry[0] <= self._now()]
        self._due = [entry for entry in self._due if entry[0] > self._now()]
        for _, callback, cancelled in due:
            if not cancelled[0]:
                callback()

    @property
    def waiting(self) -> list[float]:
        """Times of the timers that are set."""
        return sorted(at for at, _, cancelled in self._due if not cancelled[0])


class ManualTimer:
    def __init__(self, cancelled: list[bool]) -> None:
        self._cancelled = cancelled

    def cancel(self) -> None:
        self._cancelled[0] = True
