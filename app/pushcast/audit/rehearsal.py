"""Planners and the keeper over records of before, with nothing but memory behind them: what would have become of these.

They are the stages themselves, with their own gates, decoders and rows; only Kafka, the senders and the time are
stand-ins. Every provider takes everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import ceil
from typing import Any, Final, cast

from pushcast.audit.rehearsed_fates import EventFate, Past
from pushcast.audit.rehearsed_kafka import OPEN, Memory, MemoryPut, PastRecord
from pushcast.audit.rehearsed_keeper import RehearsedKeeper
from pushcast.audit.rehearsed_walk import BroadcastFate, BroadcastName, LeftOut, RehearsedWalks, Walked
from pushcast.config.settings import Settings
from pushcast.handover.exact import Inexact
from pushcast.model.batch import Message
from pushcast.model.clock import ManualClock
from pushcast.model.words import Lane, Outcome, Reason
from pushcast.plan.agent import PlanStage
from pushcast.plan.contents import HeldContents
from pushcast.stream.batch import TP, Batch
from pushcast.stream.cancelling import NothingCancelled
from pushcast.stream.tracker import Tracker
from pushcast.wire import topics
from pushcast.wire.answers.counted import ended
from pushcast.wire.answers.receipts import decode_planned, decode_receipt
from pushcast.wire.control.cancel_state import CancelState
from pushcast.wire.control.control_state import ControlState
from pushcast.wire.events.cancels import CancelDecoder
from pushcast.wire.headers import Headers
from pushcast.wire.schemas import SchemaSource
from pushcast.wire.sending.batches import decode_batch
from pushcast.wire.waiting.digests import closed_by
from pushcast.wire.waiting.held import held_headers, held_of, timer_of
from pushcast.wire.waiting.timers import note_id_of

#: How often one notification may come back from the keeper: a local time has a part for each zone.
MAX_RETURNS: Final = 100
#: Moments at which something of one partition leaves, between two records: a bound that nothing real comes near.
MAX_RELEASES: Final = 10_000_000
_WALKS: Final = {topics.walk(lane): lane for lane in Lane}
_EVENTS: Final = {topics.notification(lane): lane for lane in Lane}
_KEEP: Final = {topics.keep(lane): lane for lane in Lane}
_DUE: Final = {topics.due(lane): lane for lane in Lane}


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


class Rehearsal:
    """One partition under one configuration. Windows are closed at once: they change no fate."""

    def __init__(
        self,
        settings: Settings,
        partition: int,
        rows: Mapping[str, Sequence[tuple[bytes, bytes]]],
        schemas: SchemaSource | None = None,
        until_ms: int | None = None,
    ) -> None:
        """`until_ms`: where the log ends; of a broadcast with a time that comes later it has no order."""
        at_once = {"window_seconds": 0, "window_min_seconds": None, "window_max_seconds": None}
        classes = {name: each.model_copy(update=at_once) for name, each in settings.classes.items()}
        plan = settings.plan.model_copy(update={"lookup_again_seconds": 0.0})
        self._settings = settings.model_copy(update={"classes": classes, "plan": plan})
        self._partition = partition
        self._clock = ManualClock(0)
        self._memory = Memory()
        self._failures: list[BaseException] = []
        cancels = NothingCancelled(CancelState(CancelDecoder(schemas)))
        cancels.state.begin(partition)
        self._control = ControlState()
        cancels.state.follow_campaigns(self._control)
        self._keeper = RehearsedKeeper(self._settings, partition, self._clock, cancels, schemas)
        self._walks = RehearsedWalks(self._settings, rows, self._clock, self._control, until_ms)
        self._planners = {
            lane: PlanStage(
                self._settings,
                lane,
                cast(Any, _Rows(rows)),
                cast(Any, self._memory),
                self._clock,
                exact=Inexact(),
                fatal=lambda _, error: self._failures.append(error),
                counters={},
                schemas=schemas,
                cancels=cancels,
                paces={},
                contents=HeldContents(self._settings, lane, partial(self._walks.read, lane)),
            )
            for lane in Lane
        }
        self._trackers = {topic: Tracker(0, OPEN) for topic in (*_EVENTS, *_DUE)}
        self._held: dict[str, EventFate] = {}  # by the name of the timer
        self._by_id: dict[tuple[str, str], EventFate] = {}
        #: Pushes of digests, which are no event's.
        self.gathered: list[EventFate] = []
        self.broadcasts: dict[BroadcastName, BroadcastFate] = {}
        self.left_out: list[LeftOut] = []
        self._parts: list[tuple[BroadcastName, EventFate]] = []  # what the keeper was given of broadcasts

    async def fates(self, past: Iterable[Past]) -> list[EventFate]:
        """One for each notification event, in their order; what waits at the end is let go, whenever that is. `past`:
        cancels, those of campaigns too, orders of broadcasts with their stops and holds, and what users read among the
        events, by their times."""
        found: list[EventFate] = []
        begun = False
        for each in past:
            if not begun:
                self._clock.advance(each.at_ms / 1000)
                await self._keeper.begin()
                begun = True
            await self._pass(each.at_ms)
            self._move_to(each.at_ms)
            if each.topic in _EVENTS:
                found.append(EventFate(notification=f"@{each.offset}"))
                await self._judge(found[-1], each.topic, each.key, each.value, each.headers)
            elif each.topic in _WALKS:
                await self._walk(_WALKS[each.topic], each)
            elif each.topic == topics.CONTROL:
                self._control.apply(each.key, each.value)
                await self._walk_on()
                await self._keeper.pass_time()
            else:
                await self._keeper.take(each.topic, each.key, each.value, each.headers)
            await self._route()
        await self._pass(None)
        for name, part in self._parts:
            fate = self.broadcasts[name]
            fate.sent += len(part.leaves)
            fate.ends.update(part.ends)
            fate.waits.update(set(part.held))
        return found

    async def _walk(self, lane: Lane, past: Past) -> None:
        """A broadcast begins to go through the rows of the partition."""
        walked = self._walks.take(lane, past.offset, past.value or b"")
        if isinstance(walked, LeftOut):
            self.left_out.append(walked)
        elif walked is not None:
            await self._walked(walked)
        await self._walk_on()

    async def _walk_on(self) -> None:
        for walked in self._walks.walk():
            await self._walked(walked)

    async def _walked(self, walked: Walked) -> None:
        self.broadcasts.setdefault(walked.name, BroadcastFate()).add(walked.fate)
        for full in walked.batches:
            for message in decode_batch(full.value).messages:
                await self._accept(message)
        topic = topics.keep(Lane(walked.name.lane))
        for kept in walked.kept:
            part = EventFate(kept.user.decode(), walked.name.broadcast)
            part.waits.append((kept.reason, self._clock.now_ms()))
            self._parts.append((walked.name, part))
            self._held[f"{walked.name.lane}|{self._keeper.next_offset(topic)}"] = part
            headers = held_headers((), walked.offset, kept.held, None)
            await self._keeper.take(topic, kept.user, kept.value, headers)
            await self._route()

    async def _pass(self, until_ms: int | None) -> None:
        """Lets go what is due until then, and walks on; None: everything."""
        for _ in range(MAX_RELEASES):
            keeper, walks = self._keeper.due_in(), self._walks.due_in()
            wait = min((each for each in (keeper, walks) if each is not None), default=None)
            at_ms = self._clock.now_ms() + ceil(max(0.0, wait or 0.0) * 1000)
            if wait is None or (until_ms is not None and at_ms > until_ms):
                return
            self._move_to(at_ms)
            await self._walk_on()
            if keeper is not None and keeper <= wait:
                await self._keeper.pass_time()
            await self._route()

    def _move_to(self, at_ms: int) -> None:
        self._clock.advance(max(0, at_ms - self._clock.now_ms()) / 1000)

    async def _route(self) -> None:
        """Plans what the keeper has let go, until it lets nothing more go."""
        while due := self._keeper.taken():
            for put in due:
                fate = self._fate_of(put)
                fate.came_back(self._clock.now_ms())
                await self._judge(fate, put.topic, put.key, put.value, put.headers)

    def _fate_of(self, put: MemoryPut) -> EventFate:
        name = timer_of(put.headers)
        if closed_by(name) is not None:
            self.gathered.append(EventFate())
            return self.gathered[-1]
        kind, at, key = f"{name}||".split("|", 2)
        found = self._held.get(f"{kind}|{at}")
        if found is not None:
            return found
        user = (put.key or b"").decode("utf-8", "replace")
        # What the keeper makes itself, a badge or a removal, is no event's.
        return self._by_id.get((user, note_id_of(key.removesuffix("||").encode())), EventFate())

    async def _judge(
        self, fate: EventFate, topic: str, key: bytes | None, value: bytes | None, headers: Headers
    ) -> None:
        tracker, now_ms = self._trackers[topic], self._clock.now_ms()
        record = PastRecord(topic, self._partition, tracker.next_offset, now_ms, key, value, headers)
        segment = tracker.hand_over([record], tracker.arrive([record]))
        lane = _EVENTS[topic] if topic in _EVENTS else _DUE[topic]
        await self._planners[lane].handle(Batch(TP(topic, self._partition), tracker, segment, lambda: None))
        for _ in range(3):  # planned records are put in the loop's next turn
            await asyncio.sleep(0)
        if self._failures:
            raise self._failures[0]
        for put in self._memory.taken():
            await self._note(fate, put)

    async def _note(self, fate: EventFate, put: MemoryPut) -> None:
        if put.topic.endswith(topics.DEAD_LETTER_SUFFIX):
            fate.ends.append("dead_letter")
        elif put.topic in _KEEP:
            user, note_id = (put.key or b"").decode("utf-8", "replace"), held_of(put.headers).note_id
            if fate.returns > MAX_RETURNS:
                return
            self._by_id[user, note_id] = fate
            offset = self._keeper.next_offset(put.topic)
            self._held[f"{_KEEP[put.topic]}|{offset}"] = fate
            await self._keeper.take(put.topic, put.key, put.value, put.headers)
        elif put.topic == topics.COUNTED:
            await self._keeper.take(put.topic, put.key, put.value, put.headers)
        elif put.topic == topics.PLANNED and put.value is not None:
            planned = decode_planned(put.value)
            for reason, facts in zip(planned.reason, planned.facts, strict=True):
                if facts.held:
                    fate.waits.append((reason, self._clock.now_ms()))
                elif reason in (Reason.DUPLICATE, Reason.ID_REUSED):
                    fate.ends.append(reason)
        elif put.topic == topics.RECEIPT and put.value is not None:
            receipt = decode_receipt(put.value)
            fate.user, fate.notification = receipt["user"], receipt["notification_id"]
            fate.ends.append(f"{receipt['outcome']} {receipt['reason']}")
        elif put.topic.startswith("push.send.") and put.value is not None:
            batch = decode_batch(put.value)
            fate.platforms[batch.platform] += batch.target_count
            for message in batch.messages:
                fate.user, fate.notification = message.targets.user[0], message.notification_ids[0]
                fate.leaves += [self._clock.now_ms()] * len(message.targets)
                await self._accept(message)

    async def _accept(self, message: Message) -> None:
        """Every provider takes everything."""
        if not message.counted:
            return
        targets, now_ms = message.targets, self._clock.now_ms()
        for user, delivery, notification in zip(targets.user, targets.delivery_id, targets.notification, strict=True):
            about = message.notification_ids[notification], message.app, message.klass, delivery
            told = ended(*about, Outcome.ACCEPTED, None, now_ms)
            await self._keeper.take(topics.COUNTED, user.encode(), told, ())
