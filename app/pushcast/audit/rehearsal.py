"""The planner over records of before, with nothing but memory behind it: what would have become of them.

It is the stage itself, with its own gates, decoders and rows; only Kafka, the keeper and the time are stand-ins. What
it gives to the keeper comes back to it when it is due, so that every gate is asked again, as in a running Pushcast.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from pushcast.config.settings import Settings
from pushcast.handover.exact import Inexact
from pushcast.model.clock import ManualClock
from pushcast.model.words import Lane, Reason
from pushcast.plan.agent import PlanStage
from pushcast.stream.batch import TP, Batch, Bounds
from pushcast.stream.errors import RecordRefused
from pushcast.stream.tracker import Tracker
from pushcast.wire import topics
from pushcast.wire.batches import decode_batch
from pushcast.wire.facts import decode_facts
from pushcast.wire.headers import Headers
from pushcast.wire.held import Held, Released, held_of, passing, released_headers
from pushcast.wire.receipts import decode_planned, decode_receipt
from pushcast.wire.schemas import SchemaSource

#: How often one notification may come back from the keeper: a local time has a part for each zone.
MAX_RETURNS = 100
_OPEN = Bounds(records=1 << 30, bytes=1 << 40)


class Past(NamedTuple):
    """An event as it lay in its topic. `at_ms`: its Kafka time."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    at_ms: int


@dataclass(slots=True)
class EventFate:
    """What becomes of one event: deliveries by when they leave, and the words of those that end otherwise."""

    user: str = ""
    notification: str = ""
    leaves: list[int] = field(default_factory=list)  # one for each delivery, milliseconds since the epoch
    ends: list[str] = field(default_factory=list)  # `suppressed opted_out`; `dead_letter`
    held: list[str] = field(default_factory=list)  # why it waited on its way

    def words(self) -> str:
        """In a few words, the same for the same fate whatever the hour."""
        found = ([f"{len(self.leaves)} sent"] if self.leaves else []) + sorted(set(self.ends))
        waited = ", ".join(dict.fromkeys(self.held))
        return ", ".join(found or ["nothing"]) + (f" after {waited}" if waited and self.leaves else "")


class _Acked:
    """Everything is there at once."""

    async def wait(self) -> None:
        return

    def on_acked(self, callback: Callable[[], None], on_refused: Callable[[RecordRefused], None] | None = None) -> None:
        callback()


class _Put(NamedTuple):
    topic: str
    value: bytes | None
    key: bytes | None
    headers: Headers


class _Memory:
    """Outputs of one record."""

    def __init__(self) -> None:
        self.put_records: list[_Put] = []

    async def room(self) -> None:
        return

    def barrier(self) -> _Acked:
        return _Acked()

    def put(
        self,
        barrier: object,
        topic: str,
        partition: int,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        self.put_records.append(_Put(topic, value, key, headers or ()))

    def taken(self) -> list[_Put]:
        found, self.put_records = self.put_records, []
        return found


class _Rows:
    """A user's rows of `push.device.v1`, as they are now."""

    def __init__(self, rows: Mapping[str, Sequence[tuple[bytes, bytes]]]) -> None:
        self._rows = rows

    def held(self, partition: int) -> bool:
        return True

    def multi_scan(self, partition: int, prefixes: Iterable[bytes]) -> list[list[tuple[bytes, bytes]]]:
        return [
            [row for row in self._rows.get(prefix.partition(b"\0")[0].decode(), ()) if row[0].startswith(prefix)]
            for prefix in prefixes
        ]


@dataclass(slots=True)
class _Record:
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def serialized_key_size(self) -> int:
        return -1 if self.key is None else len(self.key)

    @property
    def serialized_value_size(self) -> int:
        return -1 if self.value is None else len(self.value)


class _Waiting(NamedTuple):
    due_at: int
    number: int  # in the order in which it was held
    fate: EventFate
    held: Held
    put: _Put


class Rehearsal:
    """One lane and partition under one configuration. Windows are closed at once: they change no fate."""

    def __init__(
        self,
        settings: Settings,
        lane: Lane,
        partition: int,
        rows: Mapping[str, Sequence[tuple[bytes, bytes]]],
        schemas: SchemaSource | None = None,
    ) -> None:
        at_once = {"window_seconds": 0, "window_min_seconds": None, "window_max_seconds": None}
        classes = {name: each.model_copy(update=at_once) for name, each in settings.classes.items()}
        plan = settings.plan.model_copy(update={"lookup_again_seconds": 0.0})
        self._settings = settings.model_copy(update={"classes": classes, "plan": plan})
        self._lane, self._partition = lane, partition
        self._clock = ManualClock(0)
        self._memory = _Memory()
        self._failures: list[BaseException] = []
        self._stage = PlanStage(
            self._settings,
            lane,
            cast(Any, _Rows(rows)),
            cast(Any, self._memory),
            self._clock,
            exact=Inexact(),
            fatal=lambda _, error: self._failures.append(error),
            counters={},
            schemas=schemas,
            paces={},
        )
        self._trackers = {topic: Tracker(0, _OPEN) for topic in (topics.notification(lane), topics.due(lane))}
        self._waiting: list[_Waiting] = []
        self._number = 0

    async def fates(self, events: Iterable[Past]) -> list[EventFate]:
        """One for each event, in their order; what waits at the end is let go, whenever that is."""
        found: list[EventFate] = []
        for event in events:
            await self._let_go(event.at_ms)
            found.append(EventFate(notification=f"@{event.offset}"))
            await self._judge(
                found[-1], topics.notification(self._lane), event.key, event.value, event.headers, event.at_ms
            )
        await self._let_go(None)
        return found

    async def _let_go(self, until_ms: int | None) -> None:
        while self._waiting and (until_ms is None or self._waiting[0].due_at <= until_ms):
            due_at, _, fate, held, put = heapq.heappop(self._waiting)
            if len(fate.held) > MAX_RETURNS:
                continue
            passed = passing(held.passed, decode_facts(held.facts).gate) if held.facts else held.passed
            released = Released(held.written_at, None, held.part, held.done, held.due_at, passed)
            headers = released_headers((), "keep|0|k", released, "", None)
            await self._judge(fate, topics.due(self._lane), put.key, put.value, headers, due_at)

    async def _judge(
        self, fate: EventFate, topic: str, key: bytes | None, value: bytes | None, headers: Headers, now_ms: int
    ) -> None:
        later = (max(now_ms, self._clock.now_ms()) - self._clock.now_ms()) / 1000
        self._clock.advance(later)
        tracker = self._trackers[topic]
        record = _Record(topic, self._partition, tracker.next_offset, now_ms, key, value, headers)
        segment = tracker.hand_over([record], tracker.arrive([record]))
        await self._stage.handle(Batch(TP(topic, self._partition), tracker, segment, lambda: None))
        for _ in range(3):  # planned records are put in the loop's next turn
            await asyncio.sleep(0)
        if self._failures:
            raise self._failures[0]
        for put in self._memory.taken():
            self._note(fate, put)

    def _note(self, fate: EventFate, put: _Put) -> None:
        if put.topic.endswith(topics.DEAD_LETTER_SUFFIX):
            fate.ends.append("dead_letter")
        elif put.topic == topics.keep(self._lane):
            held = held_of(put.headers)
            self._number += 1
            heapq.heappush(
                self._waiting, _Waiting(max(held.due_at, self._clock.now_ms()), self._number, fate, held, put)
            )
        elif put.topic == topics.PLANNED and put.value is not None:
            planned = decode_planned(put.value)
            for reason, facts in zip(planned.reason, planned.facts, strict=True):
                if facts.held:
                    fate.held.append(reason)
                elif reason == Reason.DUPLICATE:
                    fate.ends.append(reason)
        elif put.topic == topics.RECEIPT and put.value is not None:
            receipt = decode_receipt(put.value)
            fate.user, fate.notification = receipt["user"], receipt["notification_id"]
            fate.ends.append(f"{receipt['outcome']} {receipt['reason']}")
        elif put.topic.startswith("push.send.") and put.value is not None:
            for message in decode_batch(put.value).messages:
                fate.user, fate.notification = message.targets.user[0], message.notification_ids[0]
                fate.leaves += [self._clock.now_ms()] * len(message.targets)
