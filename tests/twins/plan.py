"""A PLAN stage on the twin of Kafka: fed by user and event, every output readable."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import msgspec

from pushcast.config.caps import Cap
from pushcast.config.classes import Class
from pushcast.config.settings import Kafka, Settings
from pushcast.config.stages import Plan
from pushcast.handover.exact import Exactness, Inexact
from pushcast.model.batch import SendBatch
from pushcast.model.clock import ManualClock
from pushcast.model.device import DeviceRow
from pushcast.model.ids import device_row_key, partition_of, token_hash
from pushcast.model.words import Lane
from pushcast.observe.tracing import PlannedBatch
from pushcast.plan.agent import PlanStage
from pushcast.plan.contents import HeldContents
from pushcast.stream.batch import TP, Batch
from pushcast.stream.cancelling import Cancels
from pushcast.stream.tracker import Record, Tracker
from pushcast.wire import topics
from pushcast.wire.answers.receipts import Planned, decode_planned, decode_receipt
from pushcast.wire.devices.devices import encode_row
from pushcast.wire.headers import Headers, first, origin
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.waiting.held import Released, released_headers
from twins.kafka import OPEN, ManualTimers, TwinOutbox, TwinTable, record, settled

T0 = 1_800_000_000_000
PARTITIONS = 8
TOPIC = topics.notification(Lane.NORMAL)
CLASSES = {
    "default": Class(window_seconds=0),
    "chat": Class(window_seconds=0.05),
    "digest": Class(window_min_seconds=1, window_max_seconds=2),
    "hour": Class(window_seconds=3600),
}


def users_of(partition: int, count: int) -> list[str]:
    """User ids that belong to the partition."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        if partition_of(f"user-{number}".encode(), PARTITIONS) == partition:
            found.append(f"user-{number}")
        number += 1
    return found


class Fatal(AssertionError):
    """The stage asked for the end of the process."""


class PlanHarness:
    """Partition 3 of the normal lane unless told otherwise; nothing is acknowledged until the test says so."""

    def __init__(
        self,
        plan: Plan | None = None,
        classes: Mapping[str, Class] = CLASSES,
        partition: int = 3,
        outbox: TwinOutbox | None = None,
        exact: Exactness = Inexact(),  # noqa: B008 - immutable
        cancels: Cancels | None = None,
        apps: Mapping[str, Any] | None = None,
        keep: Mapping[str, Any] | None = None,
        caps: Sequence[Cap] = (),
        lane: Lane = Lane.NORMAL,
    ) -> None:
        self.lane, self.topic = lane, topics.notification(lane)
        self.partition = partition
        self.exact = exact
        self.cancels = cancels
        self.clock = ManualClock(T0)
        self.timers = ManualTimers(self.clock.monotonic_seconds)
        self.outbox = outbox or TwinOutbox()
        self.table = TwinTable()
        self.counters: Counter[tuple[str, str]] = Counter()
        self.settings = Settings(
            kafka=Kafka(partitions=PARTITIONS),
            plan=plan or Plan(window_seed=1),
            classes=dict(classes),
            apps=cast(Any, {"news": {}, "chat": {}, "foo": {}, "bar": {}} | dict(apps or {})),
            keep=cast(Any, dict(keep or {})),
            caps=tuple(caps),
        )
        self.fatal: list[BaseException] = []
        self.orders: dict[tuple[int, int], bytes] = {}  # of walks, by partition and offset
        self.traced: list[tuple[PlannedBatch, list[str]]] | None = None  # None: nobody traces
        self.stage = self.new_stage()
        self.tp = TP(self.topic, partition)
        self.tracker = Tracker(0, OPEN)

    def new_stage(self) -> PlanStage:
        return PlanStage(
            self.settings,
            self.lane,
            cast(Any, self.table),
            cast(Any, self.outbox),
            self.clock,
            exact=self.exact,
            fatal=lambda _, error: self.fatal.append(error),
            counters=self.counters,
            call_later=self.timers,
            cancels=self.cancels,
            batch_spans=None if self.traced is None else self._trace,
            contents=HeldContents(self.settings, Lane.NORMAL, self._order),
        )

    async def _order(self, partition: int, offset: int) -> bytes | None:
        return self.orders.get((partition, offset))

    def _trace(self, batch: PlannedBatch, traces: Iterable[str]) -> None:
        assert self.traced is not None
        self.traced.append((batch, list(traces)))

    def device(
        self,
        user: str,
        device: str = "d",
        app: str = "news",
        platform: str = "apns",
        token: str | bytes | None = None,
        state: str = "active",
        registered_at: int = T0,
        time_zone: str | None = None,
    ) -> None:
        """A row of the devices table."""
        address = (f"{user}/{app}/{device}" if token is None else token) if not isinstance(token, bytes) else token
        raw = address.encode() if isinstance(address, str) else address
        row = DeviceRow(app, device, platform, "token", raw, "", token_hash(raw), state, registered_at, registered_at)
        row = msgspec.structs.replace(row, time_zone=time_zone)
        self.table.rows[self.partition][device_row_key(user, app, device)] = encode_row(row)

    def batch(self, *events: tuple[str, Mapping[str, Any]] | Record) -> Batch:
        """A batch under the real tracker; events are (user, JSON event) or whole records."""
        start = self.tracker.next_offset
        records = [
            event
            if not isinstance(event, tuple) or hasattr(event, "offset")
            else record(
                self.topic,
                self.partition,
                start + index,
                event[0].encode(),
                json.dumps(event[1]).encode(),
                (),
                self.now_ms,
            )
            for index, event in enumerate(events)
        ]
        taken = cast("Sequence[Record]", records)
        return Batch(self.tp, self.tracker, self.tracker.hand_over(taken, self.tracker.arrive(taken)), lambda: None)

    async def feed(self, *events: tuple[str, Mapping[str, Any]] | Record) -> Batch:
        batch = self.batch(*events)
        await self.stage.handle(batch)
        return batch

    def raw(self, key: bytes | None, value: bytes | None, headers: Headers = (), index: int = 0) -> Record:
        """A record at the next offset, or `index` further."""
        offset = self.tracker.next_offset + index
        return record(self.topic, self.partition, offset, key, value, headers, self.now_ms)

    async def let_go(
        self,
        user: str,
        event: Mapping[str, Any] | bytes,
        *,
        closes: str = "",
        left_as: str = "",
        passed: str = "",
        done: bytes = b"",
    ) -> None:
        """The keeper lets one go, the first of its due records. `done`: devices of earlier parts, as the keeper names
        them."""
        tp, tracker = TP(topics.due(Lane.NORMAL), self.partition), Tracker(0, OPEN)
        released = Released(T0, None, 1 if done else 0, done, T0 + 1_000, passed, left_as)
        headers = released_headers(origin("keep", self.partition, 1), "normal|0|k", released, closes, None)
        value = event if isinstance(event, bytes) else json.dumps(event).encode()
        due = record(tp.topic, tp.partition, 0, user.encode(), value, headers, T0)
        segment = tracker.hand_over([due], tracker.arrive([due]))
        await self.stage.handle(Batch(tp, tracker, segment, lambda: None))
        await settled()
        await self.acknowledge()

    @property
    def now_ms(self) -> int:
        return self.clock.now_ms()

    async def pass_time(self, seconds: float) -> None:
        """Moves the clock and fires the timers that are due."""
        self.clock.advance(seconds)
        self.timers.fire()
        await settled()

    async def acknowledge(self) -> None:
        await self.outbox.acknowledge_all()

    async def revoke(self) -> None:
        """Revokes while Kafka acknowledges."""
        import asyncio

        revoking = asyncio.create_task(self.stage.revoking({self.tp}))
        await settled()
        while not revoking.done():
            await self.acknowledge()
        await revoking

    @property
    def committable(self) -> int:
        """The offset that Kafka would be told."""
        return self.tracker.low

    # what came out, acknowledged

    def batches(self, platform: str = "") -> list[SendBatch]:
        return [decode_batch(value) for value in self.outbox.values(f"push.send.{platform}")]

    def planned(self) -> list[tuple[int, str, int, str]]:
        """(source offset, notification id, planned, reason), as written."""
        return [row for value in self.outbox.values(topics.PLANNED) for row in decode_planned(value).rows()]

    def planned_records(self) -> list[Planned]:
        return [decode_planned(value) for value in self.outbox.values(topics.PLANNED)]

    def receipts(self) -> list[dict[str, Any]]:
        return [decode_receipt(value) for value in self.outbox.values(topics.RECEIPT)]

    def dead_letters(self) -> list[tuple[str, int]]:
        """(reason, partition) of each."""
        found = []
        for each in self.outbox.log:
            if each.topic == f"{self.topic}.dlq":
                found.append(((first(each.headers, "push.errors.reason") or b"").decode(), each.partition))
        return found

    def targets(self) -> list[tuple[int, str, str, str]]:
        """(source offset, notification id, user, device) of every target in acknowledged batches."""
        return [
            (offset, message.notification_ids[index], user, device)
            for batch in self.batches()
            for message in batch.messages
            for index, user, device, offset in zip(
                message.targets.notification,
                message.targets.user,
                message.targets.device,
                message.targets.source_offset,
                strict=True,
            )
        ]


def note(number: int | str = 1, **changes: Any) -> dict[str, Any]:
    """A notification for all apps with one content for all."""
    return {"id": f"n-{number}", "title": "Goal!", **changes}


Check = Callable[[], None]
