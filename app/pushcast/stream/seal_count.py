"""Counts how often keys have sealed, over all registrars and restarts, so that a key is changed before it is worn."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Final

import structlog

from pushcast.model.clock import Clock
from pushcast.model.key_wear import ALARM_SEALS, MOST_SEALS
from pushcast.observe.catalogue import MetricName as Name
from pushcast.observe.metrics import Sample
from pushcast.stream.errors import RecordRefused
from pushcast.stream.ports import LAST_WORD_SECONDS, Outbox
from pushcast.wire import topics
from pushcast.wire.sealing.key_seals import SealCounts, encode, gone, key_of, told, total

log = structlog.get_logger(__name__)

#: A kill loses the seals of so long.
TELL_SECONDS: Final = 60.0
#: A process without anything to seal says so often that it is there.
THERE_SECONDS: Final = 600.0
LOOK_SECONDS: Final = 1_800.0
KeyedRecord = tuple[bytes | None, bytes | None]
Read = Callable[[], Awaitable[Sequence[KeyedRecord]]]


class SealCount:
    """Of one process (`stream.spec.Resource`). `mine`: what it has sealed, by key, as it grows."""

    def __init__(self, mine: Mapping[str, int], read: Read, outbox: Outbox, clock: Clock) -> None:
        self._mine = mine
        self._read = read
        self._outbox = outbox
        self._clock = clock
        self._key = key_of(f"{socket.gethostname()[:200]}/{secrets.token_hex(4)}")
        self._inherited: Counter[str] = Counter()
        self._others: dict[bytes, SealCounts] = {}
        self._told: dict[str, int] = {}
        self._told_at = self._looked_at = -float("inf")
        self._alarmed: set[str] = set()
        self._failing = False
        self._task: asyncio.Task[None] | None = None

    def totals(self) -> Counter[str]:
        """By key, of all registrars as far as they are known here."""
        return total(self._others) + self._inherited + Counter(self._mine)

    def samples(self) -> Iterator[Sample]:
        """For the metrics."""
        for key_id, seals in sorted(self.totals().items()):
            yield Sample(Name.KEY_SEALS, seals, (key_id,))

    async def start(self) -> None:
        """From now on, once a minute."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Tells the last ones, within `LAST_WORD_SECONDS`."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            if self._standing() != self._told:
                with contextlib.suppress(RecordRefused, TimeoutError):
                    async with asyncio.timeout(LAST_WORD_SECONDS):
                        await self._tell()

    async def _run(self) -> None:
        while True:
            try:
                await self.step()
            except (RecordRefused, OSError) as error:
                if not self._failing:
                    log.warning("seals_not_counted", error=str(error))
                self._failing = True
            else:
                self._failing = False
            await asyncio.sleep(TELL_SECONDS)

    async def step(self) -> None:
        """What is due now. Raises RecordRefused, and OSError when it cannot read."""
        now = self._clock.monotonic_seconds()
        if now - self._looked_at >= LOOK_SECONDS:
            await self._look()
            self._looked_at = now
        if self._standing() != self._told or now - self._told_at >= THERE_SECONDS:
            await self._tell()
        self._alarm()

    def _standing(self) -> dict[str, int]:
        return dict(self._inherited + Counter(self._mine))

    async def _look(self) -> None:
        """Learns what the others say. The first process that is there takes over what those have left that are gone:
        its own record comes first, so a kill in between counts them twice, and never not at all."""
        known = told(await self._read())
        known.pop(self._key, None)
        left = gone({**known, self._key: SealCounts(self._clock.now_ms(), {})}, self._key, self._clock.now_ms())
        before, self._others = self._inherited, known
        self._inherited = before + total({key: known.pop(key) for key in left})
        if left:
            try:
                await self._tell()
            except RecordRefused:
                self._inherited = before  # the next look takes them over
                raise
            await self._put(dict.fromkeys(left))

    async def _tell(self) -> None:
        standing = self._standing()
        await self._put({self._key: encode(SealCounts(self._clock.now_ms(), standing))})
        self._told, self._told_at = standing, self._clock.monotonic_seconds()

    async def _put(self, records: Mapping[bytes, bytes | None]) -> None:
        barrier = self._outbox.barrier()
        for key, value in records.items():
            self._outbox.put(barrier, topics.WHERE, 0, value, key)
        await barrier.wait()

    def _alarm(self) -> None:
        for key_id, seals in self.totals().items():
            if seals >= ALARM_SEALS and key_id not in self._alarmed:
                self._alarmed.add(key_id)
                log.error("key_is_worn", key=key_id, seals=seals, most=MOST_SEALS, remedy="pushcast seal add, promote")
